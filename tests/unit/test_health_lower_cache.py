"""A run from the lowest edited layer up gives what the whole run gives, and is never stale."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import CORE_FAMILIES, LAYERS, WIDTH, tiny_editable
from torch import Tensor

from kedit_lifecycle.evaluation.drift import DriftReference
from kedit_lifecycle.evaluation.perplexity import read_text
from kedit_lifecycle.evaluation.scoring import Scorer
from kedit_lifecycle.models.delta import TensorUpdate
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import CachedLower, run_whole

pytestmark = pytest.mark.unit

SEQUENCES = ((5, 9, 40, 7, 300, 12), (11,), (50, 51, 52, 53, 54, 55, 56, 57, 58), (200, 3, 77))
TEXT = "The river runs through the city, and the bridge over the river was built two hundred years ago. " * 3


@pytest.fixture(params=[*CORE_FAMILIES, "llama_tied", "qwen3", "gemma"])
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable(str(request.param))


def change(model: EditableModel, layer: int, scale: float = 0.3, seed: int = 0) -> None:
    """An edit of the layer's second MLP matrix, large enough to be seen."""
    name = model.architecture.mlp_down_weight(layer)
    rows, columns = model.parameter(name).shape
    generator = torch.Generator().manual_seed(seed)
    left = scale * torch.randn(2, rows, generator=generator)
    model.apply([TensorUpdate(name, "rank", left, torch.randn(2, columns, generator=generator))])


