"""`EditableModel`: what is applied comes back off, bit for bit, and the base is never written to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import CORE_FAMILIES, FAMILIES, tiny_editable, tiny_model
from tiny_workbench import DTYPES, all_fingerprints

from kedit_lifecycle.errors import ModelError, UnknownArchitectureError
from kedit_lifecycle.models import architectures
from kedit_lifecycle.models.architectures import Architecture, architecture_of
from kedit_lifecycle.models.delta import TensorUpdate, replay
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.fingerprints import tensor_fingerprint

pytestmark = pytest.mark.unit

EDITABLE = tuple(family for family in FAMILIES if family != "gemma2")


def update(model: EditableModel, layer: int, seed: int = 0, scale: float = 0.1) -> TensorUpdate:
    name = model.architecture.mlp_down_weight(layer)
    rows, columns = model.parameter(name).shape
    generator = torch.Generator().manual_seed(seed)
    left, right = (scale * torch.randn(2, size, generator=generator) for size in (rows, columns))
    return TensorUpdate(name, "rank", left, right)


@pytest.fixture(params=list(DTYPES.values()), ids=list(DTYPES))
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable("gpt2", request.param)


def test_apply_gives_the_replayed_master_cast_to_the_models_dtype(model: EditableModel) -> None:
    one, two = update(model, 0), update(model, 0, seed=1)
    base = model.master(one.tensor)
    before = model.fingerprints(one.tensor)
    first, second = model.apply([one, two])
    expected = replay(replay(base, one), two)
    assert torch.equal(model.master(one.tensor), expected)
    assert torch.equal(model.parameter(one.tensor), expected.to(model.dtype))
    assert model.parameter(one.tensor).dtype == model.dtype
    assert (first.before, first.after) == (before, second.before)
    assert second.after == model.fingerprints(one.tensor)
    assert second.after.master == tensor_fingerprint(expected)
    assert first.norm == pytest.approx(float((replay(base, one) - base).double().norm()))


def test_the_model_answers_with_what_was_applied(model: EditableModel) -> None:
    ids = torch.tensor([[5, 6, 7]])

    def answer() -> torch.Tensor:
        with torch.no_grad():
            logits: torch.Tensor = model.network(input_ids=ids).logits
        return logits

    before = answer()
    with model.trial():
        model.apply([update(model, 0)])
        changed = answer()
        assert not torch.equal(changed, before)
        with model.unedited():
            assert torch.equal(answer(), before)
        assert torch.equal(answer(), changed)
    assert torch.equal(answer(), before)


def test_the_base_is_never_written_to(model: EditableModel) -> None:
    name = model.architecture.mlp_down_weight(0)
    base = model.parameter(name).data
    address, kept = base.data_ptr(), base.clone()
    model.apply([update(model, 0)])
    edited = model.parameter(name)
    assert edited.data_ptr() != address
    edited.data.zero_()
    with model.unedited():
        assert model.parameter(name).data_ptr() == address
    model.restore({})
    assert model.parameter(name).data_ptr() == address
    assert torch.equal(base, kept)
    assert model.masters == {}


def test_a_float32_parameter_is_not_its_master() -> None:
    model = tiny_editable("gpt2")
    (applied,) = model.apply([update(model, 0)])
    name = applied.update.tensor
    model.parameter(name).data.zero_()
    assert tensor_fingerprint(model.master(name)) == applied.after.master


def test_restore_makes_exactly_the_given_tensors_edited(model: EditableModel) -> None:
    states: list[tuple[dict[str, torch.Tensor], dict[str, str]]] = [({}, all_fingerprints(model))]
    for one in (update(model, 0), update(model, 1), update(model, 0, seed=2)):
        model.apply([one])
        states.append((dict(model.masters), all_fingerprints(model)))
    for index in (0, 3, 1, 2, 0, 2, 3):
        masters, expected = states[index]
        model.restore(masters)
        assert all_fingerprints(model) == expected
        assert model.masters.keys() == masters.keys()


def edit_and_fail(model: EditableModel) -> None:
    model.apply([update(model, 1, seed=5)])
    model.parameter("nowhere")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_middle_leaves_everything_as_before(
    model: EditableModel, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    model.apply([update(model, 0)])
    before, masters = all_fingerprints(model), model.masters
    bad = TensorUpdate(model.architecture.mlp_down_weight(1), "add", torch.zeros(1))
    if error is KeyboardInterrupt:
        install, left = model._install, [2]

        def interrupted(tensor: str, master: torch.Tensor) -> None:
            install(tensor, master)
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

        monkeypatch.setattr(model, "_install", interrupted)
        bad = update(model, 1)
    with pytest.raises(error):
        model.apply([update(model, 0, seed=3), bad])
    assert all_fingerprints(model) == before
    assert model.masters.keys() == masters.keys()
    with pytest.raises(ModelError), model.trial():
        edit_and_fail(model)
    assert all_fingerprints(model) == before


@pytest.mark.parametrize("family", EDITABLE)
def test_every_family_names_modules_that_are_there(family: str) -> None:
    model = tiny_editable(family)
    assert model.layer_count == 3
    assert model.dtype == torch.float32
    for layer in range(3):
        weight = model.parameter(model.architecture.mlp_down_weight(layer))
        assert tuple(weight.shape) == ((64, 32) if model.architecture.transposed else (32, 64))
        module = model.network.get_submodule(f"{model.architecture.layers}.{layer}")
        for part in (model.architecture.attention, model.architecture.mlp):
            assert module.get_submodule(part) is not None
    ids, mask = torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.long)
    with torch.no_grad():
        hidden = model.hidden_states(ids, mask).last_hidden_state
        torch.testing.assert_close(model.logits(hidden), model.network(input_ids=ids).logits)


@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_the_edited_matrix_writes_straight_into_the_stream(family: str) -> None:
    """What is added to its output is added to the layer's output: no norm and no scale in between."""
    model = tiny_editable(family)
    layer = model.architecture.layer_modules(model.network)[1]
    down = model.network.get_submodule(model.architecture.mlp_down_path(1))
    push = torch.randn(32, generator=torch.Generator().manual_seed(0))
    streams = []

    def keep(_: Any, __: Any, output: Any) -> None:
        streams.append(output[0] if isinstance(output, tuple) else output)

    layer.register_forward_hook(keep)
    ids, mask = torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.long)
    with torch.no_grad():
        model.hidden_states(ids, mask)
        down.register_forward_hook(lambda _, __, output: output + push)
        model.hidden_states(ids, mask)
    torch.testing.assert_close(streams[1] - streams[0], push.expand(1, 3, 32), rtol=1e-4, atol=1e-4)


