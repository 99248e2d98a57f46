"""Run only what an edit can change: the layers above it, from the subject's last token onwards.

Attention is causal, so a change of the stream at the subject's last token, behind layer L, leaves
every earlier position and every layer up to L as they are. Those are run once; their keys and
values are kept, and each step runs the suffix alone. Of rows that begin with the same tokens (the
same context prefix before different subjects), the beginning is run once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicCache

from kedit_lifecycle.editors.locate.frozen_prefix import ARGUMENT, PrefixCache, attending
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.partial_run import call_by_name, first_output, stopped_early
from kedit_lifecycle.models.tokens import pad_batch


class SuffixForward:
    """A batch that went through the model once, to be run again from (layer, subject's last token).

    `shared` says of each sequence how many of its first tokens are to be run together with those of
    other sequences that begin with the same ones; fewer than its `start`.

    Attributes:
        keys: input of the layer's second MLP matrix at the subject's last token, (batch, d_ff).
        values: its output there, (batch, d_model).
        stream: the residual stream behind the layer, suffix only, (batch, suffix, d_model).
        final: final-normed hidden states of the untouched run, suffix only, (batch, suffix, d_model).
    """

    def __init__(
        self,
        model: EditableModel,
        layer: int,
        sequences: Sequence[Sequence[int]],
        start: Sequence[int],
        shared: Sequence[int] | None = None,
    ) -> None:
        self._model = model
        self._upper = model.architecture.layer_modules(model.network)[layer + 1 :]
        self._calls: list[dict[str, Any]] = []
        self._full: dict[str, Tensor] = {}
        heads = torch.tensor(shared or [0] * len(sequences), device=model.device)
        begin = (
            torch.tensor(start, device=model.device) - heads
        )  # place of the subject's last token in the tail
        tails = torch.tensor([len(s) for s in sequences], device=model.device) - heads
        self._lengths = tails - begin
        width = int(self._lengths.max())
        # (batch, suffix): places of the suffix; those behind a short sequence's end repeat its last
        places = begin[:, None] + torch.arange(width, device=model.device)
        self._places = places.clamp(max=tails[:, None] - 1)
        cache, head_width = self._run_once(layer, sequences, heads)
        rows = torch.arange(len(sequences), device=model.device)
        self.keys = self._full["keys"][rows, begin]
        self.values = self._full["values"][rows, begin]
        self.stream = self._suffix(self._full["stream"])
        self.final = self._suffix(self._full["final"])
        self._seen = _seen_slots(heads, head_width, begin)
        self._prefix = PrefixCache(self._prefix_states(cache, layer, self._seen.shape[1]), model.network)
        self._calls = [self._on_suffix(call) for call in self._calls]
        self._full.clear()
        self.narrow(rows)

    def narrow(self, rows: Tensor) -> None:
        """Keep only these rows of the batch, and no more prefix and suffix than they need."""
        width = int(self._lengths[rows].max())
        slots = self._seen[rows].any(0)
        self._seen = self._seen[rows][:, slots]
        self._prefix.narrow(rows, slots)
        mask = self._attention_mask(width)
        for call in self._calls:
            _narrow_call(call, rows, width, mask)
        self.stream, self.final = self.stream[rows, :width], self.final[rows, :width]
        self.keys, self.values = self.keys[rows], self.values[rows]
        self._lengths = self._lengths[rows]

    def _run_once(self, layer: int, sequences: Sequence[Sequence[int]], heads: Tensor) -> tuple[Any, int]:
        """The whole model over all sequences; the cache of keys and values, and where its tails begin."""
        lengths = heads.tolist()
        tails = [tuple(s)[h:] for s, h in zip(sequences, lengths, strict=True)]
        input_ids, mask = pad_batch(tails, self._model.pad_id, self._model.device)
        more: dict[str, Any] = {}
        head_width = 0
        if any(lengths):
            cache, head_mask = self._run_heads(
                [tuple(s)[:h] for s, h in zip(sequences, lengths, strict=True)]
            )
            head_width = head_mask.shape[1]
            positions = heads[:, None] + torch.arange(input_ids.shape[1], device=heads.device)
            more = {"past_key_values": cache, "position_ids": positions}
            mask = torch.cat([head_mask, mask], dim=1)
        with torch.no_grad(), stopped_early(self._hooks(layer)):
            output = self._model.hidden_states(input_ids, mask, use_cache=True, **more)
        self._full["final"] = output.last_hidden_state
        return output.past_key_values, head_width

    @torch.no_grad()
    def _run_heads(self, heads: Sequence[tuple[int, ...]]) -> tuple[DynamicCache, Tensor]:
        """Each distinct beginning once; its keys and values, and its mask, for every row that has it."""
        distinct = sorted({head for head in heads if head})
        input_ids, mask = pad_batch(distinct, self._model.pad_id, self._model.device)
        found = self._model.hidden_states(input_ids, mask, use_cache=True).past_key_values
        owner = torch.tensor([distinct.index(head) if head else 0 for head in heads], device=mask.device)
        some = torch.tensor([bool(head) for head in heads], device=mask.device)
        cache = DynamicCache()
        for number, states in enumerate(found.layers):
            cache.update(states.keys[owner], states.values[owner], number)
        return cache, mask[owner] * some[:, None]

    def _hooks(self, layer: int) -> list[Any]:
        architecture, network = self._model.architecture, self._model.network

        def keep_mlp(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            self._full["keys"], self._full["values"] = arguments[0], output

        def keep_stream(_: nn.Module, __: Any, output: Any) -> None:
            self._full["stream"] = first_output(output)

        def keep_call(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            self._calls.append(call_by_name(module, arguments, keywords))

        edited = network.get_submodule(architecture.mlp_down_path(layer))
        this = architecture.layer_modules(network)[layer]
        hooks = [edited.register_forward_hook(keep_mlp), this.register_forward_hook(keep_stream)]
        hooks += [m.register_forward_pre_hook(keep_call, with_kwargs=True) for m in self._upper]
        return hooks

    def _suffix(self, full: Tensor) -> Tensor:
        """(batch, positions, …) -> (batch, suffix, …)."""
        rows = torch.arange(len(self._places), device=full.device)[:, None]
        return full.expand(len(self._places), *full.shape[1:])[rows, self._places]

    def _attention_mask(self, width: int) -> Tensor:
        """Additive mask (batch, 1, suffix, prefix + suffix): every row sees its own prefix, then causally."""
        before = self._seen[:, None, :].expand(-1, width, -1)
        causal = torch.ones(width, width, dtype=torch.bool, device=before.device).tril()
        seen = torch.cat([before, causal.expand(len(before), -1, -1)], dim=2)
        dtype = self._model.dtype
        mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
        return mask.masked_fill(~seen, torch.finfo(dtype).min)[:, None]

    def _prefix_states(self, cache: Any, layer: int, slots: int) -> dict[int, tuple[Tensor, Tensor]]:
        upper = range(layer + 1, layer + 1 + len(self._upper))
        return {
            index: (cache.layers[index].keys[:, :, :slots], cache.layers[index].values[:, :, :slots])
            for index in upper
        }

    def _on_suffix(self, call: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a layer's first call, cut to the suffix."""
        kept = {
            name: value for name, value in call.items() if name not in ("hidden_states", "cache_position")
        }
        for name, value in kept.items():
            if isinstance(value, Cache):
                kept[name] = self._prefix
            elif name == "position_ids" and value is not None:
                kept[name] = self._suffix(value)
            elif name == "position_embeddings" and value is not None:
                kept[name] = tuple(self._suffix(part) for part in value)
        if self._prefix.attended:
            kept[ARGUMENT] = self._prefix
        return kept

    def run(self, stream: Tensor) -> Tensor:
        """Final-normed hidden states (batch, suffix, d_model) for another stream behind the layer."""
        hidden = stream
        with attending(self._model.network, self._prefix):
            for module, call in zip(self._upper, self._calls, strict=True):
                hidden = first_output(module(hidden_states=hidden, **call))
        norm = self._model.network.get_submodule(self._model.architecture.final_norm)
        final: Tensor = norm(hidden)
        return final


def _seen_slots(heads: Tensor, head_width: int, begin: Tensor) -> Tensor:
    """Which slots of the cache hold each row's prefix: its shared head, then its tail; (batch, slots)."""
    head = torch.arange(head_width, device=heads.device) < heads[:, None]
    tail = torch.arange(int(begin.max()), device=heads.device) < begin[:, None]
    return torch.cat([head, tail], dim=1)


def _narrow_call(call: dict[str, Any], rows: Tensor, width: int, mask: Tensor) -> None:
    if "attention_mask" in call:
        call["attention_mask"] = mask
    if call.get("position_ids") is not None:
        call["position_ids"] = call["position_ids"][rows, :width]
    if call.get("position_embeddings") is not None:
        call["position_embeddings"] = tuple(part[rows, :width] for part in call["position_embeddings"])
