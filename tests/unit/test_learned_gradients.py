"""A gradient as its factors, on every architecture, and an untrained MEND made from them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny import CORE_FAMILIES, tiny_editable
from tiny_workbench import requests
from torch import Tensor

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.editors.learned.editor import last_layers
from kedit_lifecycle.editors.learned.examples import encode_example
from kedit_lifecycle.editors.learned.gradients import Factors, is_transposed, mlp_weights, updated
from kedit_lifecycle.editors.learned.reading import edit_gradients, nll, read_edits
from kedit_lifecycle.editors.mend import MendConfig, MendNetworkConfig
from kedit_lifecycle.editors.statistics import open_statistics
from kedit_lifecycle.models.batching import hidden_states
from kedit_lifecycle.models.delta import WeightDelta, replay
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import CachedLower
from kedit_lifecycle.models.tokens import EncodedTarget

pytestmark = pytest.mark.unit

LAYERS = (1, 2)


@pytest.fixture(params=CORE_FAMILIES)
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable(str(request.param))


def targets(model: EditableModel, count: int) -> list[EncodedTarget]:
    return [encode_example(model, request).edit.new for request in requests(count)]


@torch.no_grad()
def token_nlls(model: EditableModel, target: EncodedTarget) -> list[float]:
    """NLL of each of the target's tokens, as the model stands."""
    logs = model.logits(hidden_states(model, [target.ids[:-1]])[0]).log_softmax(-1)
    return [-float(logs[at - 1, target.ids[at]]) for at in range(target.target_start, len(target.ids))]


def by_autograd(model: EditableModel, tensor: str, target: EncodedTarget) -> torch.Tensor:
    parameter = model.parameter(tensor).requires_grad_(True)
    hidden = hidden_states(model, [target.ids[:-1]])
    (found,) = torch.autograd.grad(nll(model, hidden, [target]).sum(), [parameter])
    parameter.requires_grad_(False)
    return found


def test_factors_of_a_padded_batch_are_each_rows_own_gradient(model: EditableModel) -> None:
    tensors, rows = mlp_weights(model, LAYERS), targets(model, 3)
    assert len({len(row.ids) for row in rows}) > 1 or len(rows) == 3
    factors = edit_gradients(model, tensors, rows)
    for tensor in tensors:
        for place, target in enumerate(rows):
            expected = by_autograd(model, tensor, target)
            found = factors[tensor].dense()[place]
            if is_transposed(model, tensor):
                found = found.T
            assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))


def test_rows_of_many_lengths_have_the_gradients_they_have_alone(model: EditableModel) -> None:
    tensors = mlp_weights(model, LAYERS)
    rows = [
        EncodedTarget(tuple(range(5, 5 + length)), length - 2)
        for length in (40, 4, 90, 11, 60, 4, 25, 70, 50)
    ]  # more than one batch, and in no order
    together = edit_gradients(model, tensors, rows)
    for place, row in enumerate(rows):
        alone = edit_gradients(model, tensors, [row])
        for tensor in tensors:
            expected, found = alone[tensor].dense()[0], together[tensor].dense()[place]
            assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
            assert together[tensor].left.shape[1] == 89


def test_a_gradient_from_the_lowest_layer_up_is_the_whole_runs(model: EditableModel) -> None:
    tensors, rows = mlp_weights(model, LAYERS), targets(model, 3)
    whole, losses = read_edits(model, tensors, rows)
    lower = CachedLower(model, LAYERS[0])
    for _ in range(2):
        found, own = read_edits(model, tensors, rows, run=lower.differentiable)
        torch.testing.assert_close((own.mean, own.worst), (losses.mean, losses.worst))
        for tensor in tensors:
            expected = whole[tensor].dense()
            least = 1e-6 * float(expected.abs().max())
            torch.testing.assert_close(found[tensor].dense(), expected, rtol=1e-4, atol=least)
    assert lower.computed == sum(len(row.ids) - 1 for row in rows)


