"""A gradient as its factors: what a weight's module read, and what came back to its output.

For y = W x at every token t, ∂L/∂W = Σ_t δ_t u_tᵀ with u_t the input and δ_t = ∂L/∂y_t (Mitchell et al.
2022, §3.1): exact, and never formed as a matrix.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from kedit_lifecycle.editors.learned.settings import Matrices
from kedit_lifecycle.models.editable import EditableModel


class Networked(Protocol):
    """Whatever holds a Hugging Face model: an `EditableModel`, or the adapter of another family."""

    network: Any


@dataclass(frozen=True)
class Factors:
    """Σ_r left_r right_rᵀ by rows of a batch: left (rows, rank, d_out), right (rows, rank, d_in), float32.

    Of a gradient, `left` is δ, `right` u and the rank the number of tokens; those of padding are 0.
    """

    left: Tensor
    right: Tensor

    def rows(self, places: Tensor) -> Factors:
        """Those of some rows, repeated where a place is.

        Not by indexing, whose gradient adds up repeated rows in whatever order the threads come.
        """
        return Factors(self.left.index_select(0, places), self.right.index_select(0, places))

    def widened(self, rank: int) -> Factors:
        """With as many more parts of 0 as make this rank."""
        more = (0, 0, 0, rank - self.left.shape[1])
        return Factors(nn.functional.pad(self.left, more), nn.functional.pad(self.right, more))

    def grouped(self, size: int) -> Factors:
        """The sums of `size` rows each, one behind the other: (rows / size, size · rank, …).

        Where the rows do not come out even, the last sum is of fewer.
        """
        rows, rank, _ = self.left.shape
        more = (0, 0, 0, 0, 0, -rows % size)
        padded = [nn.functional.pad(part, more) for part in (self.left, self.right)]
        left, right = (part.reshape(-1, size * rank, part.shape[2]) for part in padded)
        return Factors(left, right)

    def beside(self, more: Factors) -> Factors:
        """The sums of two, row by row: one behind the other, of both ranks together."""
        return Factors(torch.cat([self.left, more.left], dim=1), torch.cat([self.right, more.right], dim=1))

    def dense(self) -> Tensor:
        """The matrices themselves, (rows, d_out, d_in)."""
        return self.left.transpose(1, 2) @ self.right


def joined(parts: Sequence[Factors]) -> Factors:
    """Batches of one rank behind each other."""
    return Factors(torch.cat([one.left for one in parts]), torch.cat([one.right for one in parts]))


def mlp_weights(model: EditableModel, layers: Sequence[int], which: Matrices = "all") -> tuple[str, ...]:
    """Names of the matrices of these layers' MLPs, in the model's order."""
    if which == "output":
        return tuple(model.architecture.mlp_down_weight(layer) for layer in layers)
    found = []
    for layer in layers:
        path = f"{model.architecture.layers}.{layer}.{model.architecture.mlp}"
        module = model.network.get_submodule(path)
        found += [f"{path}.{name}" for name, one in module.named_parameters() if one.dim() == 2]
    return tuple(found)


def module_of(model: Networked, tensor: str) -> nn.Module:
    """The module whose weight a parameter is."""
    module: nn.Module = model.network.get_submodule(tensor.removesuffix(".weight"))
    return module


def sizes(model: Networked, tensor: str) -> tuple[int, int]:
    """(d_in, d_out) of the module of a weight."""
    rows, columns = model.network.get_parameter(tensor).shape
    return (rows, columns) if is_transposed(model, tensor) else (columns, rows)


def is_transposed(model: Networked, tensor: str) -> bool:
    """Whether the weight is kept as (d_in, d_out), as GPT-2's Conv1D does."""
    return type(module_of(model, tensor)).__name__ == "Conv1D"


def gradient_factors(
    model: Networked, tensors: Sequence[str], loss: Callable[[], Tensor], mask: Tensor | None
) -> dict[str, Factors]:
    """The gradient of `loss()` for each tensor, by the rows of the one batch that it runs.

    `mask` (rows, positions) says which positions are no padding; without one, padding is what the loss
    does not depend on. The model must be run exactly once. A constant loss has gradients of 0.
    """
    inputs: dict[str, Tensor] = {}
    probes: dict[str, Tensor] = {}

    def look(tensor: str, arguments: tuple[Any, ...], output: Tensor) -> Tensor:
        inputs[tensor] = arguments[0].detach()
        probes[tensor] = torch.zeros_like(output, requires_grad=True)
        return output + probes[tensor]  # its gradient is the output's

    with torch.enable_grad(), contextlib.ExitStack() as stack:
        for tensor in tensors:
            hook = module_of(model, tensor).register_forward_hook(
                lambda _, arguments, output, name=tensor: look(name, arguments, output)
            )
            stack.callback(hook.remove)
        value, outputs = loss(), [probes[tensor] for tensor in tensors]
        found = torch.autograd.grad(value, outputs) if value.requires_grad else outputs
    kept = torch.ones(()) if mask is None else mask[:, :, None].float()
    return {
        tensor: Factors(delta.detach().float() * kept, inputs[tensor].float() * kept)
        for tensor, delta in zip(tensors, found, strict=True)
    }


@contextlib.contextmanager
def updated(model: Networked, updates: Mapping[str, Factors]) -> Iterator[None]:
    """Inside, each row of a batch runs with its own update: y = W x + Σ_r left_r (right_rᵀ x).

    Differentiable in the factors. Row i of a batch gets row i of the factors.
    """

    def add(arguments: tuple[Any, ...], output: Tensor, update: Factors) -> Tensor:
        read = arguments[0].float()  # (rows, positions, d_in)
        change: Tensor = (read @ update.right.transpose(1, 2)) @ update.left
        changed: Tensor = output + change.to(output.dtype)
        return changed

    with contextlib.ExitStack() as stack:
        for tensor, update in updates.items():
            hook = module_of(model, tensor).register_forward_hook(
                lambda _, arguments, output, own=update: add(arguments, output, own)
            )
            stack.callback(hook.remove)
        yield
