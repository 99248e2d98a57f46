"""A part of a model gives what the whole model gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tiny import CORE_FAMILIES, FEED_FORWARD, LAYERS, WIDTH, tiny_editable
from torch import Tensor

from kedit_lifecycle.editors.locate.prefix_states import SharedHeads
from kedit_lifecycle.editors.locate.suffix_forward import SuffixForward
from kedit_lifecycle.models.delta import TensorUpdate
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.partial_run import LayerSpan, call_by_name

pytestmark = pytest.mark.unit

SEQUENCES = ([5, 9, 40, 7, 300, 12], [11], [50, 51, 52, 53, 54, 55, 56, 57, 58], [200, 3, 77])
STARTS = (2, 0, 6, 1)
"""The subject's last token: prefixes of 2, 0, 6 and 1 tokens, suffixes of 4, 1, 3 and 2."""


@pytest.fixture(params=[*CORE_FAMILIES, "llama_tied", "qwen3", "gemma"])
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable(str(request.param), torch.float32)


class Whole:
    """One sequence through the whole network, unpadded: what went into and out of a layer."""

    def __init__(self, model: EditableModel, ids: Sequence[int], layer: int) -> None:
        kept: dict[str, Tensor] = {}

        def keep(_: Any, arguments: Any, keywords: dict[str, Any], output: Any) -> None:
            kept["in"] = arguments[0] if arguments else keywords["hidden_states"]
            kept["out"] = output[0] if isinstance(output, tuple) else output

        def keep_mlp(_: Any, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            kept["key"], kept["value"] = arguments[0], output

        module = model.architecture.layer_modules(model.network)[layer]
        down = model.network.get_submodule(model.architecture.mlp_down_path(layer))
        hooks = [module.register_forward_hook(keep, with_kwargs=True), down.register_forward_hook(keep_mlp)]
        with torch.no_grad():
            tokens = torch.tensor([list(ids)])
            output = model.hidden_states(tokens, torch.ones_like(tokens))
        for hook in hooks:
            hook.remove()
        self.entrance, self.exit, self.key, self.value = (kept[n][0] for n in ("in", "out", "key", "value"))
        self.final: Tensor = output.last_hidden_state[0]


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    """Up to float32's rounding, of which a small entry has as much as the large ones it is a sum of."""
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=max(1e-5, 2e-6 * float(theirs.abs().max())))


def assert_same_rows(ours: Tensor, name: str, model: EditableModel, layer: int) -> None:
    """A padded batch against every sequence alone."""
    for row, ids in enumerate(SEQUENCES):
        assert_same(ours[row, : len(ids)], getattr(Whole(model, ids, layer), name))


def change_layer(model: EditableModel, layer: int) -> None:
    """An edit of the layer's second MLP matrix that is large enough to be seen."""
    name = model.architecture.mlp_down_weight(layer)
    rows, columns = model.parameter(name).shape
    generator = torch.Generator().manual_seed(layer)
    left = torch.randn(2, rows, generator=generator)
    right = torch.randn(2, columns, generator=generator)
    model.apply([TensorUpdate(name, "rank", left, right)])


@pytest.mark.parametrize("first", [0, 1])
def test_a_span_stands_at_the_entrance_of_its_first_layer(model: EditableModel, first: int) -> None:
    span = LayerSpan(model, SEQUENCES, first, LAYERS - 1)
    assert span.layer == first
    assert_same_rows(span.hidden, "entrance", model, first)


def test_keys_are_those_of_the_whole_network(model: EditableModel) -> None:
    span = LayerSpan(model, SEQUENCES, 0, LAYERS - 1)
    for layer in range(LAYERS):
        assert span.keys().shape == (len(SEQUENCES), len(SEQUENCES[2]), FEED_FORWARD)
        assert_same_rows(span.keys(), "key", model, layer)
        if layer < LAYERS - 1:
            span.advance()


def test_the_stream_behind_any_layer_is_that_of_the_whole_network(model: EditableModel) -> None:
    span = LayerSpan(model, SEQUENCES, 0, LAYERS - 1)
    for layer in range(LAYERS):
        assert_same_rows(span.at(layer), "exit", model, layer)
    span.advance()
    assert span.layer == 1
    assert_same_rows(span.hidden, "entrance", model, 1)
    assert_same_rows(span.at(LAYERS - 1), "exit", model, LAYERS - 1)


