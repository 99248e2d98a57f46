"""Coordinates in which a weight's inputs are even: there the input of one edit has little of another's.

A rank-one update δ̃ ũᵀ answers an input x by how much of ũ is in it. The inputs of a language model's MLP
share a few strong directions, so that every input has some of every other. C^(-1/2), with C the second moment
of the inputs over unrelated text, evens them out; it is the C that ROME (Meng et al. 2022, eq. 2) whitens its
keys with.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kedit_lifecycle.editors.learned.gradients import Factors

SMALLEST = 0.25
"""Of the typical size: an input smaller than this counts as this, or its update would be a blow to others."""


@dataclass(frozen=True)
class Entered:
    """Factors in a whitening's coordinates, and their inputs' sizes there, (rows, tokens, 1) or None."""

    factors: Factors
    sizes: Tensor | None


class Whitening(nn.Module):
    """x̃ = x + Q ((g − 1) ⊙ Qᵀ x): the `rank` strongest directions Q, made as strong as the weakest of them.

    The matrix T is symmetric, so ΔW̃ x̃ = (ΔW̃ T) x: an update found in these coordinates is brought back by
    the same T. Until it was measured it changes nothing.
    """

    directions: Tensor
    gains: Tensor
    size: Tensor

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        rank = min(rank, width)
        self.register_buffer("directions", torch.zeros(width, rank))
        self.register_buffer("gains", torch.ones(rank))
        self.register_buffer("size", torch.zeros(()))  # root of the mean ‖x̃‖²

    @torch.no_grad()
    def measure(self, second_moment: Tensor) -> None:
        """Take C, the mean of x xᵀ, (width, width)."""
        values, vectors = torch.linalg.eigh(second_moment.double().cpu())
        rank = self.directions.shape[1]
        strongest, directions = values.flip(0)[:rank].clamp(min=1e-12), vectors.flip(1)[:, :rank]
        weakest = strongest[-1]
        self.directions.copy_(directions)
        self.gains.copy_((weakest / strongest).sqrt())
        self.size.copy_((values.sum() - (strongest - weakest).sum()).clamp(min=1e-12).sqrt())

    def forward(self, values: Tensor) -> Tensor:
        """T x, of inputs (…, width)."""
        return values + ((values @ self.directions) * (self.gains - 1)) @ self.directions.T

    def enter(self, gradient: Factors) -> Entered:
        """The gradient's inputs in these coordinates, each with a mean square of 1, and their sizes there."""
        if self.size == 0:
            return Entered(gradient, None)
        white = self(gradient.right)
        sizes = sizes_of(white, self.size)
        return Entered(Factors(gradient.left, evened(white, sizes)), sizes)

    def leave(self, update: Factors, sizes: Tensor | None) -> Factors:
        """An update that was found there, as one of the weight.

        `sizes` are those that `enter` gave: row r of the update answers the r-th input as if it had a size
        of 1; rows beyond (an offset) answer an input of typical size so.
        """
        if sizes is None:
            return update
        beyond = update.right.shape[1] - sizes.shape[1]
        sizes = torch.cat([sizes, self.size.expand(len(sizes), beyond, 1)], dim=1)
        return Factors(update.left, self(update.right) / (sizes * update.right.shape[2] ** 0.5))


def sizes_of(values: Tensor, typical: Tensor) -> Tensor:
    """‖·‖ of each, (…, 1); one smaller than `SMALLEST` of the typical counts as that."""
    sizes: Tensor = values.norm(dim=-1, keepdim=True).clamp(min=SMALLEST * float(typical))
    return sizes


def evened(values: Tensor, sizes: Tensor) -> Tensor:
    """Each with a mean square of 1, given their `sizes_of`."""
    even: Tensor = values * (values.shape[-1] ** 0.5 / sizes)
    return even


def balanced(text: Tensor, subjects: Tensor) -> Tensor:
    """C of text and of subjects together, each with the same trace, (width, width).

    White by text alone, the keys of subjects still have a direction in common, by which a share of every
    update reaches every other subject (`bench_learned_updates.py --keys`).
    """
    return text + subjects * (text.trace() / subjects.trace().clamp(min=1e-12))
