"""The condition of an edit: a bidirectional LSTM over the input, its present answer and the new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from kedit_lifecycle.editors.learned.network import EditText

Embed = Callable[[Tensor], Tensor]
"""Token ids to the base model's own embeddings, frozen: (tokens,) -> (tokens, d_model)."""


class Conditioner(nn.Module):
    """h = tanh(W [→LSTM(x ‖ y ‖ a) ; ←LSTM(x ‖ y ‖ a)])   (De Cao et al. 2021, §3.2).

    Between the three stand two learned separators, since a causal model's tokenizer has none.
    """

    def __init__(self, embed: Embed, d_model: int, *, lstm_width: int, width: int) -> None:
        super().__init__()
        self._embed = (embed,)  # in a tuple, so that the base model is no part of this module
        self.unit: Tensor
        self.register_buffer("unit", torch.ones(()))
        self.separators = nn.Parameter(torch.randn(2, d_model))
        self.lstm = nn.LSTM(d_model, lstm_width, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * lstm_width, width)

    def measure(self, table: Tensor) -> None:
        """Take the size of the base model's embeddings from its table, (vocabulary, d_model)."""
        self.unit.copy_(table.detach().float().square().mean().sqrt())

    def forward(self, texts: Sequence[EditText]) -> Tensor:
        """(edits, width), in [-1, 1]."""
        rows = [self._sequence(text) for text in texts]
        packed = nn.utils.rnn.pack_sequence(rows, enforce_sorted=False)
        _, (last, _) = self.lstm(packed)  # (directions, edits, lstm_width)
        return torch.tanh(self.out(torch.cat(tuple(last), dim=1)))

    def _sequence(self, text: EditText) -> Tensor:
        """(tokens + 2, d_model)."""
        device = self.separators.device
        first, second = self.separators[:1], self.separators[1:]

        def embedded(tokens: Sequence[int]) -> Tensor:
            ids = torch.tensor(tokens, dtype=torch.long, device=device)
            return self._embed[0](ids).detach().float() / self.unit

        return torch.cat((embedded(text.prompt), first, embedded(text.old), second, embedded(text.new)))