def test_a_span_follows_edits_of_the_layers_it_has_not_passed(model: EditableModel) -> None:
    span = LayerSpan(model, SEQUENCES, 0, LAYERS - 1)
    for layer in range(LAYERS - 1):
        before = span.at(LAYERS - 1)
        change_layer(model, layer)
        assert not torch.allclose(span.at(LAYERS - 1), before, atol=1e-2)
        assert_same_rows(span.at(LAYERS - 1), "exit", model, LAYERS - 1)
        span.advance()
        assert_same_rows(span.hidden, "entrance", model, layer + 1)
        assert_same_rows(span.keys(), "key", model, layer + 1)


def test_a_span_of_one_layer_needs_no_other(model: EditableModel) -> None:
    span = LayerSpan(model, SEQUENCES, 1, 1)
    assert_same_rows(span.keys(), "key", model, 1)
    assert_same_rows(span.at(1), "exit", model, 1)


def test_reading_leaves_no_gradient_and_moves_nothing(model: EditableModel) -> None:
    span = LayerSpan(model, SEQUENCES, 0, LAYERS - 1)
    before = span.hidden.clone()
    assert not span.keys().requires_grad
    assert not span.at(LAYERS - 1).requires_grad
    assert torch.equal(span.hidden, before)
    assert span.layer == 0


def hook_count(model: EditableModel) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.network.modules())


class BrokenError(Exception):
    """Raised in the middle of a pass."""


