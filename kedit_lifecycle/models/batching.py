"""How sequences become batches: similar lengths together, within a budget of padded tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from kedit_lifecycle.models.editable import EditableModel

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
