"""A layer of Llama with its gradient written out is transformers' own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import WIDTH, tiny_editable
from torch import Tensor, nn
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from kedit_lifecycle.editors.locate import llama_layer
from kedit_lifecycle.editors.locate.suffix_forward import SuffixForward

pytestmark = pytest.mark.unit

SEQUENCES, STARTS = ([5, 9, 40, 7, 300, 12], [11], [50, 51, 52, 53]), (2, 0, 3)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run_and_gradient(model: Any) -> tuple[Tensor, Tensor]:
    """Final states of the suffix, and a gradient of the shift of its first token."""
    shift = drawn(7, len(SEQUENCES), WIDTH).to(model.dtype).requires_grad_()
    forward = SuffixForward(model, 0, SEQUENCES, STARTS)
    found = forward.run(forward.stream.index_add(0, forward.first, shift))
    weight = drawn(8, *found.shape).to(found.dtype)
    (gradient,) = torch.autograd.grad((found * weight).sum(), shift)
    return found.detach(), gradient


def scattered(model: Any) -> None:
    """Norms' weights that are not all one, as in a fresh model."""
    for place, module in enumerate(model.network.modules()):
        if type(module).__name__ == "LlamaRMSNorm":
            module.weight.data = (1 + 0.3 * drawn(place, *module.weight.shape)).to(module.weight.dtype)


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [(torch.float32, 1e-4, 1e-5), (torch.bfloat16, 0.05, 0.05)]
)
def test_states_and_gradients_are_those_of_the_models_own_layers(
    dtype: torch.dtype, rtol: float, atol: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_editable("llama", dtype)
    scattered(model)
    assert all(llama_layer.can_run(layer) for layer in model.architecture.layer_modules(model.network))
    calls = []
    run = llama_layer.run

    def counted(*given: Any) -> Tensor:
        calls.append(given)
        return run(*given)

    monkeypatch.setattr(llama_layer, "run", counted)
    ours, gradient = run_and_gradient(model)
    assert len(calls) == model.layer_count - 1
    monkeypatch.setattr(llama_layer, "can_run", lambda _: False)
    plain, expected = run_and_gradient(model)
    assert len(calls) == model.layer_count - 1
    torch.testing.assert_close(ours, plain, rtol=rtol, atol=atol)
    torch.testing.assert_close(gradient, expected, rtol=rtol, atol=atol * float(expected.abs().max()))


def test_an_edited_weight_is_the_one_that_is_used() -> None:
    model = tiny_editable("llama", torch.float32)
    before, _ = run_and_gradient(model)
    name = model.architecture.mlp_down_weight(1)
    model.parameter(name).data = 2 * model.parameter(name).data
    after, _ = run_and_gradient(model)
    assert not torch.allclose(before, after, rtol=1e-3, atol=1e-3)


def config(**changes: Any) -> LlamaConfig:
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_key_value_heads": 1}
    return LlamaConfig(**sizes | changes)


class Adapted(nn.Linear):
    """What an adapter would put in a matrix's place."""


class Derived(LlamaDecoderLayer):  # type: ignore[no-untyped-call]
    """A layer that may do anything."""


def test_only_llamas_own_layer_is_run_by_hand() -> None:
    layer = LlamaDecoderLayer(config(), 0)
    assert llama_layer.can_run(layer)
    layer.mlp.up_proj = Adapted(16, 24, bias=False)
    assert not llama_layer.can_run(layer)
    assert not llama_layer.can_run(Derived(config(), 0))
    assert not llama_layer.can_run(nn.Linear(2, 2))


@pytest.mark.parametrize("place", ["", "mlp.down_proj"])
def test_a_hook_is_heard(place: str) -> None:
    layer = LlamaDecoderLayer(config(), 0)
    hook = layer.get_submodule(place).register_forward_pre_hook(lambda *_: None)
    assert not llama_layer.can_run(layer)
    hook.remove()
    assert llama_layer.can_run(layer)


@pytest.mark.parametrize("changes", [{"attention_bias": True}, {"mlp_bias": True}, {"hidden_act": "gelu"}])
def test_other_shapes_of_llama_go_the_models_own_way(changes: dict[str, Any]) -> None:
    assert not llama_layer.can_run(LlamaDecoderLayer(config(**changes), 0))
