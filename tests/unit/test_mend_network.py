"""MEND's networks: the identity at first, statistics, what is shared, and what training changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kedit_lifecycle.editors.learned.gradients import Factors
from kedit_lifecycle.editors.learned.network import EditText
from kedit_lifecycle.editors.mend import Mend, MendNetworkConfig
from kedit_lifecycle.editors.mend.network import LowRankLayer, MendNetwork, RunningNorm

pytestmark = pytest.mark.unit

WIDE, TALL = (6, 4), (4, 6)
SHAPES = {"low.up": WIDE, "low.down": TALL, "high.up": WIDE, "high.down": TALL}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gradients(rows: int = 2, tokens: int = 5) -> dict[str, Factors]:
    return {
        name: Factors(drawn(rows, tokens, d_out, seed=place), 3 + drawn(rows, tokens, d_in, seed=9 + place))
        for place, (name, (d_in, d_out)) in enumerate(SHAPES.items())
    }


def network(**settings: Any) -> MendNetwork:
    return MendNetwork(SHAPES, MendNetworkConfig(**{"edit_learning_rate": 0.5, "rank": 2, **settings}))


def test_before_anything_was_observed_it_is_a_step_along_the_gradient() -> None:
    found = network()([], gradients())
    for name, gradient in gradients().items():
        assert torch.allclose(found[name].dense(), -0.5 * gradient.dense(), atol=1e-6)


def test_a_token_without_a_gradient_gets_no_update_and_is_no_statistic() -> None:
    some = gradients()
    for factors in some.values():
        factors.left[0, 1] = 0.0
    made = network()
    made.observe(some)
    for layer in made.modules():
        if isinstance(layer, LowRankLayer):
            torch.nn.init.ones_(layer.bias)
    found = made([], some)
    for name in SHAPES:
        assert not found[name].left[0, 1].any()
        assert not found[name].right[0, 1].any()
        assert found[name].left[0, 0].any()
    assert [int(norm.count) for norm in made.modules() if isinstance(norm, RunningNorm)] == [9] * 8


def test_running_statistics_are_those_of_all_that_was_observed() -> None:
    values, norm = drawn(50, 3) * torch.tensor([1.0, 10.0, 0.1]) + 4, RunningNorm(3)
    for part in (values[:7], values[7:8], values[8:]):
        norm.observe(part)
    expected = (values - values.mean(dim=0)) / values.std(dim=0)
    assert torch.allclose(norm(values), expected, atol=1e-4)


def test_weights_of_one_shape_share_layers_and_keep_scale_shift_and_rate_of_their_own() -> None:
    made = network()
    assert len(made.stacks) == 2
    stack = made._layers_of["low.up"]
    assert stack is made._layers_of["high.up"]
    assert stack is not made._layers_of["low.down"]
    before = made([], gradients())
    with torch.no_grad():
        stack[0].shift[1] = 1.0  # of the second weight of this shape
        made.rates[0] = 0.25
    after = made([], gradients())
    assert torch.allclose(after["low.up"].dense(), before["low.up"].dense() / 2)
    assert not torch.allclose(after["high.up"].dense(), before["high.up"].dense())
    for name in ("low.down", "high.down"):
        assert torch.equal(after[name].dense(), before[name].dense())


def test_every_layer_has_a_gradient_at_the_identity() -> None:
    made = network()
    wanted = {name: drawn(2, d_out, d_in, seed=7) for name, (d_in, d_out) in SHAPES.items()}
    found = made([], gradients())
    torch.autograd.backward(sum((found[n].dense() - wanted[n]).square().sum() for n in SHAPES))
    for layer in made.modules():
        if isinstance(layer, LowRankLayer):
            for part in (layer.up, layer.bias, layer.shift):
                assert part.grad is not None
                assert part.grad.abs().sum() > 0


def test_the_rates_have_their_own_learning_rate() -> None:
    slow, fast = network(rate_learning_rate=3.0).groups(1.0)
    assert slow["lr"] == 1.0
    assert fast["lr"] == 3.0
    assert [tuple(one.shape) for one in fast["params"]] == [(4,)]
    assert not any(one is fast["params"][0] for one in slow["params"])


def test_the_paper_s_recipe_is_a_preset() -> None:
    network, loop = Mend.published_network, Mend.published_training
    assert isinstance(network, MendNetworkConfig)
    assert (network.rank, network.blocks) == (1920, 3)
    assert (network.edit_learning_rate, network.edit_weight) == (1e-4, 0.1)
    assert (loop.learning_rate, loop.clip, loop.accumulate) == (1e-6, 100.0, 10)


def test_of_the_subject_only_its_last_token_makes_the_update() -> None:
    texts = [EditText((1, 2, 3), (), (4,), subject_last=place) for place in (1, 2)]
    subject = MendNetwork(SHAPES, MendNetworkConfig(edit_learning_rate=0.5, rank=2, tokens="subject"))
    everything, found = network().updates(texts, gradients()), subject.updates(texts, gradients())
    for name, gradient in gradients().items():
        assert torch.allclose(everything[name].dense(), -0.5 * gradient.dense(), atol=1e-6)
        for row, place in enumerate((1, 2)):
            expected = -0.5 * gradient.left[row, place][:, None] * gradient.right[row, place]
            assert torch.allclose(found[name].dense()[row], expected, atol=1e-6)


def test_a_linear_last_layer_can_take_away_too() -> None:
    for last, least in (("clamped", 0.0), ("linear", -7.0)):
        made = network(last_layer=last, hidden_layers=0)
        with torch.no_grad():
            for layers in made.stacks.values():
                layers[-1].bias.fill_(-7.0)  # type: ignore[index]
        [layer] = made._layers_of["low.up"]
        assert float(layer(torch.zeros(2, 1, 1, 10)).detach().min()) == least


def test_inputs_that_are_white_already_are_not_normed_again() -> None:
    made = network(whiten=2, matrices="output")
    made.learn_sizes([], gradients())
    counts = [(int(first.count), int(second.count)) for first, second in made._norms]
    assert counts == [(0, 10)] * 4


def test_normed_by_their_own_size_long_and_short_gradients_make_updates_of_one_length() -> None:
    made = network(normalise="own")
    long = {
        name: Factors(one.left * torch.tensor([1.0, 3.0])[:, None, None], one.right)
        for name, one in gradients().items()
    }
    made.learn_sizes([], gradients())
    for name in SHAPES:
        found, same = (made([], given)[name].dense() for given in (gradients(), long))
        assert torch.allclose(found, same, atol=1e-5)
        length = float(made([], gradients())[name].left.detach().norm(dim=2).max())
        assert length == pytest.approx(0.5 * SHAPES[name][1] ** 0.5, rel=1e-4)


def test_a_gradient_of_almost_nothing_makes_an_update_of_almost_nothing() -> None:
    norm, values = RunningNorm(4), drawn(50, 4)
    norm.observe(values)
    whole, faint = norm.of_own_size(values).norm(dim=1), norm.of_own_size(values * 1e-3).norm(dim=1)
    assert float(whole.median()) == pytest.approx(2.0)
    assert float(faint.max()) < 0.05


def test_the_answer_s_gradient_is_read_in_direction_only_and_changes_nothing_at_the_identity() -> None:
    texts = [EditText((1, 2, 3), (), (4,), subject_last=place) for place in (0, 1)]
    settings = {"tokens": "subject", "answer_gradient": True}
    made, without = network(**settings), network(tokens="subject")
    longer = gradients()
    for one in longer.values():
        one.left[:, 2] *= 7.0  # the last token of the prompt
    other = gradients()
    for one in other.values():
        one.left[:, 2] = drawn(2, one.left.shape[2], seed=77)

    def dense(which: MendNetwork, given: dict[str, Factors]) -> dict[str, Tensor]:
        return {name: one.dense() for name, one in which.updates(texts, given).items()}

    for name, expected in dense(without, gradients()).items():
        assert torch.allclose(dense(made, other)[name], expected, atol=1e-6)
    for layer in made.modules():
        if isinstance(layer, LowRankLayer):
            torch.nn.init.normal_(layer.up)
    before = dense(made, gradients())
    for name, changed in dense(made, other).items():
        assert torch.allclose(dense(made, longer)[name], before[name], atol=1e-5)
        assert not torch.allclose(changed, before[name], atol=1e-2)
