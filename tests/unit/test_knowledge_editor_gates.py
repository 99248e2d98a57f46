"""KnowledgeEditor's mathematics: gates against a dense reference, the condition, the constraint."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from kedit_lifecycle.editors.knowledge_editor.conditioner import Conditioner
from kedit_lifecycle.editors.knowledge_editor.config import GateConfig
from kedit_lifecycle.editors.knowledge_editor.constraint import KlConstraint
from kedit_lifecycle.editors.knowledge_editor.gates import OBSERVED, Gate, GateHead, squared_norm
from kedit_lifecycle.editors.knowledge_editor.network import GateNetwork
from kedit_lifecycle.editors.learned.gradients import Factors
from kedit_lifecycle.editors.learned.network import EditText

pytestmark = pytest.mark.unit

ROWS, TOKENS, D_IN, D_OUT = 3, 5, 7, 4
CONFIG = GateConfig(lstm_width=6, condition_width=8, gate_width=9, edit_learning_rate=0.02)
OWN = CONFIG.model_copy(update={"keys": "own", "tokens": "subject"})
TEXTS = [EditText((1, 2, 3), (4,), (5, 6)), EditText((7,), (), (8,)), EditText((1, 2, 3), (9,), (5, 6))]


def gradient(seed: int = 0) -> Factors:
    draw = torch.Generator().manual_seed(seed)
    return Factors(
        torch.randn(ROWS, TOKENS, D_OUT, generator=draw), torch.randn(ROWS, TOKENS, D_IN, generator=draw)
    )


def trained_looking(module: nn.Module) -> None:
    """Move every parameter to where nothing is 0 or alike."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()


def dense_update(gate: Gate, row: int, matrix: Tensor, scale: float, unit: Tensor) -> Tensor:
    """The paper's formula with full matrices, one entry at a time."""
    assert gate.alpha is not None
    assert gate.beta is not None
    alpha, beta = torch.softmax(gate.alpha[row], 0), torch.softmax(gate.beta[row], 0)
    found = torch.empty(D_OUT, D_IN)
    for i in range(D_OUT):
        for j in range(D_IN):
            gated = matrix[i, j] * alpha[i] * gate.gamma[row, j]
            found[i, j] = gated + unit * beta[i] * gate.delta[row, j]
    return scale * torch.sigmoid(gate.eta[row]) * found


def test_the_factors_are_the_dense_gates_and_offsets() -> None:
    head = GateHead(D_IN, D_OUT, CONFIG)
    trained_looking(head)
    head.observe(gradient(1))
    condition = torch.randn(ROWS, CONFIG.condition_width, generator=torch.Generator().manual_seed(2))
    found, gate = head(condition, gradient()), head.gate(condition)
    assert found.left.shape == (ROWS, TOKENS + 1, D_OUT)
    assert head.scale == -2 * D_OUT * CONFIG.edit_learning_rate
    for row in range(ROWS):
        matrix = sum(
            torch.outer(left, right)
            for left, right in zip(gradient().left[row], gradient().right[row], strict=True)
        )
        assert isinstance(matrix, Tensor)
        expected = dense_update(gate, row, matrix, head.scale, gradient(1).dense().square().mean().sqrt())
        torch.testing.assert_close(found.dense()[row], expected)
    assert not torch.allclose(found.dense()[0], found.dense()[1])


@pytest.mark.parametrize("own", [False, True])
def test_the_untrained_gate_is_a_plain_gradient_step(own: bool) -> None:
    head = GateHead(D_IN, D_OUT, OWN if own else CONFIG)
    some = own_gradient() if own else gradient()
    head.observe(some)
    found = head(torch.randn(ROWS, CONFIG.condition_width), some)
    torch.testing.assert_close(found.dense(), -CONFIG.edit_learning_rate * some.dense())


def own_gradient(seed: int = 0) -> Factors:
    return Factors(*(part[:, :1] for part in (gradient(seed).left, gradient(seed).right)))


def test_with_an_own_key_the_value_is_gated() -> None:
    head = GateHead(D_IN, D_OUT, OWN)
    trained_looking(head)
    head.observe(own_gradient(1))
    condition = torch.randn(ROWS, CONFIG.condition_width, generator=torch.Generator().manual_seed(2))
    found, gate = head(condition, own_gradient()), head.gate(condition)
    assert gate.alpha is gate.beta is None
    unit = own_gradient(1).left.square().mean().sqrt()
    for row in range(ROWS):
        key, value = own_gradient().right[row, 0], own_gradient().left[row, 0]
        size = -2 * CONFIG.edit_learning_rate * torch.sigmoid(gate.eta[row])
        gated = torch.stack([value[i] * gate.gamma[row, i] + unit * gate.delta[row, i] for i in range(D_OUT)])
        torch.testing.assert_close(found.dense()[row], size * torch.outer(gated, key))


@pytest.mark.parametrize("own", [False, True])
def test_every_part_of_the_gate_learns(own: bool) -> None:
    head = GateHead(D_IN, D_OUT, OWN if own else CONFIG)
    some = own_gradient() if own else gradient()
    trained_looking(head)
    head.observe(some)
    gate = head.gate(torch.randn(ROWS, CONFIG.condition_width))
    leaves = {
        field.name: getattr(gate, field.name).detach().requires_grad_()
        for field in dataclasses.fields(gate)
        if getattr(gate, field.name) is not None
    }
    assert len(leaves) == (3 if own else 5)
    head.gate = lambda condition: Gate(**leaves)  # type: ignore[method-assign]
    loss = head(torch.zeros(ROWS, 1), some).dense().square().sum()
    for part in torch.autograd.grad(loss, list(leaves.values())):
        assert part.abs().amax(dim=1).gt(0).all()


