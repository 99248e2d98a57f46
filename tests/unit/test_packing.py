"""Sequences behind each other, and padded."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kedit_lifecycle.editors.locate.packing import Packing

pytestmark = pytest.mark.unit

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=6)


def numbered(packing: Packing) -> torch.Tensor:
    """Every token its number, in two columns."""
    return torch.arange(1.0, 2 * len(packing.places) + 1).view(-1, 2)


@given(LENGTHS)
def test_padding_stands_behind_each_sequence_and_repeats_its_last(lengths: list[int]) -> None:
    packing = Packing.of(torch.tensor(lengths))
    rows = numbered(packing)
    padded = packing.padded(rows)
    assert padded.shape == (len(lengths), max(lengths), 2)
    for one, first, length in zip(padded, packing.first, lengths, strict=True):
        torch.testing.assert_close(one[:length], rows[first : first + length])
        torch.testing.assert_close(one[length:], rows[first + length - 1].expand(max(lengths) - length, 2))
    torch.testing.assert_close(packing.packed(padded), rows)


@given(LENGTHS)
def test_padding_with_zeros_is_the_transpose_of_packing(lengths: list[int]) -> None:
    packing = Packing.of(torch.tensor(lengths))
    padded = torch.randn(len(lengths), packing.width, 2, dtype=torch.float64, requires_grad=True)
    rows = numbered(packing).double()
    (gradient,) = torch.autograd.grad(packing.packed(padded), padded, rows)
    torch.testing.assert_close(packing.padded_with_zeros(rows), gradient)


@given(LENGTHS, st.data())
def test_tokens_of_some_sequences(lengths: list[int], data: st.DataObject) -> None:
    packing = Packing.of(torch.tensor(lengths))
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, unique=True))
    expected = [int(packing.first[row]) + place for row in rows for place in range(lengths[row])]
    assert packing.tokens_of(torch.tensor(rows)).tolist() == expected
