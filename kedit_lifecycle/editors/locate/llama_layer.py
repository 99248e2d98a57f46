"""A decoder layer of Llama over a suffix, with its gradient written out.

The products with the weights are most of a step of the search. What stands between them an automatic
gradient makes slow: a pass over memory for every operation of norms and rotary embeddings, and one for
each term of a sum. The weights are frozen, so there is only the gradient of the input. And every token is
computed once: only the attention, which is little of it, sees suffixes padded to one length.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from kedit_lifecycle.editors.locate.frozen_prefix import Attended
from kedit_lifecycle.editors.locate.packing import Packing


def can_run(layer: nn.Module) -> bool:
    """Whether the layer is Llama's own, and nothing but it: no bias, no adapter, no hook."""
    if type(layer) is not LlamaDecoderLayer or any(map(_is_watched, layer.modules())):
        return False
    linears = [module for module in layer.modules() if isinstance(module, nn.Linear)]
    plain = all(type(module) is nn.Linear and module.bias is None for module in linears)
    return plain and len(linears) == 7 and layer.self_attn.config.hidden_act == "silu"


def _is_watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def run(
    layer: nn.Module,
    hidden: Tensor,
    packing: Packing,
    position: tuple[Tensor, Tensor],
    prefix: tuple[Tensor, Tensor],
    mask: Tensor,
) -> Tensor:
    """What the layer makes of the suffixes, (tokens, d_model), differentiable in `hidden`.

    Args:
        layer: one that `can_run` accepts.
        hidden: (tokens, d_model), the suffixes behind each other.
        packing: where they lie.
        position: cosines and sines of the suffixes' positions, (batch, suffix, head width) each.
        prefix: keys and values before the suffix, (batch, key heads, prefix, head width); no gradient.
        mask: added to the scores, (batch, 1, suffix, prefix + suffix).
    """
    found: Tensor = _Layer.apply(hidden, layer, packing, position, prefix, mask)  # type: ignore[no-untyped-call]
    return found


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        layer: Any,
        packing: Packing,
        position: tuple[Tensor, Tensor],
        prefix: tuple[Tensor, Tensor],
        mask: Tensor,
    ) -> Tensor:
        attention = layer.self_attn
        weights = _Weights.of(layer)
        rotary = _Rotary(*position)

        def heads(rows: Tensor) -> Tensor:
            return _heads(packing.padded(rows), attention.head_dim)

        normed, first = _Norm.of(hidden, layer.input_layernorm)
        query = rotary.there(heads(linear(normed, weights.query)))
        key = rotary.there(heads(linear(normed, weights.key)))
        value = heads(linear(normed, weights.value))
        mixed, attended = Attended.of(query, key, value, prefix, mask, attention.scaling)
        middle = torch.addmm(hidden, packing.packed(mixed.transpose(1, 2)), weights.mixed.T)

        normed, second = _Norm.of(middle, layer.post_attention_layernorm)
        gate, up = linear(normed, weights.gate), linear(normed, weights.up)
        found = torch.addmm(middle, silu(gate).mul_(up), weights.down.T)
        ctx.save_for_backward(gate, up, *weights, *rotary, *first, *attended, *second)
        ctx.packing, ctx.scaling = packing, attention.scaling
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gate, up, *saved = ctx.saved_tensors
        weights, rotary, first = _Weights(*saved[:7]), _Rotary(*saved[7:9]), _Norm(*saved[9:12])
        attended, second = Attended(*saved[12:18]), _Norm(*saved[18:])
        packing: Packing = ctx.packing
        (of_found,) = gradients

        def tokens(heads: Tensor) -> Tensor:
            return packing.packed(heads.transpose(1, 2))

        of_product = of_found @ weights.down
        of_normed = (of_product * silu(gate)) @ weights.up
        of_gate = torch.ops.aten.silu_backward(of_product.mul_(up), gate)
        of_middle = second.back(of_normed.addmm_(of_gate, weights.gate)).add_(of_found)

        of_mixed = _heads(packing.padded_with_zeros(of_middle @ weights.mixed), rotary.width)
        of_query, of_key, of_value = attended.back(of_mixed, ctx.scaling)
        of_normed = tokens(rotary.back(of_query)) @ weights.query
        of_normed.addmm_(tokens(rotary.back(of_key)), weights.key)
        of_normed.addmm_(tokens(of_value), weights.value)
        return first.back(of_normed).add_(of_middle), None, None, None, None, None


def _heads(padded: Tensor, width: int) -> Tensor:
    """(batch, suffix, heads · width) -> (batch, heads, suffix, width)."""
    return padded.view(*padded.shape[:2], -1, width).transpose(1, 2)


class _Weights(NamedTuple):
    """A layer's matrices as they are in this pass, each (out, in)."""

    query: Tensor
    key: Tensor
    value: Tensor
    mixed: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor

    @classmethod
    def of(cls, layer: Any) -> _Weights:
        attention, mlp = layer.self_attn, layer.mlp
        linears = (
            attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj,
            mlp.gate_proj, mlp.up_proj, mlp.down_proj,
        )  # fmt: skip
        return cls(*(module.weight.detach() for module in linears))


class _Norm(NamedTuple):
    """y = w · x / √(mean x² + ε), as it was taken of `rows` (float32); `scale` is 1 / √(…)."""

    rows: Tensor
    scale: Tensor
    weight: Tensor

    @classmethod
    def of(cls, rows: Tensor, norm: Any) -> tuple[Tensor, _Norm]:
        exact = rows.float()
        squares = torch.linalg.vecdot(exact, exact)[:, None]
        scale = torch.rsqrt(squares / exact.shape[1] + norm.variance_epsilon)
        weight = norm.weight.detach()
        return (exact * scale).to(rows.dtype).mul_(weight), cls(exact, scale, weight)

    def back(self, gradient: Tensor) -> Tensor:
        """Of the rows; `gradient` is written over where it can be."""
        of_unit = gradient.mul_(self.weight).float()
        along = torch.linalg.vecdot(of_unit, self.rows)[:, None] * self.scale**3 / self.rows.shape[1]
        return of_unit.mul_(self.scale).addcmul_(self.rows, along, value=-1).to(gradient.dtype)


class _Rotary(NamedTuple):
    """x ↦ x · cos + rotate(x) · sin, rotate([a, b]) = [−b, a] (Su et al. 2021); and its transpose."""

    cos: Tensor  # (batch, suffix, width)
    sin: Tensor

    @property
    def width(self) -> int:
        """Of a head."""
        return self.cos.shape[-1]

    def there(self, heads: Tensor) -> Tensor:
        """(batch, heads, suffix, width), contiguous."""
        low, high = self.sin.chunk(2, dim=-1)
        return self._turned(heads, low, high, -1)

    def back(self, heads: Tensor) -> Tensor:
        """The transpose."""
        low, high = self.sin.chunk(2, dim=-1)
        return self._turned(heads, high, low, 1)

    def _turned(self, heads: Tensor, low: Tensor, high: Tensor, sign: int) -> Tensor:
        """Its halves a, b: a · cos + sign · b · low, b · cos − sign · a · high."""
        turned = torch.empty(heads.shape, dtype=heads.dtype, device=heads.device)
        torch.mul(heads, self.cos[:, None], out=turned)
        (first, second), (a, b) = turned.chunk(2, dim=-1), heads.chunk(2, dim=-1)
        first.addcmul_(b, low[:, None], value=sign)
        second.addcmul_(a, high[:, None], value=-sign)
        return turned
