"""Steps of one length, each row on its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kedit_lifecycle.editors.locate.config import ValueSearchConfig
from kedit_lifecycle.editors.locate.optimiser import NormalizedMomentum, make_optimiser, narrowed

pytestmark = pytest.mark.unit

CONFIG = ValueSearchConfig(optimiser="normalized-momentum", learning_rate=0.3, momentum=0.6)


def descend(delta: Tensor, optimiser: torch.optim.Optimizer, centre: Tensor, steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        torch.autograd.backward(((delta - centre) ** 4).sum())
        optimiser.step()


def plain(centre: Tensor, steps: int) -> Tensor:
    """One row, written out: m ← μ m + g, δ ← δ − η √d m/‖m‖."""
    delta, average = torch.zeros_like(centre), torch.zeros_like(centre)
    for _ in range(steps):
        average = 0.6 * average + 4 * (delta - centre) ** 3
        delta = delta - 0.3 * len(delta) ** 0.5 * average / average.norm()
    return delta


CENTRES = torch.randn(4, 16, generator=torch.Generator().manual_seed(0)) * 3


def test_each_row_takes_the_steps_it_would_take_alone() -> None:
    delta = torch.zeros(4, 16, requires_grad=True)
    descend(delta, make_optimiser(CONFIG, delta), CENTRES, 7)
    expected = torch.stack([plain(centre, 7) for centre in CENTRES])
    torch.testing.assert_close(delta.detach(), expected, rtol=1e-4, atol=1e-5)


def test_a_row_without_gradient_stays() -> None:
    delta = torch.zeros(2, 16, requires_grad=True)
    delta.grad = torch.stack([torch.zeros(16), torch.ones(16)])
    NormalizedMomentum([delta], lr=0.5, momentum=0.5).step()
    assert torch.equal(delta[0], torch.zeros(16))
    assert float(delta[1].detach().norm()) == pytest.approx(0.5 * 4)


@pytest.mark.parametrize("optimiser", ["adam", "normalized-momentum"])
def test_rows_that_stay_go_on_as_if_the_others_had_not_left(optimiser: str) -> None:
    config = CONFIG.model_copy(update={"optimiser": optimiser})
    whole = torch.zeros(4, 16, requires_grad=True)
    descend(whole, make_optimiser(config, whole), CENTRES, 6)
    delta = torch.zeros(4, 16, requires_grad=True)
    first = make_optimiser(config, delta)
    descend(delta, first, CENTRES, 3)
    rows = torch.tensor([0, 3])
    kept, going_on = narrowed(first, config, delta, rows)
    descend(kept, going_on, CENTRES[rows], 3)
    assert torch.equal(kept.detach(), whole.detach()[rows])
