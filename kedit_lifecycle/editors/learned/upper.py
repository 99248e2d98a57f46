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

_MOST_FINAL_STATES = 16_384
_PREPARED_TOGETHER = 32


class UpperLayers:
    """The unedited model from one layer up; what enters it is kept for every text that was run before."""

    def __init__(self, model: EditableModel, start: int, memory_mib: float = 2048.0) -> None:
        self.model = model
        self.start = start
        self._lower = CachedLower(model, start, memory_mib)
        self._limit = int(memory_mib * 2**20)
        self._prepared: dict[Tokens, Tensor] = {}  # what enters the upper layers, (positions, d_model)
        self._final: dict[Tokens, Tensor] = {}  # of the unedited model, (positions, d_model)

    @torch.no_grad()
    def prepare(self, texts: Iterable[Tokens], progress: Progress = silent) -> None:
        """Run texts up to the upper layers, those of one length together, as far as memory goes.

        The batches depend on the texts alone, and what they gave is never let go: a training that is
        resumed reads the same bits.
        """
        if self.start == 0:
            return
        ordered = sorted(dict.fromkeys(texts), key=lambda ids: (len(ids), ids))
        if ordered:
            self._lower.entering(self.start, ordered[0])  # it takes note of what this family's layers return
        held = 0
        for length, group in itertools.groupby(ordered, key=len):
            alike = list(group)
            for start in range(0, len(alike), _PREPARED_TOGETHER):
                batch = alike[start : start + _PREPARED_TOGETHER]
                held += len(batch) * length * self._bytes_per_position
                if held > self._limit:
                    return
                entering = LayerSpan(self.model, batch, self.start, self.start).hidden
                self._prepared.update(zip(batch, entering.clone(), strict=True))
                progress("reading the texts up to the edited layers", len(self._prepared), len(ordered))

    def _entering(self, ids: Tokens) -> Tensor:
        known = self._prepared.get(ids)
        return self._lower.entering(self.start, ids) if known is None else known

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
        rows = [self._entering(tuple(ids)) for ids in sequences]
        stream = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        with self._lower.handing_out(self.start, stream):
            return self.model.hidden_states(input_ids, mask).last_hidden_state, mask

    @torch.no_grad()
    def unedited_logprobs(self, rows: Sequence[tuple[Tokens, Sequence[int]]]) -> Tensor:
        """Log-probabilities of the unedited model at positions of some texts, (places, vocabulary) float32.

        Each text is run alone, once: the same bits whatever was run before.
        """
        states = [self._final_state(ids)[list(read)] for ids, read in rows]
        return self.logprobs(torch.cat(states))

    def _final_state(self, ids: Tokens) -> Tensor:
        if ids not in self._final:
            if len(self._final) >= _MOST_FINAL_STATES:
                self._final.clear()
            self._final[ids] = self.hidden([ids])[0][0]
        return self._final[ids]

    def logprobs(self, states: Tensor) -> Tensor:
        """Log-probabilities of the next token after final-normed states, (places, vocabulary), float32."""
        return torch.log_softmax(self.model.logits(states), dim=-1)
