"""The divergence in float32 against float64, over all sizes of edits."""

from __future__ import annotations

import pytest
import torch

from kedit_lifecycle.evaluation.drift import _kl, _wide_kl

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("shift", [0.0, 7.0])
@pytest.mark.parametrize("scale", [1e-3, 1e-2, 0.1, 1.0, 5.0])
def test_the_divergence_is_precise_however_small(scale: float, shift: float) -> None:
    generator = torch.Generator().manual_seed(0)
    base = 4 * torch.randn(8, 5000, generator=generator)
    edited = base + scale * torch.randn(8, 5000, generator=generator) + shift
    assert _kl(base, edited) == pytest.approx(_wide_kl(base, edited), rel=2e-3, abs=8e-7)


def test_logits_that_overflow_float32_are_taken_in_float64() -> None:
    base = torch.zeros(2, 3)
    base[:, 0] = 150.0
    edited = torch.zeros(2, 3)
    edited[:, 1] = 150.0
    assert _kl(base, edited) == pytest.approx(300.0)


def test_equal_logits_have_no_divergence_at_all() -> None:
    logits = 4 * torch.randn(8, 5000, generator=torch.Generator().manual_seed(1))
    assert _kl(logits, logits.clone()) == 0.0
