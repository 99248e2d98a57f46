"""Run only what an edit can change: the layers above it, from the subject's last token onwards.

Attention is causal, so a change of the stream at the subject's last token, behind layer L, leaves
every earlier position and every layer up to L as they are. Those are run once; their keys and
values are kept, and each step runs the suffix alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import pad_batch


class _PrefixCache(Cache):
    """Keys and values of the untouched prefix; hands them out before the suffix's and keeps nothing."""

    def __init__(self, prefix: dict[int, tuple[Tensor, Tensor]]) -> None:
        super().__init__(layers=[])
        self._prefix = prefix

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """(batch, heads, prefix + suffix, head width) for this layer."""
        keys, values = self._prefix[layer_idx]
        return torch.cat([keys, key_states], dim=2), torch.cat([values, value_states], dim=2)


class SuffixForward:
    """A batch that went through the model once, to be run again from (layer, subject's last token).

    Attributes:
        keys: input of the layer's second MLP matrix at the subject's last token, (batch, d_ff).
        values: its output there, (batch, d_model).
        stream: the residual stream behind the layer, suffix only, (batch, suffix, d_model).
        final: final-normed hidden states of the untouched run, suffix only, (batch, suffix, d_model).
        start: position of the subject's last token in each sequence, (batch,).
    """

    def __init__(
        self, model: EditableModel, layer: int, sequences: Sequence[Sequence[int]], start: Sequence[int]
    ) -> None:
        self._model = model
        self._upper = model.architecture.layer_modules(model.network)[layer + 1 :]
        self._calls: list[dict[str, Any]] = []
        self._full: dict[str, Tensor] = {}
        self.start = torch.tensor(start, device=model.device)
        lengths = torch.tensor([len(s) for s in sequences], device=model.device)
        width = int((lengths - self.start).max())
        # (batch, suffix): positions of the suffix; those behind a short sequence's end repeat its last
        self._positions = (self.start[:, None] + torch.arange(width, device=model.device)).clamp(
            max=lengths[:, None] - 1
        )
        cache = self._run_once(layer, sequences)
        rows = torch.arange(len(sequences), device=model.device)
        self.keys = self._full["keys"][rows, self.start]
        self.values = self._full["values"][rows, self.start]
        self.stream = self._suffix(self._full["stream"])
        self.final = self._suffix(self._full["final"])
        self._mask = self._attention_mask(int(self.start.max()), width)
        self._prefix = _PrefixCache(self._prefix_states(cache, layer))
        self._calls = [self._on_suffix(call) for call in self._calls]
        self._full.clear()

    def _run_once(self, layer: int, sequences: Sequence[Sequence[int]]) -> Any:
        input_ids, attention_mask = pad_batch(sequences, self._model.pad_id, self._model.device)
        hooks = self._hooks(layer)
        try:
            with torch.no_grad():
                output = self._model.hidden_states(input_ids, attention_mask, use_cache=True)
        finally:
            for hook in hooks:
                hook.remove()
        self._full["final"] = output.last_hidden_state
        return output.past_key_values

    def _hooks(self, layer: int) -> list[Any]:
        architecture, network = self._model.architecture, self._model.network

        def keep_mlp(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            self._full["keys"], self._full["values"] = arguments[0], output

        def keep_stream(_: nn.Module, __: Any, output: Any) -> None:
            self._full["stream"] = _first(output)

        def keep_call(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            self._calls.append(_by_name(module, arguments, keywords))

        edited = network.get_submodule(architecture.mlp_down_path(layer))
        this = architecture.layer_modules(network)[layer]
        hooks = [edited.register_forward_hook(keep_mlp), this.register_forward_hook(keep_stream)]
        hooks += [m.register_forward_pre_hook(keep_call, with_kwargs=True) for m in self._upper]
        return hooks

    def _suffix(self, full: Tensor) -> Tensor:
        """(batch, positions, …) -> (batch, suffix, …)."""
        rows = torch.arange(len(self._positions), device=full.device)[:, None]
        return full.expand(len(self._positions), *full.shape[1:])[rows, self._positions]

    def _attention_mask(self, prefix: int, width: int) -> Tensor:
        """Additive mask (batch, 1, suffix, prefix + suffix): every row sees its own prefix, then causally."""
        slots = torch.arange(prefix, device=self.start.device)
        before = (slots < self.start[:, None])[:, None, :].expand(-1, width, -1)
        causal = torch.ones(width, width, dtype=torch.bool, device=self.start.device).tril()
        seen = torch.cat([before, causal.expand(len(self.start), -1, -1)], dim=2)
        dtype = self._model.dtype
        mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
        return mask.masked_fill(~seen, torch.finfo(dtype).min)[:, None]

    def _prefix_states(self, cache: Any, layer: int) -> dict[int, tuple[Tensor, Tensor]]:
        prefix = int(self.start.max())
        count = len(self._upper)
        return {
            index: (cache.layers[index].keys[:, :, :prefix], cache.layers[index].values[:, :, :prefix])
            for index in range(layer + 1, layer + 1 + count)
        }

    def _on_suffix(self, call: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a layer's first call, cut to the suffix."""
        kept = {
            name: value for name, value in call.items() if name not in ("hidden_states", "cache_position")
        }
        for name, value in kept.items():
            if name == "attention_mask":
                kept[name] = self._mask
            elif isinstance(value, Cache):
                kept[name] = self._prefix
            elif name == "position_ids" and value is not None:
                kept[name] = self._positions
            elif name == "position_embeddings" and value is not None:
                kept[name] = tuple(self._suffix(part) for part in value)
        return kept

    def run(self, stream: Tensor) -> Tensor:
        """Final-normed hidden states (batch, suffix, d_model) for another stream behind the layer."""
        hidden = stream
        for module, call in zip(self._upper, self._calls, strict=True):
            hidden = _first(module(hidden_states=hidden, **call))
        norm = self._model.network.get_submodule(self._model.architecture.final_norm)
        final: Tensor = norm(hidden)
        return final


def _by_name(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    bound = inspect.signature(module.forward).bind_partial(*arguments, **keywords).arguments
    rest = next(
        (p.name for p in inspect.signature(module.forward).parameters.values() if p.kind is p.VAR_KEYWORD), ""
    )
    return {**{name: value for name, value in bound.items() if name != rest}, **bound.get(rest, {})}


def _first(output: Any) -> Tensor:
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    return tensor
