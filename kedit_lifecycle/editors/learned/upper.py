"""The blocks from the lowest edited one up: all that training runs, since what lies below never changes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from kedit_lifecycle.models.batching import Tokens
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import CachedLower
from kedit_lifecycle.models.partial_run import LayerSpan
from kedit_lifecycle.models.tokens import pad_batch
from kedit_lifecycle.progress import Progress, silent

_TOGETHER = 32


class UpperLayers:
    """The unedited model from one layer up; what enters it is kept for every text that was prepared.

    Batches depend on what is asked for alone, never on what was asked before: a training that is resumed
    reads the same bits.
    """

    def __init__(self, model: EditableModel, start: int, memory_mib: float = 2048.0) -> None:
        self.model = model
        self.start = start
        self._lower = CachedLower(model, start)
        self._limit = int(memory_mib * 2**20)
        self._prepared: dict[Tokens, Tensor] = {}  # what enters the upper layers, (positions, d_model)
        self._kept: dict[Tokens, tuple[Tokens, ...]] = {}  # a text, and those that it is run with
        self._final: dict[Tokens, Tensor] = {}  # of the unedited model, (positions, d_model)
        if start:
            self._lower.entering(start, (0,))  # it takes note of what this family's layers return

    @torch.no_grad()
    def prepare(
        self, texts: Iterable[Tokens], kept: Iterable[Tokens] = (), progress: Progress = silent
    ) -> None:
        """Run texts up to the upper layers, those of one length together, as far as memory goes.

        `kept` are those that `unedited_logprobs` will be asked for.
        """
        self._kept = {ids: batch for batch in _of_one_length(kept) for ids in batch}
        if self.start == 0:
            return
        batches = _of_one_length(texts)
        total, held = sum(map(len, batches)), 0
        for batch in batches:
            held += len(batch) * len(batch[0]) * self._bytes_per_position
            if held > self._limit:
                return
            entering = LayerSpan(self.model, batch, self.start, self.start).hidden
            self._prepared.update(zip(batch, entering.clone(), strict=True))
            progress("reading the texts up to the edited layers", len(self._prepared), total)

    def _entering(self, sequences: Sequence[Tokens]) -> list[Tensor]:
        new = list(dict.fromkeys(ids for ids in sequences if ids not in self._prepared))
        found: dict[Tokens, Tensor] = {}
        if new:
            stream = LayerSpan(self.model, new, self.start, self.start).hidden
            found = {ids: stream[row, : len(ids)] for row, ids in enumerate(new)}
        return [found[ids] if ids in found else self._prepared[ids] for ids in sequences]

    @property
    def _bytes_per_position(self) -> int:
        width: int = self.model.network.config.hidden_size
        return width * self.model.dtype.itemsize

    def hidden(self, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Final-normed states (batch, positions, d_model) of right-padded sequences, and their mask.

        A gradient goes through it wherever something in the upper layers asks for one.
        """
        input_ids, mask = pad_batch(sequences, self.model.pad_id, self.model.device)
        if self.start == 0:
            return self.model.hidden_states(input_ids, mask).last_hidden_state, mask
        rows = self._entering([tuple(ids) for ids in sequences])
        stream = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        with self._lower.handing_out(self.start, stream):
            return self.model.hidden_states(input_ids, mask).last_hidden_state, mask

    @torch.no_grad()
    def unedited_logprobs(self, rows: Sequence[tuple[Tokens, Sequence[int]]]) -> Tensor:
        """Log-probabilities of the unedited model at positions of some texts, (places, vocabulary) float32.

        What was prepared for it is run once; the rest each time, each text alone.
        """
        states = [self._final_state(ids)[list(read)] for ids, read in rows]
        return self.logprobs(torch.cat(states))

    def _final_state(self, ids: Tokens) -> Tensor:
        if ids in self._final:
            return self._final[ids]
        batch = self._kept.get(ids, (ids,))
        hidden, _ = self.hidden(batch)
        if ids in self._kept:
            self._final.update(zip(batch, hidden.clone(), strict=True))
        return hidden[batch.index(ids)]

    def logprobs(self, states: Tensor) -> Tensor:
        """Log-probabilities of the next token after final-normed states, (places, vocabulary), float32."""
        return torch.log_softmax(self.model.logits(states), dim=-1)


def _of_one_length(texts: Iterable[Tokens]) -> list[tuple[Tokens, ...]]:
    """Batches of texts of one length, which depend on the texts alone and not on their order."""
    ordered = sorted(dict.fromkeys(texts), key=lambda ids: (len(ids), ids))
    batches = []
    for _, group in itertools.groupby(ordered, key=len):
        alike = list(group)
        batches += [tuple(alike[start : start + _TOGETHER]) for start in range(0, len(alike), _TOGETHER)]
    return batches
