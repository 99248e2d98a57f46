"""What the unedited model says to the texts that an edit must leave alone: once, and then kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from kedit_lifecycle.models.batching import Tokens, hidden_states, length_buckets
from kedit_lifecycle.models.editable import EditableModel

_TOKENS = 640  # padded, in one pass


class Unedited:
    """Answers of a model that must be unedited whenever it is asked.

    Texts of about one length are run together, in batches that depend on `texts` alone and never on what
    was asked before: a training that is resumed reads the same bits.
    """

    def __init__(self, model: EditableModel, texts: Iterable[Tokens] = ()) -> None:
        self._model = model
        batches = length_buckets(sorted(set(texts)), len, _TOKENS)
        self._batch = {ids: batch for batch in batches for ids in batch}
        self._states: dict[Tokens, Tensor] = {}  # final-normed, (positions, d_model)

    @torch.no_grad()
    def logprobs(self, rows: Sequence[tuple[Tokens, Sequence[int]]]) -> Tensor:
        """Log-probabilities at positions of some texts, (places, vocabulary) float32.

        A text that is none of `texts` is run each time it is asked for, alone.
        """
        states = [self._of(ids)[list(read)] for ids, read in rows]
        return logprobs(self._model, torch.cat(states))

    def _of(self, ids: Tokens) -> Tensor:
        if ids not in self._states:
            batch = self._batch.get(ids)
            if batch is None:
                return hidden_states(self._model, [ids])[0]
            found = hidden_states(self._model, batch)
            self._states |= {one: row[: len(one)].clone() for one, row in zip(batch, found, strict=True)}
        return self._states[ids]


def logprobs(model: EditableModel, states: Tensor) -> Tensor:
    """Log-probabilities of the next token after final-normed states, (places, vocabulary), float32."""
    return torch.log_softmax(model.logits(states), dim=-1)