def test_the_norm_of_factors_is_that_of_their_matrix() -> None:
    torch.testing.assert_close(squared_norm(gradient()), gradient().dense().square().sum(dim=(1, 2)))


def test_the_size_of_gradients_is_their_mean_and_then_settled() -> None:
    head = GateHead(D_IN, D_OUT, CONFIG)
    for seed in (0, 1):
        head.observe(gradient(seed))
    both = torch.cat([gradient(0).dense(), gradient(1).dense()])
    torch.testing.assert_close(head.gradient_square, both.square().mean())
    for _ in range(OBSERVED):
        head.observe(gradient(0))
    settled = head.gradient_square.clone()
    head.observe(gradient(5))
    assert torch.equal(head.gradient_square, settled)


def conditioner() -> Conditioner:
    torch.manual_seed(0)
    embedding = nn.Embedding(10, 12)
    embedding.weight.data *= 50
    made = Conditioner(embedding, 12, lstm_width=6, width=8)
    made.measure(embedding.weight)
    return made


def test_a_condition_does_not_depend_on_the_rest_of_the_batch() -> None:
    made = conditioner()
    together = made(TEXTS)
    assert together.shape == (3, 8)
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(together[row], made([text])[0])


def test_input_old_and_new_answer_each_make_another_condition() -> None:
    made = conditioner()
    base = EditText((1, 2), (3,), (4,))
    others = [
        dataclasses.replace(base, prompt=(2, 1)),
        dataclasses.replace(base, old=(5,)),
        dataclasses.replace(base, new=(5,)),
        EditText((1,), (2, 3), (4,)),  # the same tokens, cut elsewhere
    ]
    conditions = made([base, *others])
    for other in conditions[1:]:
        assert (other - conditions[0]).abs().max() > 1e-3
    assert conditions.abs().max() < 0.999  # large embeddings do not saturate it


def test_the_base_models_embeddings_are_no_part_of_the_network() -> None:
    embedding = nn.Embedding(10, 12)
    network = GateNetwork({"a.weight": (D_IN, D_OUT)}, embedding, embedding.weight, CONFIG)
    assert not any(part.shape == embedding.weight.shape for part in network.state_dict().values())
    trained_looking(network)
    gradients = {"a.weight": gradient()}
    network.observe(gradients)
    network(TEXTS, gradients)["a.weight"].dense().sum().backward()
    assert embedding.weight.grad is None
    conditioned = [part for name, part in network.named_parameters() if "conditioner" in name]
    assert all(part.grad is not None and part.grad.abs().max() > 0 for part in conditioned)


def test_equal_settings_make_equal_networks_whatever_was_drawn_before() -> None:
    embedding = nn.Embedding(10, 12)
    made = []
    for seed in (3, 4):
        torch.manual_seed(seed)
        made.append(GateNetwork({"a": (D_IN, D_OUT)}, embedding, embedding.weight, CONFIG).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])


def test_the_multiplier_ascends_while_the_constraint_is_broken_and_is_never_negative() -> None:
    constraint = KlConstraint(
        GateConfig(margin_start=0.5, multiplier_rate=2.0, multiplier_start=1.0, multiplier_limit=3.0)
    )
    constraint.ascend(0.75)
    assert float(constraint.multiplier) == pytest.approx(1.5)
    constraint.ascend(0.0)
    assert float(constraint.multiplier) == pytest.approx(0.5)
    constraint.ascend(0.0)
    assert float(constraint.multiplier) == 0
    for _ in range(10):
        constraint.ascend(5.0)
    assert float(constraint.multiplier) == 3.0
    nll, kl = torch.tensor(2.0), torch.tensor(0.7)
    assert float(constraint.lagrangian(nll, kl)) == pytest.approx(2.0 + 3.0 * 0.2)


def test_the_margin_is_annealed_only_while_edits_succeed_and_down_to_its_end() -> None:
    constraint = KlConstraint(GateConfig(margin_start=0.1, margin_end=0.07, margin_decay=0.8, success=0.9))
    constraint.anneal(0.89)
    assert float(constraint.margin) == pytest.approx(0.1)
    constraint.anneal(0.9)
    assert float(constraint.margin) == pytest.approx(0.08)
    constraint.anneal(1.0)
    assert float(constraint.margin) == pytest.approx(0.07)


def test_multiplier_and_margin_are_resumed_with_the_network() -> None:
    embedding = nn.Embedding(10, 12)
    first, second = (GateNetwork({"a": (D_IN, D_OUT)}, embedding, embedding.weight, CONFIG) for _ in "ab")
    first.stepped(1.0)
    first.validated({"es": 1.0})
    second.load_state_dict(first.state_dict())
    for name in ("multiplier", "margin"):
        assert torch.equal(getattr(second.constraint, name), getattr(first.constraint, name))
    assert float(second.constraint.margin) < CONFIG.margin_start