def assert_runs_as_the_whole_model(lower: CachedLower, sequences: Any = SEQUENCES) -> None:
    ours, theirs = lower(sequences), run_whole(lower.model, sequences)
    assert ours.shape == theirs.shape
    for row, ids in enumerate(sequences):
        torch.testing.assert_close(ours[row, : len(ids)], theirs[row, : len(ids)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", [1, 2])
def test_a_run_from_the_edited_layer_is_the_whole_run(model: EditableModel, layer: int) -> None:
    change(model, layer)
    lower = CachedLower(model)
    assert lower.start == layer
    for _ in range(2):
        assert_runs_as_the_whole_model(lower)
    assert lower.computed == sum(map(len, SEQUENCES))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_a_single_sequence_gives_the_same_bits(family: str, dtype: torch.dtype) -> None:
    model = tiny_editable(family, dtype)
    change(model, 2)
    assert torch.equal(CachedLower(model)([SEQUENCES[2]]), run_whole(model, [SEQUENCES[2]]))


def test_later_edits_of_the_layers_above_need_nothing_anew(model: EditableModel) -> None:
    change(model, 1)
    lower = CachedLower(model)
    before, computed = lower(SEQUENCES), lower.computed
    change(model, 2, seed=1)
    change(model, 1, seed=2)
    assert not torch.allclose(lower(SEQUENCES)[0], before[0], atol=1e-2)
    assert_runs_as_the_whole_model(lower)
    assert lower.computed == computed


def test_an_edit_further_down_is_noticed(model: EditableModel) -> None:
    change(model, 2)
    lower = CachedLower(model)
    lower(SEQUENCES)
    change(model, 1, seed=1)
    assert lower.start == 1
    assert_runs_as_the_whole_model(lower)
    assert lower.computed == 2 * sum(map(len, SEQUENCES))
    change(model, 0, seed=2)
    assert lower.start == 0
    assert_runs_as_the_whole_model(lower)


def test_what_was_kept_is_right_again_after_a_rollback(model: EditableModel) -> None:
    change(model, 2)
    lower, saved = CachedLower(model), model.masters
    before = lower(SEQUENCES)
    change(model, 1, seed=1)
    lower(SEQUENCES)
    model.restore(saved)
    computed = lower.computed
    assert torch.equal(lower(SEQUENCES), before)
    assert lower.computed == computed


def test_an_edit_outside_the_layers_turns_the_cache_off(model: EditableModel) -> None:
    change(model, 2)
    lower = CachedLower(model)
    lower(SEQUENCES)
    name = next(n for n, p in model.network.named_parameters() if p is embeddings(model))
    model.apply([TensorUpdate(name, "add", 0.1 * torch.ones_like(model.master(name)))])
    assert lower.start == 0
    assert_runs_as_the_whole_model(lower)


def embeddings(model: EditableModel) -> Tensor:
    weight: Tensor = model.network.get_input_embeddings().weight
    return weight


def test_the_unedited_model_runs_whole_unless_a_layer_is_named(model: EditableModel) -> None:
    assert CachedLower(model).start == 0
    named = CachedLower(model, layer=2)
    assert named.start == 2
    assert_runs_as_the_whole_model(named)
    computed = named.computed
    change(model, 2)
    assert_runs_as_the_whole_model(named)
    assert named.computed == computed
    with model.unedited():
        assert_runs_as_the_whole_model(named)
    change(model, 1)
    assert named.start == 1


def test_the_same_weights_give_the_same_bits_whatever_is_kept(model: EditableModel) -> None:
    change(model, 1)
    warm = CachedLower(model)
    warm(SEQUENCES[1:3])
    warm(SEQUENCES[::-1])
    assert torch.equal(warm(SEQUENCES), CachedLower(model)(SEQUENCES))
    assert torch.equal(warm(SEQUENCES), CachedLower(model, memory_mib=0.001)(SEQUENCES))


def test_no_more_memory_is_held_than_allowed() -> None:
    model = tiny_editable("llama")
    change(model, 1)
    room = 12 * WIDTH * 4  # twelve positions in float32
    lower = CachedLower(model, memory_mib=room / 2**20)
    assert_runs_as_the_whole_model(lower)
    assert 0 < lower.held_bytes <= room
    lower([(1, 2, 3)])
    lower([(4, 5, 6, 7)])
    lower([(1, 2, 3)])
    lower([(8, 9, 10, 11, 12, 13)])  # three, four and six: the four were not asked for the longest
    before = lower.computed
    lower([(1, 2, 3)])
    assert lower.computed == before
    lower([(4, 5, 6, 7)])
    assert lower.computed == before + 4
    assert lower.held_bytes <= room
    lower([tuple(range(20, 40))])  # does not fit at all
    assert lower.held_bytes <= room
    assert_runs_as_the_whole_model(lower, [tuple(range(20, 40))])


def test_without_memory_the_whole_model_is_run() -> None:
    model = tiny_editable("gpt2")
    change(model, 1)
    lower = CachedLower(model, memory_mib=0)
    assert torch.equal(lower(SEQUENCES), run_whole(model, SEQUENCES))
    assert (lower.held_bytes, lower.computed) == (0, 0)


class BrokenError(Exception):
    """Raised in the middle of a pass."""


def test_the_model_is_whole_again_after_a_run_and_after_an_error(
    model: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(model, 2)
    lower = CachedLower(model)
    whole = run_whole(model, SEQUENCES)
    lower(SEQUENCES)
    layers = model.architecture.layer_modules(model.network)
    assert all("forward" not in layer.__dict__ for layer in layers)
    assert all(not layer._forward_hooks and not layer._forward_pre_hooks for layer in layers)

    def broken(*_: Any, **__: Any) -> None:
        raise BrokenError

    with monkeypatch.context() as patch:
        patch.setattr(layers[LAYERS - 1].get_submodule(model.architecture.mlp), "forward", broken)
        with pytest.raises(BrokenError):
            lower(SEQUENCES)
    assert all("forward" not in layer.__dict__ for layer in layers)
    assert torch.equal(run_whole(model, SEQUENCES), whole)


def test_a_layers_own_replaced_forward_is_put_back(model: EditableModel) -> None:
    """As accelerate does it, which puts a `forward` of its own on the module."""
    change(model, 2)
    layer = model.architecture.layer_modules(model.network)[0]
    original, calls = layer.forward, []

    def counted(*arguments: Any, **keywords: Any) -> Any:
        calls.append(1)
        return original(*arguments, **keywords)

    layer.forward = counted
    lower = CachedLower(model)
    lower([SEQUENCES[0]])
    lower([SEQUENCES[0]])
    assert len(calls) == 1
    assert layer.forward is counted


def test_lower_layers_are_run_once(model: EditableModel) -> None:
    change(model, 2)
    calls = [0] * LAYERS
    for number in range(LAYERS):
        down = model.network.get_submodule(model.architecture.mlp_down_path(number))
        down.register_forward_hook(lambda *_, at=number: calls.__setitem__(at, calls[at] + 1))
    lower = CachedLower(model)
    for _ in range(5):
        lower(SEQUENCES)
    assert calls == [len(SEQUENCES), len(SEQUENCES), 5]


def test_all_readings_agree_with_and_without_the_cache(model: EditableModel) -> None:
    samples = [[5, 9, 40, 7, 300, 12], [50, 51, 52, 53]]
    reference = DriftReference.build(model, samples)
    change(model, 1)
    lower = CachedLower(model)
    plain, cached = read_text(model, TEXT, window=40), read_text(model, TEXT, window=40, hidden=lower)
    assert cached.perplexity().value == pytest.approx(plain.perplexity().value, rel=1e-5)
    assert cached.perplexity().protocol == plain.perplexity().protocol
    assert cached.predicted == plain.predicted
    drift = reference.drift(model, lower).value
    assert drift > 1e-3
    assert drift == pytest.approx(reference.drift(model).value, rel=1e-4)
    pairs = [("The capital of France is", "Rome"), ("The capital of France is", "Paris"), ("Water", "boils")]
    for ours, theirs in zip(
        Scorer(model, hidden=lower).score_targets(pairs), Scorer(model).score_targets(pairs), strict=True
    ):
        assert ours.total_logprob == pytest.approx(theirs.total_logprob, rel=1e-4)
        assert ours.is_argmax == theirs.is_argmax
