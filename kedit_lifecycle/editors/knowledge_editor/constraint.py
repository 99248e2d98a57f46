"""The constraint on all that an edit should leave alone, as a Lagrangian (De Cao et al. 2021, §3.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kedit_lifecycle.editors.knowledge_editor.config import GateConfig


class KlConstraint(nn.Module):
    """min NLL subject to KL ≤ m, by descent on NLL + λ (KL − m) and ascent on λ ≥ 0.

    The margin m is annealed while edits succeed. λ and m are buffers: they are kept and resumed with
    the network.
    """

    def __init__(self, config: GateConfig) -> None:
        super().__init__()
        self._config = config
        self.multiplier: Tensor
        self.margin: Tensor
        self.register_buffer("multiplier", torch.tensor(config.multiplier_start))
        self.register_buffer("margin", torch.tensor(config.margin_start))

    def lagrangian(self, nll: Tensor, kl: Tensor) -> Tensor:
        """NLL + λ (KL − m)."""
        return nll + self.multiplier * (kl - self.margin)

    @torch.no_grad()
    def ascend(self, kl: float) -> None:
        """λ ← max(0, λ + rate (KL − m)), as ∂/∂λ of the Lagrangian is KL − m."""
        config = self._config
        moved = self.multiplier + config.multiplier_rate * (kl - self.margin)
        self.multiplier.copy_(moved.clamp(0, config.multiplier_limit))

    @torch.no_grad()
    def anneal(self, success: float) -> None:
        """Tighten the margin where this share of the answers of validation edits is enough."""
        if success >= self._config.success:
            tighter = self.margin * self._config.margin_decay
            self.margin.copy_(tighter.clamp_min(self._config.margin_end))
