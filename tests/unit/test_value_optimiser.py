"""Steps of one length, each row on its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kedit_lifecycle.editors.locate.config import ValueSearchConfig
from kedit_lifecycle.editors.locate.optimiser import (
    NormalizedMomentum,
    make_optimiser,
    narrowed,
    natural_metric,
)

pytestmark = pytest.mark.unit

CONFIG = ValueSearchConfig(optimiser="normalized-momentum", learning_rate=0.3, momentum=0.6)


def descend(delta: Tensor, optimiser: torch.optim.Optimizer, centre: Tensor, steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        torch.autograd.backward(((delta - centre) ** 4).sum())
        optimiser.step()


def plain(centre: Tensor, steps: int, metric: Tensor | None = None) -> Tensor:
    """One row, written out: m ← μ m + g, δ ← δ − η √d M m/‖M m‖."""
    metric = torch.eye(len(centre)) if metric is None else metric
    delta, average = torch.zeros_like(centre), torch.zeros_like(centre)
    for _ in range(steps):
        average = 0.6 * average + 4 * (delta - centre) ** 3
        towards = metric @ average
        delta = delta - 0.3 * len(delta) ** 0.5 * towards / towards.norm()
    return delta


CENTRES = torch.randn(4, 16, generator=torch.Generator().manual_seed(0)) * 3


def test_each_row_takes_the_steps_it_would_take_alone() -> None:
    delta = torch.zeros(4, 16, requires_grad=True)
    descend(delta, make_optimiser(CONFIG, delta), CENTRES, 7)
    expected = torch.stack([plain(centre, 7) for centre in CENTRES])
    torch.testing.assert_close(delta.detach(), expected, rtol=1e-4, atol=1e-5)


FISHER = torch.randn(40, 16, generator=torch.Generator().manual_seed(1))
FISHER = FISHER.T @ FISHER * torch.logspace(-2, 1, 16)[:, None] * torch.logspace(-2, 1, 16)


def test_each_row_steps_in_the_metric_it_is_given() -> None:
    config = CONFIG.model_copy(update={"optimiser": "natural-momentum"})
    metric = natural_metric(FISHER, 0.1)
    delta = torch.zeros(4, 16, requires_grad=True)
    descend(delta, make_optimiser(config, delta, metric), CENTRES, 7)
    expected = torch.stack([plain(centre, 7, metric) for centre in CENTRES])
    torch.testing.assert_close(delta.detach(), expected, rtol=1e-3, atol=1e-4)
    assert float((delta.detach() - torch.stack([plain(c, 7) for c in CENTRES])).norm()) > 1


def test_the_natural_metric_is_the_inverse_of_the_damped_fisher_information_whatever_its_scale() -> None:
    damped = FISHER.double() / torch.linalg.eigvalsh(FISHER.double()).mean() + 0.1 * torch.eye(16)
    for scale in (1e-6, 1.0, 1e6):
        found = natural_metric(FISHER * scale, 0.1).double()
        torch.testing.assert_close(found @ damped, torch.eye(16).double(), rtol=0, atol=1e-4)
    nearly_gradient = natural_metric(FISHER, 1e6).double() * 1e6
    torch.testing.assert_close(nearly_gradient, torch.eye(16).double(), rtol=0, atol=1e-3)


def test_a_model_whose_output_does_not_matter_follows_the_gradient() -> None:
    torch.testing.assert_close(natural_metric(torch.zeros(4, 4), 0.5), 2 * torch.eye(4))


def test_a_row_without_gradient_stays() -> None:
    delta = torch.zeros(2, 16, requires_grad=True)
    delta.grad = torch.stack([torch.zeros(16), torch.ones(16)])
    NormalizedMomentum([delta], lr=0.5, momentum=0.5).step()
    assert torch.equal(delta[0], torch.zeros(16))
    assert float(delta[1].detach().norm()) == pytest.approx(0.5 * 4)


@pytest.mark.parametrize("optimiser", ["adam", "normalized-momentum", "natural-momentum"])
def test_rows_that_stay_go_on_as_if_the_others_had_not_left(optimiser: str) -> None:
    config = CONFIG.model_copy(update={"optimiser": optimiser})
    metric = natural_metric(FISHER, 0.1) if optimiser == "natural-momentum" else None
    whole = torch.zeros(4, 16, requires_grad=True)
    descend(whole, make_optimiser(config, whole, metric), CENTRES, 6)
    delta = torch.zeros(4, 16, requires_grad=True)
    first = make_optimiser(config, delta, metric)
    descend(delta, first, CENTRES, 3)
    rows = torch.tensor([0, 3])
    kept, going_on = narrowed(first, delta, rows)
    descend(kept, going_on, CENTRES[rows], 3)
    if metric is None:
        assert torch.equal(kept.detach(), whole.detach()[rows])
    else:  # a product of fewer rows is rounded in another way
        torch.testing.assert_close(kept.detach(), whole.detach()[rows], rtol=1e-5, atol=1e-6)
