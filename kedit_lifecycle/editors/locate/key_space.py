"""Where to write: the least-squares solves of all locate-then-edit methods as one.

In coordinates k̂ = Tᵀk, T Tᵀ = C⁻¹ (what the model's own keys use is expensive) or T Tᵀ = P (it is
forbidden), every method writes ΔW = Rᵀ D with directions

    D = K̂ (ρ I + K̂ᵀK̂)⁻¹ T      for its keys K̂ (n, dimension), past keys included with no residual:

MEMIT:     C = λ E[k kᵀ], ρ = 1      (Meng et al. 2023, eq. 14)
AlphaEdit: P = U Uᵀ, ρ = L2          (Fang et al. 2025, eq. 13 with Kp)
EMMET:     MEMIT's D, scaled to meet its own keys whatever the past ones say   (Gupta et al. 2024, eq. 9)
ROME:      EMMET for one key         (Meng et al. 2022, eq. 2)

By the push-through identity the inverse is n × n or dimension × dimension, whichever is smaller.
All of it is float64, on the model's GPU where that has room; keys come from the CPU, and D goes back there.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.errors import EditFailedError
from kedit_lifecycle.models.room import device_with_room

_RIDGES = (0.0, *(10.0**exponent for exponent in range(-10, 0)))
_CPU = torch.device("cpu")
_COPIES = 4  # of a matrix, while it is factorised
_LEAST_PIVOT = 1e-5  # of the largest: keys come in float32, and a smaller pivot is their rounding


class KeySpace(Protocol):
    """Coordinates in which a layer's keys are measured; float64, on the device of its own tensor."""

    @property
    def name(self) -> Hashable:
        """What tells it from other spaces of the same tensor."""

    @property
    def dimension(self) -> int:
        """Number of coordinates."""

    @property
    def ridge(self) -> float:
        """What had to be added to the diagonal of C; 0 for a null space."""

    def whiten(self, keys: Tensor) -> Tensor:
        """(n, d_ff) on any device -> (n, dimension): each row k̂ = Tᵀk."""

    def unwhiten(self, rows: Tensor) -> Tensor:
        """(n, dimension) -> (n, d_ff): each row T x."""


@dataclass(frozen=True)
class CovarianceSpace:
    """T = L⁻ᵀ with L Lᵀ = C; `ridge` is what had to be added to C's diagonal to make it so."""

    name: Hashable
    factor: Tensor  # L, (d_ff, d_ff) lower triangular
    ridge: float = 0.0

    @property
    def dimension(self) -> int:
        """d_ff."""
        return len(self.factor)

    def whiten(self, keys: Tensor) -> Tensor:
        """L⁻¹k."""
        own = keys.to(self.factor)
        solved: Tensor = torch.linalg.solve_triangular(self.factor, own.T, upper=False)
        return solved.T

    def unwhiten(self, rows: Tensor) -> Tensor:
        """L⁻ᵀx."""
        solved: Tensor = torch.linalg.solve_triangular(self.factor.T, rows.T, upper=True)
        return solved.T


@dataclass(frozen=True)
class NullSpace:
    """T = U, an orthonormal basis (d_ff, dimension) of what the model's own keys do not use."""

    name: Hashable
    basis: Tensor
    ridge: float = 0.0

    @property
    def dimension(self) -> int:
        """Of the null space."""
        return int(self.basis.shape[1])

    def whiten(self, keys: Tensor) -> Tensor:
        """Uᵀk."""
        return keys.to(self.basis) @ self.basis

    def unwhiten(self, rows: Tensor) -> Tensor:
        """U x."""
        return rows @ self.basis.T


def covariance_space(
    second_moment: Tensor,
    weight: float,
    name: Hashable,
    identity: float = 0.0,
    *,
    device: torch.device = _CPU,
) -> CovarianceSpace:
    """The space of C = weight · E[k kᵀ] + identity · I, by Cholesky in float64; on `device` if it has room.

    A singular C gets the smallest ridge of 10ᵐ · mean diagonal that works.

    Raises:
        EditFailedError: no ridge works.
    """
    matrix = weight * _for_factorising(second_moment, device)
    matrix.diagonal().add_(identity)
    scale = float(matrix.diagonal().mean())
    for share in _RIDGES:
        ridged = matrix.clone()
        ridged.diagonal().add_(share * scale)
        factor, failed = torch.linalg.cholesky_ex(ridged)
        if not failed:
            return CovarianceSpace(name, factor, share * scale)
    raise EditFailedError("the key covariance is singular beyond repair; rebuild it from more text")


