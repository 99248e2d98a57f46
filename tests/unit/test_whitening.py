"""Coordinates in which inputs are even: C^(-1/2) by the book, there and back, and what small inputs do."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_editable
from torch import Tensor

from kedit_lifecycle.editors.learned.gradients import Factors
from kedit_lifecycle.editors.learned.whitening import SMALLEST, Entered, Whitening
from kedit_lifecycle.editors.mend import Mend, MendNetworkConfig
from kedit_lifecycle.editors.mend.network import MendNetwork
from kedit_lifecycle.editors.statistics.second_moment import key_width
from kedit_lifecycle.errors import UsageError

pytestmark = pytest.mark.unit

WIDTH = 6


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inputs() -> Tensor:
    """(tokens, WIDTH), with one direction that is in all of them."""
    return drawn(400, WIDTH) @ drawn(WIDTH, WIDTH, seed=1) + 5 * drawn(WIDTH, seed=2)


def measured(rank: int) -> Whitening:
    made = Whitening(WIDTH, rank)
    made.measure(inputs().T @ inputs() / len(inputs()))
    return made


def test_with_every_direction_the_second_moment_is_that_of_white_noise() -> None:
    white = measured(WIDTH)(inputs())
    found = white.T @ white / len(white)
    assert torch.allclose(found, found[0, 0] * torch.eye(WIDTH), atol=1e-4)


def test_with_some_the_strongest_are_as_strong_as_the_weakest_of_them_and_the_rest_stays() -> None:
    before = torch.linalg.eigvalsh(inputs().T @ inputs()).flip(0)
    white = measured(3)(inputs())
    after = torch.linalg.eigvalsh(white.T @ white).flip(0)
    assert torch.allclose(after, torch.cat([before[2].expand(3), before[3:]]), rtol=1e-3)


@pytest.mark.parametrize("rank", [2, WIDTH])
def test_an_update_answers_its_own_input_in_full_and_by_the_whitened_likeness_another(rank: int) -> None:
    whitening = measured(rank)
    own, other = inputs()[:2]
    gradient = Factors(drawn(1, 1, 4), own[None, None])
    entered = whitening.enter(gradient)
    assert torch.allclose(entered.factors.right.square().mean(dim=2), torch.ones(1, 1))
    update = whitening.leave(entered.factors, entered.sizes).dense()[0]  # (4, WIDTH)
    value = gradient.left[0, 0]
    assert torch.allclose(update @ own, value, rtol=1e-3, atol=1e-4)
    first, second = whitening(own), whitening(other)
    likeness = (first @ second) / (first @ first)
    assert torch.allclose(update @ other, value * likeness, rtol=1e-3, atol=1e-4)


def test_with_every_direction_it_is_rome_s_key() -> None:
    own = inputs()[0]
    gradient = Factors(torch.ones(1, 1, 1), own[None, None])
    whitening = measured(WIDTH)
    entered = whitening.enter(gradient)
    found = whitening.leave(entered.factors, entered.sizes).right[0, 0]
    key = torch.linalg.solve((inputs().T @ inputs()).double(), own.double())
    assert torch.allclose(found, (key / (key @ own.double())).float(), rtol=1e-2, atol=1e-5)


def test_until_it_was_measured_it_changes_nothing() -> None:
    gradient = Factors(drawn(2, 3, 4), drawn(2, 3, WIDTH))
    whitening = Whitening(WIDTH, 3)
    assert whitening.enter(gradient) == Entered(gradient, None)
    assert whitening.leave(gradient, None) is gradient


def test_a_small_input_s_update_is_no_blow_to_the_others_and_padding_stays_nothing() -> None:
    whitening = measured(WIDTH)
    own = inputs()[0] * 1e-6
    gradient = Factors(torch.ones(1, 2, 1), torch.stack([own, torch.zeros(WIDTH)])[None])
    entered = whitening.enter(gradient)
    update = whitening.leave(entered.factors, entered.sizes)
    assert float(update.right.norm()) < 1 / (SMALLEST * float(whitening.size)) * float(whitening.gains.max())
    assert not update.right[0, 1].any()
    assert update.right.isfinite().all()


def test_rows_beyond_the_tokens_answer_an_input_of_typical_size() -> None:
    whitening = measured(WIDTH)
    gradient = Factors(drawn(1, 1, 4), inputs()[None, :1])
    offset = Factors(drawn(1, 2, 4), drawn(1, 2, WIDTH))
    found = whitening.leave(offset, whitening.enter(gradient).sizes).right[0, 1]
    assert torch.allclose(found, whitening(offset.right)[0, 1] / (float(whitening.size) * WIDTH**0.5))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_what_is_whitened_is_the_matrix_that_writes_to_the_residual_stream(family: str) -> None:
    model = tiny_editable(family)
    trainable = Mend().trainable(model, {"blocks": 2, "matrices": "output", "whiten": 4})
    assert trainable.tensors == tuple(map(model.architecture.mlp_down_weight, trainable.layers))
    for tensor, layer in zip(trainable.tensors, trainable.layers, strict=True):
        assert trainable.network.whitening(tensor).directions.shape == (key_width(model, layer), 4)
    with pytest.raises(UsageError, match=r"mend network, whiten: .*matrices=output"):
        Mend().trainable(model, {"whiten": 4, "matrices": "all"})


def test_a_network_keeps_its_coordinates_with_its_tensors() -> None:
    shapes = {"a.weight": (WIDTH, 4)}
    first, second = (
        MendNetwork(shapes, MendNetworkConfig(rank=2, whiten=3, matrices="output")) for _ in "ab"
    )
    first.whitening("a.weight").measure(inputs().T @ inputs())
    gradient = {"a.weight": Factors(drawn(1, 2, 4), drawn(1, 2, WIDTH))}
    assert not torch.equal(first.updates([], gradient)["a.weight"].right, gradient["a.weight"].right)
    second.load_state_dict(first.state_dict())
    for one in ("left", "right"):
        found = (getattr(each.updates([], gradient)["a.weight"], one) for each in (first, second))
        assert torch.equal(*found)
