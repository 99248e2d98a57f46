"""Run only what an edit can change: the layers above it, from the subject's last token onwards.

Attention is causal, so a change of the stream at the subject's last token, behind layer L, leaves
every earlier position and every layer up to L as they are. So what stands before that token is run
once, for its keys and values; the rest, the suffix, goes once through the layers up to L; and each
step runs the suffix through the layers above.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from kedit_lifecycle.editors.locate import llama_layer
from kedit_lifecycle.editors.locate.frozen_prefix import ARGUMENT, PrefixCache, attending
from kedit_lifecycle.editors.locate.packing import Packing
from kedit_lifecycle.editors.locate.prefix_states import PrefixStates, SharedHeads, prefix_states
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.partial_run import Enough, call_by_name, first_output, stopped_early
from kedit_lifecycle.models.tokens import pad_batch


class SuffixForward:
    """A batch that stands behind a layer, to be run from there on, from the subject's last token.

    `shared` says of each sequence how many of its first tokens, at most its `start`, other sequences
    share; they are run once, unless `heads` has them already.

    Attributes:
        keys: input of the layer's second MLP matrix at the subject's last token, (batch, d_ff).
        values: its output there, (batch, d_model).
        stream: the residual stream behind the layer, suffixes only, one behind the other, (tokens, d_model).
    """

    def __init__(
        self,
        model: EditableModel,
        layer: int,
        sequences: Sequence[Sequence[int]],
        start: Sequence[int],
        shared: Sequence[int] | None = None,
        heads: SharedHeads | None = None,
    ) -> None:
        self._model = model
        self._upper = model.architecture.layer_modules(model.network)[layer + 1 :]
        prefixes = [ids[:place] for ids, place in zip(sequences, start, strict=True)]
        lengths = shared or [0] * len(sequences)
        if heads is None:
            heads = SharedHeads(model, [ids[:size] for ids, size in zip(sequences, lengths, strict=True)])
        before = prefix_states(model, prefixes, lengths, heads)
        suffixes = [ids[place:] for ids, place in zip(sequences, start, strict=True)]
        self._packing = Packing.of(torch.tensor([len(one) for one in suffixes], device=model.device))
        self.keys: Tensor
        self.values: Tensor
        self.stream: Tensor
        call = self._run_up_to(layer, suffixes, before)
        self._seen = before.seen
        self._can_by_hand = self._prefix.attended and all(llama_layer.can_run(m) for m in self._upper)
        self._call = self._on_suffix(call)
        self._mask_call()

    @property
    def first(self) -> Tensor:
        """Where in the stream each sequence's suffix begins, (batch,)."""
        return self._packing.first

    def narrow(self, rows: Tensor) -> None:
        """Keep only these rows of the batch, and no more prefix and suffix than they need."""
        self.stream = self.stream[self._packing.tokens_of(rows)]
        self._packing = Packing.of(self._packing.lengths[rows])
        width = self._packing.width
        slots = self._seen[rows].any(0)
        self._seen = self._seen[rows][:, slots]
        self._prefix.narrow(rows, slots)
        if self._call.get("position_ids") is not None:
            self._call["position_ids"] = self._call["position_ids"][rows, :width]
        if self._call.get("position_embeddings") is not None:
            parts = self._call["position_embeddings"]
            self._call["position_embeddings"] = tuple(part[rows, :width] for part in parts)
        self._mask_call()
        self.keys, self.values = self.keys[rows], self.values[rows]

    def _run_up_to(
        self, layer: int, suffixes: Sequence[Sequence[int]], before: PrefixStates
    ) -> dict[str, Any]:
        """Run the suffixes through the layers up to this one; the arguments with which the next is called.

        A model calls all its layers alike, but for the mask, which is made here.
        """
        found: dict[str, Any] = {}

        def keep_mlp(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            found["keys"], found["values"] = arguments[0][:, 0], output[:, 0]

        def keep_call(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            found["call"] = call_by_name(module, arguments, keywords)
            raise Enough

        edited = self._model.network.get_submodule(self._model.architecture.mlp_down_path(layer))
        hooks = [
            edited.register_forward_hook(keep_mlp),
            self._upper[0].register_forward_pre_hook(keep_call, with_kwargs=True),
        ]
        input_ids, mask = pad_batch(suffixes, self._model.pad_id, self._model.device)
        call = before.call(mask, layer + 1)
        with torch.no_grad(), stopped_early(hooks):
            self._model.hidden_states(input_ids, use_cache=True, **call)
        self.keys, self.values = found["keys"], found["values"]
        self.stream = self._packing.packed(found["call"].pop("hidden_states"))
        layers = before.layers
        if not layers:
            first = call["past_key_values"].layers[0]
            keys, values = (part[:, :, :0].clone() for part in (first.keys, first.values))
            layers = [(keys, values)] * (layer + 1 + len(self._upper))
        upper = range(layer + 1, layer + 1 + len(self._upper))
        self._prefix = PrefixCache({number: layers[number] for number in upper}, self._model.network)
        own_call: dict[str, Any] = found["call"]
        return own_call

    def _mask_call(self) -> None:
        if "attention_mask" in self._call:
            self._call["attention_mask"] = self._attention_mask()

    def _attention_mask(self) -> Tensor:
        """Additive mask (batch, 1, suffix, prefix + suffix): every row sees its own prefix, then causally."""
        width = self._packing.width
        before = self._seen[:, None, :].expand(-1, width, -1)
        causal = torch.ones(width, width, dtype=torch.bool, device=before.device).tril()
        seen = torch.cat([before, causal.expand(len(before), -1, -1)], dim=2)
        dtype = self._model.dtype
        mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
        return mask.masked_fill(~seen, torch.finfo(dtype).min)[:, None]

    def _on_suffix(self, call: dict[str, Any]) -> dict[str, Any]:
        """The arguments with which every layer above is called."""
        kept = {
            name: self._prefix if isinstance(value, Cache) else value
            for name, value in call.items()
            if name != "cache_position"
        }
        if self._prefix.attended:
            kept[ARGUMENT] = self._prefix
        return kept

    def run(self, stream: Tensor) -> Tensor:
        """Final-normed hidden states (tokens, d_model) for another stream behind the layer."""
        last = self._by_hand(stream) if self._can_by_hand else self._by_modules(stream)
        norm = self._model.network.get_submodule(self._model.architecture.final_norm)
        final: Tensor = norm(last)
        return final

    def _by_hand(self, hidden: Tensor) -> Tensor:
        position, mask = self._call["position_embeddings"], self._call["attention_mask"]
        layer: Any
        for layer in self._upper:
            prefix = self._prefix.of(layer.self_attn.layer_idx)
            hidden = llama_layer.run(layer, hidden, self._packing, position, prefix, mask)
        return hidden

    def _by_modules(self, stream: Tensor) -> Tensor:
        hidden = self._packing.padded(stream)
        with attending(self._model.network, self._prefix):
            for module in self._upper:
                hidden = first_output(module(hidden_states=hidden, **self._call))
        return self._packing.packed(hidden)
