"""The losses of the search and their gradient are those of PyTorch's own functions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from kedit_lifecycle.editors.locate.losses import losses

pytestmark = pytest.mark.unit

TARGETS = torch.tensor([3, 0, 3, 6])


def drawn(rows: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(rows, 7, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("essences", [0, 1, 3])
def test_values_and_gradients(essences: int) -> None:
    logits = drawn(len(TARGETS) + essences).requires_grad_()
    before = drawn(essences, seed=1).log_softmax(1)
    weights = torch.linspace(-1, 2, len(TARGETS) + essences)
    found = losses(logits, TARGETS, before)
    (ours,) = torch.autograd.grad((torch.cat([found.nll, found.kl]) * weights).sum(), logits)
    nll = cross_entropy(logits[: len(TARGETS)], TARGETS, reduction="none")
    now = logits[len(TARGETS) :].log_softmax(1)
    kl = kl_div(now, before, reduction="none", log_target=True).sum(1)
    torch.testing.assert_close(found.nll, nll)
    torch.testing.assert_close(found.kl, kl, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.now, now)
    assert torch.equal(found.certain, logits[: len(TARGETS)].argmax(1) == TARGETS)
    (expected,) = torch.autograd.grad((torch.cat([nll, kl]) * weights).sum(), logits)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_a_gradient_is_there_once() -> None:
    """It is written over what it is made of."""
    logits = drawn(4).requires_grad_()
    found = losses(logits, TARGETS, None).nll.sum()
    torch.autograd.grad(found, logits, retain_graph=True)
    with pytest.raises(RuntimeError, match="inplace"):
        torch.autograd.grad(found, logits)


def test_what_the_first_logits_say_is_what_should_stay() -> None:
    found = losses(drawn(6).requires_grad_(), TARGETS, None)
    assert found.kl.tolist() == [0.0, 0.0]
    again = losses(drawn(6), TARGETS, found.now)
    assert again.kl.tolist() == [0.0, 0.0]


def test_a_target_of_no_probability_at_all_has_a_loss_and_a_gradient() -> None:
    """exp(−300) is nothing in float32."""
    logits = torch.tensor([[0.0, 300.0]], requires_grad=True)
    found = losses(logits, torch.tensor([0]), None)
    assert found.nll.item() == 300.0
    (gradient,) = torch.autograd.grad(found.nll.sum(), logits)
    assert gradient.tolist() == [[-1.0, 1.0]]


def test_what_is_no_number_stays_in_its_row() -> None:
    logits = drawn(4)
    logits[1, 2] = float("nan")
    found = losses(logits, TARGETS, None)
    assert found.nll.isnan().tolist() == [False, True, False, False]
