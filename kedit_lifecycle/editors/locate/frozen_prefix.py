"""Attention of a suffix over a prefix that stays: the prefix is neither copied nor given a gradient.

An attention that knows nothing of it would have both put behind each other at every step, repeated for each
query head of a group (grouped-query attention), and would compute gradients for all of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ARGUMENT = "frozen_prefix"
"""The name under which a layer's call carries its prefix to the attention."""
_NAME = "kedit_frozen_prefix"


class PrefixCache(Cache):
    """Keys and values of the untouched prefix, (batch, key heads, prefix, head width), by layer.

    Attributes:
        attended: the attention asks for them itself; otherwise `update` puts them before the suffix's.
    """

    def __init__(self, prefix: dict[int, tuple[Tensor, Tensor]], network: Any) -> None:
        super().__init__(layers=[])
        self._prefix = prefix
        self.attended = can_attend(network)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """What the layer attends to; nothing is kept."""
        if self.attended:
            return key_states, value_states
        keys, values = self.of(layer_idx)
        return torch.cat([keys, key_states], dim=2), torch.cat([values, value_states], dim=2)

    def of(self, layer: int) -> tuple[Tensor, Tensor]:
        """The prefix's keys and values in a layer."""
        return self._prefix[layer]

    def narrow(self, rows: Tensor, slots: Tensor) -> None:
        """Keep only these rows of the batch, and these positions."""
        self._prefix = {
            layer: (keys[rows][:, :, slots], values[rows][:, :, slots])
            for layer, (keys, values) in self._prefix.items()
        }


def can_attend(network: Any) -> bool:
    """Whether the model asks transformers' table of attentions, with the one that is replaced here."""
    return bool(network.config._attn_implementation == "sdpa")


@contextlib.contextmanager
def attending(network: Any, prefix: PrefixCache) -> Iterator[None]:
    """Inside, the layers attend to the `PrefixCache` that their calls carry, if it is one for that."""
    if not prefix.attended:
        yield
        return
    config = network.config
    before = config._attn_implementation
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = before


class Attended(NamedTuple):
    """What the gradient of an attention over a frozen prefix needs, beside its scale."""

    query: Tensor  # the query heads of a group below each other, (batch, key heads, group · suffix, width)
    key: Tensor
    value: Tensor
    prefix_keys: Tensor
    prefix_values: Tensor
    weights: Tensor  # (batch, key heads, group · suffix, prefix + suffix)

    @classmethod
    def of(
        cls,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        prefix: tuple[Tensor, Tensor],
        mask: Tensor,
        scale: float,
    ) -> tuple[Tensor, Attended]:
        """softmax(q [K_prefix; k]ᵀ · scale + mask) [V_prefix; v], of the arguments of `attend`."""
        batch, heads, suffix, width = query.shape
        groups = key.shape[1]
        keys, values = prefix
        before = keys.shape[2]
        grouped = query.reshape(batch, groups, -1, width)
        scores = torch.cat([grouped @ keys.transpose(2, 3), grouped @ key.transpose(2, 3)], dim=3).float()
        by_head = scores.mul_(scale).view(batch, heads, suffix, -1).add_(mask)
        weights = by_head.softmax(dim=3).to(query.dtype).view(batch, groups, -1, before + suffix)
        found: Tensor = weights[..., :before] @ values + weights[..., before:] @ value
        return found.view(query.shape), cls(grouped, key, value, keys, values, weights)

    def back(self, gradient: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of query, key and value of the suffix."""
        keys, values = self.prefix_keys, self.prefix_values
        before, shape = keys.shape[2], gradient.shape
        gradient = gradient.reshape(self.query.shape)
        of_value = self.weights[..., before:].transpose(2, 3) @ gradient
        of_weights = torch.cat(
            [gradient @ values.transpose(2, 3), gradient @ self.value.transpose(2, 3)], dim=3
        ).float()
        exact = self.weights.float()
        of_scores = exact * (of_weights - (exact * of_weights).sum(dim=3, keepdim=True)) * scale
        of_scores = of_scores.to(self.query.dtype)
        of_query = of_scores[..., :before] @ keys + of_scores[..., before:] @ self.key
        of_key = of_scores[..., before:].transpose(2, 3) @ self.query
        return of_query.view(shape), of_key, of_value


class _Attention(torch.autograd.Function):
    """`Attended`, differentiable in q, k and v."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        """`given` as to `attend`."""
        found, attended = Attended.of(*given)
        ctx.save_for_backward(*attended)
        ctx.scale = given[-1]
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Of the suffix alone."""
        return *Attended(*ctx.saved_tensors).back(gradients[0], ctx.scale), None, None, None


def attend(
    query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor], mask: Tensor, scale: float
) -> Tensor:
    """Scaled dot-product attention of the suffix over prefix and suffix, (batch, heads, suffix, width).

    Args:
        query: (batch, heads, suffix, width).
        key: (batch, key heads, suffix, width); so many heads in a row of the query share one.
        value: the same shape.
        prefix: keys and values before the suffix, (batch, key heads, prefix, width); no gradient.
        mask: added to the scores, (batch, 1, suffix, prefix + suffix).
        scale: of the scores.
    """
    found: Tensor = _Attention.apply(query, key, value, prefix, mask, scale)  # type: ignore[no-untyped-call]
    return found


def _for_transformers(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    prefix = more[ARGUMENT].of(module.layer_idx)
    return attend(query, key, value, prefix, attention_mask, scale).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(_NAME, _for_transformers)
