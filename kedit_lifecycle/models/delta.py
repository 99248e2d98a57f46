"""What a weight editor returns, and the one operation that replays it.

The replay must give the same bits with any number of threads, on any device and library (DESIGN,
invariant 2). A matrix product does not: its order of summation is the library's business. So a
rank-n update is n element-wise steps W ← W + l_i ⊗ r_i in order, each one product and one sum in
float32, both correctly rounded by IEEE 754; nothing in it can be reordered or fused. So a GPU may
take the steps, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor

Operation = Literal["rank", "add", "set"]
_BLOCK_ELEMENTS = 1 << 16  # rows are taken in blocks that stay in cache; each element's order is unchanged
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class TensorUpdate:
    """One update of one parameter, in float32 on the CPU.

    `rank`: `left` (rank, rows) and `right` (rank, columns). `add`: `left` is the dense difference.
    `set`: `left` is the new tensor. `keys` (n, d_ff) are those the update was written at, where the
    method has them; they are no part of the replay.
    """

    tensor: str
    operation: Operation
    left: Tensor
    right: Tensor | None = None
    keys: Tensor | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be replayed exactly."""
        for part in (self.left, self.right, self.keys):
            if part is not None and (part.dtype != torch.float32 or part.device.type != "cpu"):
                raise ValueError(f"{self.tensor}: an update is kept in float32 on the CPU")
        if self.operation not in get_args(Operation):
            raise ValueError(f"{self.tensor}: unknown operation {self.operation!r}")
        if (self.operation == "rank") != (self.right is not None):
            raise ValueError(f"{self.tensor}: right factors belong to a rank update and to no other")
        if self.right is not None and not _are_factors(self.left, self.right):
            raise ValueError(f"{self.tensor}: factors are two matrices with one row to each rank-one step")

    @property
    def rank(self) -> int:
        """Number of rank-one steps; 0 for a dense update."""
        return self.left.shape[0] if self.right is not None else 0


def _are_factors(left: Tensor, right: Tensor) -> bool:
    return left.dim() == right.dim() == 2 and left.shape[0] == right.shape[0]


@dataclass(frozen=True)
class WeightDelta:
    """An editor's result: updates in order, and what the editor has to say about them.

    `failures` says, by the request's place in the batch, why it got no update; the others have theirs.
    """

    updates: tuple[TensorUpdate, ...]
    failures: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    diagnostics: Mapping[str, Any] = field(default_factory=dict)


def replay(master: Tensor, update: TensorUpdate, device: torch.device = _CPU) -> Tensor:
    """`master` (float32, CPU) after `update`; `master` itself is left alone.

    Rank-one steps are taken on `device`, with the same bits on each.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if master.dtype != torch.float32 or master.device.type != "cpu":
        raise ValueError("updates are replayed on a float32 master on the CPU")
    if update.right is None:
        if update.left.shape != master.shape:
            raise ValueError(f"{update.tensor}: shape {tuple(update.left.shape)} != {tuple(master.shape)}")
        return update.left.clone() if update.operation == "set" else master + update.left
    if (update.left.shape[1], update.right.shape[1]) != tuple(master.shape):
        raise ValueError(f"{update.tensor}: factors do not fit {tuple(master.shape)}")
    changed = master.to(device, copy=True)
    _add_rank_one_steps(changed, update.left.to(device), update.right.to(device))
    return changed.cpu()


def _add_rank_one_steps(weight: Tensor, left: Tensor, right: Tensor) -> None:
    on_cpu = weight.device == _CPU
    rows_per_block = max(1, _BLOCK_ELEMENTS // weight.shape[1]) if on_cpu else len(weight)
    for start in range(0, weight.shape[0], rows_per_block):
        block = weight[start : start + rows_per_block]
        product = torch.empty_like(block)
        for step in range(left.shape[0]):
            torch.mul(left[step, start : start + rows_per_block, None], right[step], out=product)
            block.add_(product)


def delta_norm(before: Tensor, after: Tensor) -> float:
    """Frobenius norm ‖W' − W‖ in float64."""
    return float((after.double() - before.double()).norm())


def touched(updates: Sequence[TensorUpdate]) -> list[str]:
    """Names of the tensors that are updated, in order of first touch."""
    return list(dict.fromkeys(update.tensor for update in updates))
