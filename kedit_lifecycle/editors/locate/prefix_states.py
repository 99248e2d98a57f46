"""Keys and values of what stands before the subject's last token: run once, whatever is tried behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from kedit_lifecycle.models.batching import length_buckets
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import pad_batch

_TOKENS_ON_CPU, _TOKENS_ON_GPU = 256, 8192  # of one pass, padding included

Layers = list[tuple[Tensor, Tensor]]
"""Keys and values by layer, (rows, key heads, slots, head width) each."""


@dataclass(frozen=True)
class PrefixStates:
    """Of a batch of rows: the layers, and which slots a row has something in, (rows, slots).

    Without any slot there may be no layers.
    """

    layers: Layers
    seen: Tensor

    def of(self, rows: Tensor) -> PrefixStates:
        """These rows."""
        return PrefixStates([(keys[rows], values[rows]) for keys, values in self.layers], self.seen[rows])

    def call(self, mask: Tensor, layers: int) -> dict[str, Any]:
        """The arguments by which a model goes on behind it, for tokens of this mask (rows, tokens)."""
        cache = DynamicCache()
        for number, (keys, values) in enumerate(self.layers[:layers]):
            cache.update(keys, values, number)
        places = torch.arange(mask.shape[1], device=mask.device)
        own = places.minimum(mask.sum(1, keepdim=True) - 1)  # padding repeats the last token's place
        return {
            "past_key_values": cache,
            "position_ids": self.seen.sum(1, keepdim=True) + own,
            "attention_mask": torch.cat([self.seen.to(mask.dtype), mask], dim=1),
        }


class SharedHeads:
    """Beginnings that several sequences have in common, each run once."""

    def __init__(self, model: EditableModel, heads: Sequence[Sequence[int]]) -> None:
        distinct = dict.fromkeys(tuple(head) for head in heads)
        self._place = {head: place for place, head in enumerate(distinct)}
        self._states = _run(model, list(distinct), None)

    def of(self, heads: Sequence[Sequence[int]]) -> PrefixStates:
        """Of each of these beginnings; an empty one has none."""
        seen = self._states.seen
        places = torch.tensor([self._place[tuple(head)] for head in heads], device=seen.device)
        width = max(len(head) for head in heads)
        layers = [(keys[:, :, :width], values[:, :, :width]) for keys, values in self._states.layers]
        return PrefixStates(layers, seen[:, :width]).of(places)


def prefix_states(
    model: EditableModel, prefixes: Sequence[Sequence[int]], shared: Sequence[int], heads: SharedHeads
) -> PrefixStates:
    """Of each prefix, some of them empty; its first `shared` tokens are one of the `heads`."""
    pairs = [
        (tuple(prefix[:length]), tuple(prefix[length:]))
        for prefix, length in zip(prefixes, shared, strict=True)
    ]
    distinct = list(dict.fromkeys(pairs))
    before = heads.of([head for head, _ in distinct])
    own = _run(model, [own for _, own in distinct], before)
    joined = _joined(before, own)
    if len(distinct) == len(pairs):
        return joined
    place = {pair: number for number, pair in enumerate(distinct)}
    return joined.of(torch.tensor([place[pair] for pair in pairs], device=own.seen.device))


def _joined(first: PrefixStates, second: PrefixStates) -> PrefixStates:
    """Each row's slots in the one, then in the other; both are emptied on the way, to hold one copy only."""
    if not (first.layers and second.layers):
        return second if second.layers else first
    layers: Layers = []
    while first.layers:
        pairs = zip(first.layers.pop(0), second.layers.pop(0), strict=True)
        keys, values = (torch.cat(pair, dim=2) for pair in pairs)
        layers.append((keys, values))
    return PrefixStates(layers, torch.cat([first.seen, second.seen], dim=1))


@torch.no_grad()
def _run(
    model: EditableModel, sequences: Sequence[Sequence[int]], before: PrefixStates | None
) -> PrefixStates:
    """Each sequence behind its own row of `before`."""
    device = model.device
    lengths = torch.tensor([len(one) for one in sequences], device=device)
    width = int(lengths.max())
    seen = torch.arange(width, device=device) < lengths[:, None]
    layers: Layers = []
    budget = _TOKENS_ON_CPU if device.type == "cpu" else _TOKENS_ON_GPU
    some = [number for number, one in enumerate(sequences) if one]
    for rows in length_buckets(some, lambda number: len(sequences[number]), budget):
        input_ids, mask = pad_batch([sequences[number] for number in rows], model.pad_id, device)
        call: dict[str, Any] = {"attention_mask": mask}
        places = torch.tensor(rows, device=device)
        if before is not None and before.seen.shape[1]:
            call = before.of(places).call(mask, len(before.layers))
        found = model.hidden_states(input_ids, use_cache=True, **call).past_key_values
        for number, one in enumerate(found.layers):
            parts = [part[:, :, -input_ids.shape[1] :] for part in (one.keys, one.values)]
            if number == len(layers):
                shape = (len(sequences), parts[0].shape[1], width, parts[0].shape[3])
                layers.append((parts[0].new_zeros(shape), parts[1].new_zeros(shape)))
            for whole, part in zip(layers[number], parts, strict=True):
                whole[places, :, : part.shape[2]] = part
    return PrefixStates(layers, seen)
