"""Running part of a model: stopping early, and calling a layer again as the model called it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import pad_batch


class Enough(Exception):  # noqa: N818  (it stops a pass early; nothing is wrong)
    """Raised in a hook: nothing above is asked for."""


@contextlib.contextmanager
def stopped_early(hooks: Sequence[Any]) -> Iterator[None]:
    """A pass inside may end by `Enough`; the hooks are removed at the end."""
    with contextlib.ExitStack() as stack:
        for hook in hooks:
            stack.callback(hook.remove)
        with contextlib.suppress(Enough):
            yield


def call_by_name(
    module: nn.Module, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """A call's arguments by the names of `module.forward`'s parameters."""
    parameters = inspect.signature(module.forward).parameters.values()
    bound = inspect.signature(module.forward).bind_partial(*arguments, **keywords).arguments
    rest = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), "")
    return {**{name: value for name, value in bound.items() if name != rest}, **bound.get(rest, {})}


def first_output(output: Any) -> Tensor:
    """The hidden states that a layer returns, whatever else it returns."""
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    return tensor


class LayerSpan:
    """A batch of sequences at the entrance of one layer, to be taken up layer by layer.

    `hidden` (batch, positions, d_model) is the stream at the entrance of `layer`; `last` is the highest
    layer that will be asked for.
    """

    def __init__(
        self, model: EditableModel, sequences: Sequence[Sequence[int]], layer: int, last: int
    ) -> None:
        self._model = model
        self.layer = layer
        self._modules = model.architecture.layer_modules(model.network)
        self._calls: dict[int, dict[str, Any]] = {}
        input_ids, mask = pad_batch(sequences, model.pad_id, model.device)

        def keep(number: int, module: nn.Module, arguments: Any, keywords: Any) -> None:
            self._calls[number] = call_by_name(module, arguments, keywords)
            if number == last:
                raise Enough

        hooks = [
            self._modules[number].register_forward_pre_hook(
                lambda module, arguments, keywords, at=number: keep(at, module, arguments, keywords),
                with_kwargs=True,
            )
            for number in range(layer, last + 1)
        ]
        with torch.no_grad(), stopped_early(hooks):
            model.hidden_states(input_ids, mask)
        self.hidden: Tensor = self._calls[layer]["hidden_states"]
        for call in self._calls.values():
            del call["hidden_states"]

    def advance(self) -> None:
        """Run the layer at hand with the weights it has now; `hidden` is then at the next one's entrance."""
        self.hidden = self.run(self.hidden, self.layer)
        self.layer += 1

    def keys(self) -> Tensor:
        """Input of the second MLP matrix of the layer at hand, (batch, positions, d_ff)."""
        found: list[Tensor] = []

        def keep(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            found.append(arguments[0])
            raise Enough

        path = self._model.architecture.mlp_down_path(self.layer)
        hook = self._model.network.get_submodule(path).register_forward_pre_hook(keep)
        with stopped_early([hook]):
            self.run(self.hidden, self.layer)
        return found[0]

    @torch.no_grad()
    def run(self, hidden: Tensor, layer: int) -> Tensor:
        """Another stream of the same shape through one layer."""
        return first_output(self._modules[layer](hidden_states=hidden, **self._calls[layer]))

    def at(self, layer: int) -> Tensor:
        """The stream behind `layer`, run up from where this batch stands."""
        hidden = self.hidden
        for number in range(self.layer, layer + 1):
            hidden = self.run(hidden, number)
        return hidden