def test_tied_weights_change_together_and_are_edited_under_one_name() -> None:
    model = tiny_editable("llama_tied")
    before = all_fingerprints(model)
    name, alias = "model.embed_tokens.weight", "lm_head.weight"
    assert name in before
    assert alias not in before
    dense = torch.full((400, 32), 0.5)
    with pytest.raises(ModelError, match=r"'lm_head.weight' is tied to 'model.embed_tokens.weight'"):
        model.apply([TensorUpdate(alias, "add", dense)])
    model.apply([TensorUpdate(name, "add", dense)])
    head, embedding = model.network.get_output_embeddings(), model.network.get_input_embeddings()
    assert head.weight.data_ptr() == embedding.weight.data_ptr()
    model.restore({})
    assert all_fingerprints(model) == before
    assert head.weight.data_ptr() == embedding.weight.data_ptr()


def test_a_parameter_that_is_not_there_is_named() -> None:
    model = tiny_editable("llama")
    for name in ("model.layers.9.mlp.down_proj.weight", "", "model.layers.0"):
        with pytest.raises(ModelError, match=f"no parameter '{name}'"):
            model.apply([TensorUpdate(name, "set", torch.zeros(1))])


def test_an_unknown_architecture_is_named_and_the_known_ones_listed() -> None:
    with pytest.raises(UnknownArchitectureError, match=r"'mamba2'; supported: .*gpt2.*llama") as caught:
        architecture_of(SimpleNamespace(model_type="mamba2"))
    assert "kedit.architectures" in caught.value.hint
    network, tokenizer = tiny_model("gemma2")  # a norm stands between its MLP and the stream
    with pytest.raises(UnknownArchitectureError, match="'gemma2'"):
        EditableModel(network, tokenizer, name="g", source="s")


def test_an_installed_package_may_supply_an_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    supplied = Architecture("new", ("brandnew", "llama"), "b", "l", "n", "d", "a", "m")
    entry = SimpleNamespace(load=lambda: supplied)
    monkeypatch.setattr(
        architectures, "entry_points", lambda group: [entry] if group == "kedit.architectures" else []
    )
    assert architecture_of(SimpleNamespace(model_type="brandnew")) is supplied
    assert architecture_of(SimpleNamespace(model_type="llama")) is supplied
    assert architecture_of(SimpleNamespace(model_type="gptj")).family == "gptj"