def test_each_row_runs_with_its_own_update(model: EditableModel) -> None:
    tensor = mlp_weights(model, (2,))[-1]
    rows = [target.ids[:-1] for target in targets(model, 2)]
    gradient = edit_gradients(model, [tensor], targets(model, 2))[tensor]
    update = Factors(-0.5 * gradient.left, gradient.right)
    with updated(model, {tensor: update}), torch.no_grad():
        together = hidden_states(model, rows)
    for place, ids in enumerate(rows):
        dense = update.dense()[place]
        plain = model.parameter(tensor).data
        changed = plain + (dense.T if is_transposed(model, tensor) else dense)
        model.parameter(tensor).data = changed
        with torch.no_grad():
            alone = hidden_states(model, [ids])
        model.parameter(tensor).data = plain
        assert torch.allclose(together[place, : len(ids)], alone[0], atol=1e-4)


def test_an_untrained_mend_is_a_plain_gradient_step(model: EditableModel, tmp_path: Path) -> None:
    request, rate = requests(1)[0], MendNetworkConfig().edit_learning_rate
    statistics = open_statistics(model, tmp_path / "stats", BlobStore(tmp_path / "blobs"), share=False)
    delta = get_editor("mend").plan(model, [request], MendConfig(artefact="untrained"), statistics=statistics)
    _, tensors = last_layers(model, MendNetworkConfig().blocks)
    assert [one.tensor for one in delta.updates] == list(tensors)
    target = encode_example(model, request).edit.new
    for update in delta.updates:
        master = model.master(update.tensor)
        step = rate * by_autograd(model, update.tensor, target)
        found = replay(torch.zeros_like(master), update)
        assert torch.allclose(found, -step, rtol=1e-4, atol=1e-6 * float(step.abs().max()))


def change(model: EditableModel, plan: WeightDelta, place: int) -> Tensor:
    """The plan's change of the place-th weight it names, dense."""
    update = plan.updates[place]
    return replay(torch.zeros_like(model.master(update.tensor)), update)


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_batch_is_its_edits_in_a_row(rounds: int, model: EditableModel, tmp_path: Path) -> None:
    editor = get_editor("mend")
    config = MendConfig(artefact="untrained", scale=200.0, rounds=rounds, stop_probability=0.99)
    statistics = open_statistics(model, tmp_path / "stats", BlobStore(tmp_path / "blobs"), share=False)
    first, second = requests(2)
    before = model.masters
    both = editor.plan(model, [first, second], config, statistics=statistics)
    assert model.masters == before
    one = editor.plan(model, [first], config, statistics=statistics)
    elsewhere = editor.plan(model, [second], config, statistics=statistics)
    model.apply(one.updates)
    other = editor.plan(model, [second], config, statistics=statistics)
    for place, update in enumerate(both.updates):
        expected = change(model, one, place) + change(model, other, place)
        close = 1e-6 * float(expected.abs().max())
        assert torch.allclose(change(model, both, place), expected, atol=close)
        assert not torch.allclose(change(model, other, place), change(model, elsewhere, place), atol=close)
        assert update.rank == one.updates[place].rank + other.updates[place].rank


def test_a_further_round_starts_where_the_last_one_ended(model: EditableModel, tmp_path: Path) -> None:
    editor, once = get_editor("mend"), MendConfig(artefact="untrained", scale=200.0)
    twice = once.model_copy(update={"rounds": 2, "stop_probability": 0.99})
    statistics = open_statistics(model, tmp_path / "stats", BlobStore(tmp_path / "blobs"), share=False)
    some = requests(1)
    both = editor.plan(model, some, twice, statistics=statistics)
    first = editor.plan(model, some, once, statistics=statistics)
    reached = twice.model_copy(update={"stop_probability": 1e-9})
    enough = editor.plan(model, some, reached, statistics=statistics)
    for one, other in zip(first.updates, enough.updates, strict=True):
        assert torch.equal(one.left, other.left)
    model.apply(first.updates)
    second = editor.plan(model, some, once, statistics=statistics)
    for place in range(len(both.updates)):
        expected = change(model, first, place) + change(model, second, place)
        assert torch.allclose(change(model, both, place), expected, atol=1e-6 * float(expected.abs().max()))


