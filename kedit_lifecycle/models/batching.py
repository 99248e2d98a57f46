"""How sequences become batches, and how a batch is run: similar lengths together, within a token budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from torch import Tensor

from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import pad_batch

Tokens = tuple[int, ...]
Item = TypeVar("Item")


def position_limit(model: EditableModel) -> int | None:
    """The most positions the model's config allows, None where it names no limit."""
    limit: int | None = getattr(model.network.config, "max_position_embeddings", None)
    return limit


def length_buckets(
    sequences: Sequence[Item], length: Callable[[Item], int], token_budget: int
) -> Iterator[list[Item]]:
    """Batches of similar length, each of at most `token_budget` padded tokens (or a single sequence)."""
    batch: list[Item] = []
    for sequence in sorted(sequences, key=length):
        if batch and (len(batch) + 1) * length(sequence) > token_budget:
            yield batch
            batch = []
        batch.append(sequence)
    if batch:
        yield batch


def hidden_states(model: EditableModel, sequences: Sequence[Tokens]) -> Tensor:
    """Final-normed states (batch, positions, d_model) of right-padded sequences, of the model as it stands.

    A gradient goes through it from wherever something asks for one; the layers below keep nothing for it.
    """
    input_ids, mask = pad_batch(sequences, model.pad_id, model.device)
    found: Tensor = model.hidden_states(input_ids, mask).last_hidden_state
    return found
