"""Sequences of different length one behind the other; and padded, where attention wants that."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """Where the tokens of a batch lie: packed, (tokens, …), and padded to the longest, (batch, width, …).

    Attributes:
        lengths: of each sequence, (batch,).
        first: where each one begins when packed, (batch,).
        places: the padded place of every token, of batch · width, (tokens,).
        sources: the token at every padded place, (batch · width,); padding repeats its sequence's last.
    """

    lengths: Tensor
    first: Tensor
    places: Tensor
    sources: Tensor

    @classmethod
    def of(cls, lengths: Tensor) -> Packing:
        """Of sequences of these lengths, none of them empty."""
        columns = torch.arange(int(lengths.max()), device=lengths.device)
        first = lengths.cumsum(0) - lengths
        places = (columns < lengths[:, None]).flatten().nonzero()[:, 0]
        sources = first[:, None] + columns.minimum(lengths[:, None] - 1)
        return cls(lengths, first, places, sources.flatten())

    @property
    def width(self) -> int:
        """Of the longest sequence."""
        return len(self.sources) // len(self.lengths)

    @property
    def _even(self) -> bool:
        """Whether there is no padding."""
        return len(self.places) == len(self.sources)

    def padded(self, packed: Tensor) -> Tensor:
        """(tokens, n) -> (batch, width, n); padding repeats the sequence's last token."""
        rows = packed if self._even else packed.index_select(0, self.sources)
        return rows.view(len(self.lengths), self.width, -1)

    def padded_with_zeros(self, packed: Tensor) -> Tensor:
        """(tokens, n) -> (batch, width, n): the transpose of `packed`, as a gradient asks for."""
        rows = packed
        if not self._even:
            rows = packed.new_zeros(len(self.sources), packed.shape[1]).index_copy_(0, self.places, packed)
        return rows.view(len(self.lengths), self.width, -1)

    def packed(self, padded: Tensor) -> Tensor:
        """(batch, width, n) -> (tokens, n)."""
        rows = padded.reshape(len(self.sources), -1)
        return rows if self._even else rows.index_select(0, self.places)

    def tokens_of(self, rows: Tensor) -> Tensor:
        """The places, packed, of these sequences' tokens, one sequence behind the other."""
        columns = torch.arange(self.width, device=rows.device)
        return self.sources.view(-1, self.width)[rows][columns < self.lengths[rows, None]]