def break_layer(model: EditableModel, layer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise BrokenError

    path = model.architecture.mlp_down_path(layer).rpartition(".")[0]
    monkeypatch.setattr(model.network.get_submodule(path), "forward", broken)


def test_hooks_are_gone_after_every_pass(model: EditableModel) -> None:
    before = hook_count(model)
    span = LayerSpan(model, SEQUENCES, 0, LAYERS - 1)
    assert hook_count(model) == before
    span.keys()
    span.advance()
    span.at(LAYERS - 1)
    SuffixForward(model, 0, SEQUENCES, STARTS)
    assert hook_count(model) == before


def test_hooks_are_gone_after_an_error(model: EditableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hook_count(model)
    span = LayerSpan(model, SEQUENCES, 0, LAYERS - 1)
    break_layer(model, 0, monkeypatch)
    with pytest.raises(BrokenError):
        LayerSpan(model, SEQUENCES, 0, LAYERS - 1)
    with pytest.raises(BrokenError):
        span.keys()
    with pytest.raises(BrokenError):
        SuffixForward(model, 1, SEQUENCES, STARTS)
    assert hook_count(model) == before


def test_a_call_is_told_by_the_names_of_its_parameters() -> None:
    class Layer(torch.nn.Module):
        def forward(self, hidden_states: int, mask: int | None = None, **more: int) -> None: ...

    named = call_by_name(Layer(), (1,), {"mask": 2, "position": 3})
    assert named == {"hidden_states": 1, "mask": 2, "position": 3}
    assert call_by_name(Layer(), (1, 2), {}) == {"hidden_states": 1, "mask": 2}


def shifted(forward: SuffixForward, shift: Tensor) -> Tensor:
    """The stream with something added at each subject's last token, shift (batch, d_model)."""
    return forward.stream.index_add(0, forward.first, shift)


def by_row(packed: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """What belongs to each row, of what stands one behind the other."""
    return torch.split(packed, list(sizes))


def whole_run(model: EditableModel, ids: Sequence[int], start: int, layer: int, shift: Tensor) -> Tensor:
    """Final hidden states of the whole network, suffix only, with the same added by a hook."""

    def add(_: Any, __: Any, output: Any) -> Any:
        changed = (output[0] if isinstance(output, tuple) else output).clone()
        changed[0, start] += shift
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    module = model.architecture.layer_modules(model.network)[layer]
    hook = module.register_forward_hook(add)
    final = Whole(model, ids, 0).final
    hook.remove()
    return final[start:]


def suffixes(rows: Sequence[int]) -> list[int]:
    return [len(SEQUENCES[row]) - STARTS[row] for row in rows]


SHIFTS = torch.randn(len(SEQUENCES), WIDTH, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("layer", [0, 1])
@torch.no_grad()
def test_a_suffix_runs_as_the_whole_network_does(model: EditableModel, layer: int) -> None:
    forward = SuffixForward(model, layer, SEQUENCES, STARTS)
    sizes = suffixes(range(len(SEQUENCES)))
    untouched = by_row(forward.run(forward.stream), sizes)
    final = by_row(forward.run(shifted(forward, SHIFTS)), sizes)
    stream = by_row(forward.stream, sizes)
    for row, (ids, start) in enumerate(zip(SEQUENCES, STARTS, strict=True)):
        whole = Whole(model, ids, layer)
        assert_same(forward.keys[row], whole.key[start])
        assert_same(forward.values[row], whole.value[start])
        assert_same(stream[row], whole.exit[start:])
        assert_same(untouched[row], whole.final[start:])
        assert_same(final[row], whole_run(model, ids, start, layer, SHIFTS[row]))


NARROWINGS = [
    [[0, 1, 3], [0, 2], [1]],  # the longest prefix leaves, then the row without one, then the longest suffix
    [[1, 2], [1]],  # the longest suffix leaves, then all but the longest prefix
    [[0, 1, 2, 3], [1]],  # none leaves, then only the row without a prefix stays
]


@pytest.mark.parametrize("narrowings", NARROWINGS)
@torch.no_grad()
def test_rows_that_are_kept_run_as_before(model: EditableModel, narrowings: list[list[int]]) -> None:
    forward = SuffixForward(model, 0, SEQUENCES, STARTS)
    kept = list(range(len(SEQUENCES)))
    before = by_row(forward.run(shifted(forward, SHIFTS)), suffixes(kept))
    untouched = {name: getattr(forward, name).clone() for name in ("keys", "values")}
    stream = by_row(forward.stream.clone(), suffixes(kept))
    for rows in narrowings:
        forward.narrow(torch.tensor(rows))
        kept = [kept[row] for row in rows]
        after = by_row(forward.run(shifted(forward, SHIFTS[kept])), suffixes(kept))
        for name in ("keys", "values"):
            assert torch.equal(getattr(forward, name), untouched[name][kept])
        now = by_row(forward.stream, suffixes(kept))
        for place, row in enumerate(kept):
            assert_same(after[place], before[row])
            assert torch.equal(now[place], stream[row])


def test_gradients_of_the_rows_that_are_kept_are_as_before(model: EditableModel) -> None:
    def gradient(forward: SuffixForward, kept: list[int]) -> Tensor:
        shift = SHIFTS[kept].clone().requires_grad_()
        (found,) = torch.autograd.grad(forward.run(shifted(forward, shift)).square().sum(), shift)
        return found

    forward = SuffixForward(model, 1, SEQUENCES, STARTS)
    before = gradient(forward, [0, 1, 2, 3])
    forward.narrow(torch.tensor([0, 3]))
    torch.testing.assert_close(gradient(forward, [0, 3]), before[[0, 3]], rtol=1e-3, atol=1e-3)


ALIKE = ([5, 9, 40, 7, 300, 12], [5, 9, 41, 8], [60, 61, 62, 63, 64], [60, 61, 62, 90, 91, 92, 93], [8, 9])
ALIKE_STARTS, ALIKE_HEADS = (3, 2, 3, 5, 0), (2, 2, 3, 3, 0)


def alike_heads(model: EditableModel) -> SharedHeads:
    return SharedHeads(model, [ids[:size] for ids, size in zip(ALIKE, ALIKE_HEADS, strict=True)])


@pytest.mark.parametrize("before", [True, False])
@torch.no_grad()
def test_beginnings_that_are_run_together_change_nothing(model: EditableModel, before: bool) -> None:
    """Heads of 2, 3 and no tokens; the subject's last token is right behind its head, or further on."""
    heads = alike_heads(model) if before else None
    forward = SuffixForward(model, 0, ALIKE, ALIKE_STARTS, ALIKE_HEADS, heads)
    shift = torch.randn(len(ALIKE), WIDTH, generator=torch.Generator().manual_seed(4))
    wanted = [
        whole_run(model, ids, start, 0, row)
        for ids, start, row in zip(ALIKE, ALIKE_STARTS, shift, strict=True)
    ]
    kept = [0, 1, 2, 3, 4]
    for rows in ([0, 1, 2, 3, 4], [0, 1, 3, 4], [1, 3]):
        forward.narrow(torch.tensor(rows))
        kept = [kept[row] for row in rows]
        final = by_row(forward.run(shifted(forward, shift[kept])), [len(wanted[row]) for row in kept])
        for place, row in enumerate(kept):
            whole = Whole(model, ALIKE[row], 0)
            assert_same(final[place], wanted[row])
            assert_same(forward.keys[place], whole.key[ALIKE_STARTS[row]])
            assert_same(forward.values[place], whole.value[ALIKE_STARTS[row]])


@torch.no_grad()
def test_a_row_of_neither_beginning_nor_prefix_stands_beside_those_that_have_one(
    model: EditableModel,
) -> None:
    forward = SuffixForward(model, 0, [ALIKE[4]], [0], [0], alike_heads(model))
    assert_same(forward.run(forward.stream), Whole(model, ALIKE[4], 0).final)