def null_space(
    second_moment: Tensor,
    name: Hashable,
    *,
    fraction: float | None,
    threshold: float | None,
    device: torch.device = _CPU,
) -> NullSpace:
    """Eigenvectors of E[k kᵀ] with the smallest eigenvalues: a `fraction` of them, or those < `threshold`.

    They are found on `device` if it has room.

    Raises:
        EditFailedError: nothing is left below the threshold.
    """
    values, vectors = torch.linalg.eigh(_for_factorising(second_moment, device))  # ascending
    count = int((values < (threshold or 0)).sum())
    if fraction is not None:
        count = max(1, round(fraction * len(values)))
    if count < 1:
        raise EditFailedError(
            f"no eigenvalue of the key covariance is below {threshold}: the least is {float(values[0]):.2g}",
            hint="set null_space_fraction instead: a threshold depends on the covariance's scale",
        )
    return NullSpace(name, vectors[:, :count].contiguous())


def _for_factorising(second_moment: Tensor, device: torch.device) -> Tensor:
    """In float64, where there is room for it and for what a factorisation makes of it."""
    place = device_with_room(device, _COPIES * 8 * second_moment.numel())
    return second_moment.to(place, torch.float64)


@dataclass(frozen=True)
class Directions:
    """Rows (n, d_ff), float64 on the CPU, with ΔW = Rᵀ · rows; and what had to be added to ρ and to C."""

    rows: Tensor
    added_ridge: float = 0.0


def update_directions(
    space: KeySpace, keys: Tensor, ridge: float, *, tensor: str = "", past: PastKeys | None = None
) -> Directions:
    """D of the module's docstring for keys (n, d_ff), with the past keys of `tensor` if given.

    A singular system gets the smallest ridge that works, and the result says so.

    Raises:
        EditFailedError: no ridge works, or a key is not finite.
    """
    own = space.whiten(keys)
    if not torch.isfinite(own).all():
        raise EditFailedError("a key is not finite")
    earlier = past.blocks(tensor) if past is not None else []
    count = len(own) + sum(len(block) for block in earlier)
    # n × n systems are made anew each time, the other ones grow with the history
    if count <= (space.dimension // 4 if earlier else space.dimension):
        stacked = own if not earlier else torch.cat([*(space.whiten(b) for b in earlier), own])
        weights, added = _solve(stacked @ stacked.T, ridge, _last_columns(count, len(own), own.device))
        return Directions(space.unwhiten(weights.T @ stacked).cpu(), added + space.ridge)
    gram = own.T @ own
    before = None if past is None else past.gram(tensor, space.name, space.whiten)
    solved, added = _solve(gram if before is None else gram + before, ridge, own.T)
    return Directions(space.unwhiten(solved.T).cpu(), added + space.ridge)


def constrained_directions(
    space: KeySpace, keys: Tensor, damping: float, *, tensor: str = "", past: PastKeys | None = None
) -> Directions:
    """D = (G + damping · I)⁻¹ Kᵀ C⁻¹ with G = Kᵀ C⁻¹ K, for keys (n, d_ff); Gupta et al. 2024, eq. 9.

    Past keys of `tensor` are kept softly, as what the model knows is: C becomes C + Σ k kᵀ. D is
    (M + damping · (I − M))⁻¹ D₁, where D₁ is D with damping 1 and M = D₁ K = G (I + G)⁻¹. A singular
    system gets the smallest ridge that works, and the result says so.

    Raises:
        EditFailedError: no ridge works, or a key is not finite.
    """
    damped = update_directions(space, keys, 1.0, tensor=tensor, past=past)
    met = damped.rows @ keys.double().T
    met = (met + met.T) / 2
    identity = torch.eye(len(met), dtype=torch.float64)
    rows, added = _solve(met + damping * (identity - met), 0.0, damped.rows)
    return Directions(rows, damped.added_ridge + added)


def _last_columns(size: int, count: int, device: torch.device) -> Tensor:
    return torch.eye(size, dtype=torch.float64, device=device)[:, size - count :]


def _solve(gram: Tensor, ridge: float, right: Tensor) -> tuple[Tensor, float]:
    """(ridge · I + gram)⁻¹ right, and what had to be added to the ridge."""
    scale = float(gram.diagonal().mean())
    for share in _RIDGES:
        matrix = gram.clone()
        matrix.diagonal().add_(ridge + share * scale)
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if not failed and _well_conditioned(factor):
            return torch.cholesky_solve(right, factor), share * scale
    raise EditFailedError("the keys of this batch make a singular system that no ridge repairs")


def _well_conditioned(factor: Tensor) -> bool:
    """Whether the smallest pivot stands clear of rounding."""
    pivots = factor.diagonal()
    return bool(pivots.min() > _LEAST_PIVOT * pivots.max())
