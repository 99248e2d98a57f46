"""Keys of many requests, layer by layer, while the layers are being edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kedit_lifecycle.editors.locate.contexts import EditContexts, context_average
from kedit_lifecycle.models.batching import length_buckets
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.partial_run import LayerSpan

_TOKENS = 8192  # padded tokens of one batch


class SubjectWalk:
    """All contexts of all requests, cut behind the subject's last token, at the entrance of a layer.

    Nothing behind that token can change what is before it, and nothing above the last layer is asked
    for: each layer is run once before its edit and once after.
    """

    def __init__(
        self,
        model: EditableModel,
        contexts: Sequence[EditContexts],
        layers: Sequence[int],
        unprefixed_weight: float,
        averaged_residual: bool,
    ) -> None:
        self._weight = unprefixed_weight
        self._last = layers[-1]
        self._requests = len(contexts)
        self._all = _batches(model, contexts, range(len(contexts[0].prompts)), layers)
        self._read = self._all if averaged_residual else _batches(model, contexts, range(1), layers)

    def keys(self) -> Tensor:
        """Averaged keys of the layer at hand, (requests, d_ff), float32 on the CPU."""
        return self._averaged([(batch, batch.span.keys()) for batch in self._all])

    def outputs(self) -> Tensor:
        """The stream behind the last layer, (requests, d_model), float32 on the CPU.

        At the unprefixed prompts, or averaged over the contexts as the keys are.
        """
        return self._averaged([(batch, batch.span.at(self._last)) for batch in self._read])

    def _averaged(self, parts: Sequence[tuple[_Batch, Tensor]]) -> Tensor:
        by_place = _gather(parts)
        return context_average(by_place.reshape(self._requests, -1, by_place.shape[1]), self._weight)

    def advance_to(self, layer: int) -> None:
        """Go up to the entrance of a layer with the weights as they are now."""
        for batch in (*self._all, *self._read):
            while batch.span.layer < layer:
                batch.span.advance()


Place = tuple[int, int]
"""A request and one of its contexts."""


@dataclass(frozen=True)
class _Batch:
    """Sequences that run together: whose they are, and where each ends."""

    places: list[Place]
    ends: Tensor
    span: LayerSpan


def _batches(
    model: EditableModel, contexts: Sequence[EditContexts], kept: range, layers: Sequence[int]
) -> list[_Batch]:
    def ids(place: Place) -> tuple[int, ...]:
        fact = contexts[place[0]].prompts[place[1]]
        return fact.ids[: fact.subject_last + 1]

    made = []
    places = [(request, context) for request in range(len(contexts)) for context in kept]
    for bucket in length_buckets(places, lambda place: len(ids(place)), _TOKENS):
        ends = torch.tensor([len(ids(place)) - 1 for place in bucket], device=model.device)
        span = LayerSpan(model, [ids(place) for place in bucket], layers[0], layers[-1])
        made.append(_Batch(bucket, ends, span))
    return made


def _gather(parts: Sequence[tuple[_Batch, Tensor]]) -> Tensor:
    """States at each place's last token, in order of request and context; float32 on the CPU."""
    gathered: dict[Place, Tensor] = {}
    for batch, states in parts:
        rows = torch.arange(len(batch.places), device=states.device)
        gathered.update(zip(batch.places, states[rows, batch.ends].float().cpu(), strict=True))
    return torch.stack([gathered[place] for place in sorted(gathered)])