def test_a_further_round_that_is_expected_to_be_enough_is_the_last(
    model: EditableModel, tmp_path: Path
) -> None:
    editor = get_editor("mend")
    asked = MendConfig(artefact="untrained", scale=200.0, rounds=3, stop_probability=0.99)
    statistics = open_statistics(model, tmp_path / "stats", BlobStore(tmp_path / "blobs"), share=False)
    some = requests(1)
    target = encode_example(model, some[0]).edit.new

    def ranks(**settings: float | None) -> list[int]:
        config = asked.model_copy(update=settings)
        return [one.rank for one in editor.plan(model, some, config, statistics=statistics).updates]

    first = editor.plan(model, some, asked.model_copy(update={"rounds": 1}), statistics=statistics)
    with model.trial():
        before = max(token_nlls(model, target))
        model.apply(first.updates)
        between = max(token_nlls(model, target))
    assert before > between
    share = (between + math.log(0.99)) / (before - between)  # of that gain, to be there after the next one
    once = [one.rank for one in first.updates]
    assert ranks(expected_gain=None) == [3 * rank for rank in once]
    assert ranks(expected_gain=share * 0.99) == [3 * rank for rank in once]
    assert ranks(expected_gain=share * 1.01) == [2 * rank for rank in once]  # and not the first


def test_a_target_is_reached_when_its_least_probable_token_is(model: EditableModel, tmp_path: Path) -> None:
    editor = get_editor("mend")
    once = MendConfig(artefact="untrained", scale=20.0)
    statistics = open_statistics(model, tmp_path / "stats", BlobStore(tmp_path / "blobs"), share=False)
    some = [requests(1)[0].model_copy(update={"target_new": "a large glass house"})]
    target = encode_example(model, some[0]).edit.new
    first = editor.plan(model, some, once, statistics=statistics)
    with model.trial():
        model.apply(first.updates)
        nlls = token_nlls(model, target)
    mean, worst = sum(nlls) / len(nlls), max(nlls)
    assert mean < 0.99 * worst

    def rounds(enough: float) -> list[int]:
        config = once.model_copy(update={"rounds": 2, "stop_probability": math.exp(-enough)})
        updates = editor.plan(model, some, config, statistics=statistics).updates
        return [one.rank // single.rank for one, single in zip(updates, first.updates, strict=True)]

    assert set(rounds((mean + worst) / 2)) == {2}  # the mean would do
    assert set(rounds(1.01 * worst)) == {1}


def test_the_reading_has_the_mean_and_the_worst_of_each_target(model: EditableModel) -> None:
    rows = [EncodedTarget((5, 6, 7, 8, 9), 2), EncodedTarget((11, 12, 13), 2)]
    _, read = read_edits(model, mlp_weights(model, LAYERS), rows)
    for place, row in enumerate(rows):
        own = token_nlls(model, row)
        assert float(read.worst[place]) == pytest.approx(max(own), rel=1e-4)
        assert float(read.mean[place]) == pytest.approx(sum(own) / len(own), rel=1e-4)


def test_the_gradient_of_repeated_rows_is_the_same_bits_each_time() -> None:
    draw = torch.Generator().manual_seed(0)
    places = torch.randint(4, (256,), generator=draw)
    weights = torch.randn(256, 8, 576, generator=draw)
    found = []
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        for _ in range(12):
            parts = [torch.zeros(4, 8, 576, requires_grad=True) for _ in range(2)]
            rows = Factors(*parts).rows(places)
            found.append(torch.cat(torch.autograd.grad((rows.left * weights + rows.right).sum(), parts)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, found[0]) for one in found)
