"""What the unedited model says to the texts that an edit must leave alone: once, and then kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from kedit_lifecycle.editors.learned.passes import hidden_states, logprobs
from kedit_lifecycle.models.batching import Tokens
from kedit_lifecycle.models.editable import EditableModel

_TOGETHER = 32


class Unedited:
    """Answers of a model that must be unedited whenever it is asked.

    Texts of one length are run together, in batches that depend on `texts` alone and never on what was
    asked before: a training that is resumed reads the same bits.
    """

    def __init__(self, model: EditableModel, texts: Iterable[Tokens] = ()) -> None:
        self._model = model
        self._batch = {ids: batch for batch in _of_one_length(texts) for ids in batch}
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
            self._states.update(zip(batch, hidden_states(self._model, batch).clone(), strict=True))
        return self._states[ids]


def _of_one_length(texts: Iterable[Tokens]) -> list[tuple[Tokens, ...]]:
    ordered = sorted(dict.fromkeys(texts), key=lambda ids: (len(ids), ids))
    batches = []
    for _, group in itertools.groupby(ordered, key=len):
        alike = list(group)
        batches += [tuple(alike[start : start + _TOGETHER]) for start in range(0, len(alike), _TOGETHER)]
    return batches
