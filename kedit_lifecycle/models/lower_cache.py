"""The layers below the lowest edited one, run once: an edit cannot change what they give."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kedit_lifecycle.models.batching import Tokens, hidden_states
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.partial_run import Enough, call_by_name, stopped_early

HiddenStates = Callable[[Sequence[Tokens]], Tensor]
"""Right-padded sequences to final-normed hidden states, (batch, positions, d_model)."""


def layer_of(model: EditableModel, tensor: str) -> int:
    """The layer of a parameter; 0 of one that belongs to none, since embeddings may be tied to it."""
    number, _, _ = tensor.removeprefix(f"{model.architecture.layers}.").partition(".")
    return int(number) if number.isdecimal() else 0


@torch.no_grad()
def run_whole(model: EditableModel, sequences: Sequence[Tokens]) -> Tensor:
    """The plain run from the embeddings up, as `HiddenStates`; rows are valid up to their own length."""
    return hidden_states(model, sequences)


class CachedLower:
    """Runs a model from its lowest edited layer up; what enters that layer is kept per sequence.

    A run gives what `run_whole` gives, to float rounding. What is kept is the unedited model's, so that
    it stays right whatever is edited, or taken back, at or above its layer; an edit further down, or of
    the embeddings, is noticed by the model's edited tensors, and its layer's states are made anew. Each
    sequence is run up alone, so that the same weights give the same bits whatever is already kept.

    `layer` is the lowest that edits will touch, if that is known: then the unedited model runs from there
    too. At most `memory_mib` MiB are held; the sequences that were not asked for the longest go first.
    With none, the whole model is run.

    Attributes:
        computed: positions that were run through the lower layers so far.
        held_bytes: size of what is kept.
    """

    def __init__(self, model: EditableModel, layer: int | None = None, memory_mib: float = 64.0) -> None:
        self.model = model
        self.computed = 0
        self.held_bytes = 0
        self._layer = layer
        self._limit = int(memory_mib * 2**20)
        self._held: OrderedDict[tuple[int, Tokens], Tensor] = OrderedDict()
        self._modules: list[nn.Module] = model.architecture.layer_modules(model.network)
        self._gives_tuples = False  # whether this family's layers return their stream in a tuple

    @property
    def start(self) -> int:
        """The layer that a run begins with now; 0 means the embeddings."""
        if not self._limit:
            return 0
        lowest = min((layer_of(self.model, tensor) for tensor in self.model.masters), default=None)
        if self._layer is None:
            return lowest or 0
        return self._layer if lowest is None else min(self._layer, lowest)

    @torch.no_grad()
    def __call__(self, sequences: Sequence[Tokens]) -> Tensor:
        """Final-normed hidden states (batch, positions, d_model), as `HiddenStates`."""
        return self.differentiable(sequences)

    def differentiable(self, sequences: Sequence[Tokens]) -> Tensor:
        """The same, for a gradient of whatever at or above the layer asks for one."""
        start = self.start
        if start == 0:
            return hidden_states(self.model, sequences)
        rows = [self._entering(start, tuple(ids)) for ids in sequences]
        stream = nn.utils.rnn.pad_sequence(rows, batch_first=True)  # (batch, positions, d_model)
        with self._handing_out(start, stream):
            return hidden_states(self.model, sequences)

    @torch.no_grad()
    def _entering(self, layer: int, ids: Tokens) -> Tensor:
        """(positions, d_model) at the entrance of `layer`, kept; the layers below must be unedited."""
        known = self._held.get((layer, ids))
        if known is not None:
            self._held.move_to_end((layer, ids))
            return known
        stream = self._run_up_to(layer, ids)
        self._keep((layer, ids), stream)
        return stream

    def _run_up_to(self, layer: int, ids: Tokens) -> Tensor:
        found: list[Tensor] = []

        def keep(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            found.append(call_by_name(module, arguments, keywords)["hidden_states"])
            raise Enough

        def look(_: nn.Module, __: Any, output: Any) -> None:
            self._gives_tuples = isinstance(output, tuple)

        hooks = [
            self._modules[layer - 1].register_forward_hook(look),
            self._modules[layer].register_forward_pre_hook(keep, with_kwargs=True),
        ]
        with stopped_early(hooks):
            run_whole(self.model, [ids])
        self.computed += len(ids)
        return found[0][0]

    def _keep(self, key: tuple[int, Tokens], stream: Tensor) -> None:
        self._held[key] = stream
        self.held_bytes += stream.nbytes
        while self.held_bytes > self._limit:
            _, oldest = self._held.popitem(last=False)
            self.held_bytes -= oldest.nbytes

    @contextlib.contextmanager
    def _handing_out(self, layer: int, stream: Tensor) -> Iterator[None]:
        """Inside, the layers below `layer` give `stream` and do nothing else.

        The model's own code runs around them: its masks and positions are made as ever.
        """
        answer: Any = (stream, None) if self._gives_tuples else stream
        lower = self._modules[:layer]
        own = [module.__dict__.get("forward") for module in lower]
        try:
            for module in lower:
                module.forward = lambda *_, **__: answer
            yield
        finally:
            for module, forward in zip(lower, own, strict=True):
                if forward is None:
                    del module.forward
                else:
                    module.forward = forward
