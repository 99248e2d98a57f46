"""The gate and the offset of one weight, and the update that they make of its gradient, as factors.

    ΔW = s σ(η) (α̂ ⊙ ∇W + ρ β̂),   α̂ = softmax(α) γᵀ,   β̂ = softmax(β) δᵀ     (De Cao et al. 2021, §3.2)

with α, β over the weight's outputs and γ, δ over its inputs. With ∇W = Σ_t g_t u_tᵀ the gated gradient is
Σ_t (softmax(α) ⊙ g_t) (γ ⊙ u_t)ᵀ and the offset one product more: rank tokens + 1, exactly, never dense.

With its own key (`keys=own`) an update is the value that answers it, ΔW = v kᵀ, and what is gated is that
value: the sides change places, γ and δ are over the outputs, and in the place of the softmax stands the key:

    v = s σ(η) (γ ⊙ g + ρ δ),   g the gradient at the key's output

ρ is the size of a typical entry of the weight's gradient, so that δ is of order one for every weight and
model. s is 2 · the first step size (· d_out where there is a softmax over the outputs), negative: α = β = δ =
η = 0 and γ = 1 is a plain gradient step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kedit_lifecycle.editors.knowledge_editor.config import GateConfig
from kedit_lifecycle.editors.learned.gradients import Factors

OBSERVED = 64  # batches: then the size of a gradient's entries stays what it is


@dataclass(frozen=True)
class Gate:
    """By the rows of a batch: η (rows, 1), γ, δ (rows, d_in), α, β (rows, d_out).

    With an own key γ and δ are (rows, d_out), and α and β are not there.
    """

    eta: Tensor
    gamma: Tensor
    delta: Tensor
    alpha: Tensor | None = None
    beta: Tensor | None = None


class GateHead(nn.Module):
    """Makes one weight's gate from the condition, and its update from the gate and the gradient."""

    def __init__(self, d_in: int, d_out: int, config: GateConfig) -> None:
        super().__init__()
        self._own = config.keys == "own"
        self._parts = [1, d_out, d_out] if self._own else [1, d_in, d_in, d_out, d_out]
        self.scale = -2.0 * config.edit_learning_rate * (1 if self._own else d_out)
        self.hidden = nn.Linear(config.condition_width, config.gate_width)
        self.out = nn.Linear(config.gate_width, sum(self._parts))
        self.gradient_square: Tensor
        self.batches: Tensor
        self.register_buffer("gradient_square", torch.zeros(()))  # mean over entries of ∇W, or of g
        self.register_buffer("batches", torch.zeros(()))
        self._start_as_a_gradient_step()

    @torch.no_grad()
    def _start_as_a_gradient_step(self) -> None:
        self.out.weight.zero_()
        self.out.bias.zero_()
        self.out.bias[1 : 1 + self._parts[1]] = 1.0

    def gate(self, condition: Tensor) -> Gate:
        """(rows, condition_width) -> the gate of each row."""
        return Gate(*self.out(torch.tanh(self.hidden(condition))).split(self._parts, dim=1))

    @torch.no_grad()
    def observe(self, gradient: Factors) -> None:
        """Take a batch into the mean square of the entries gated, of the first `OBSERVED` batches."""
        if self.batches >= OBSERVED:
            return
        if self._own:
            found = gradient.left.square().mean()
        else:
            found = squared_norm(gradient).mean() / (gradient.left.shape[2] * gradient.right.shape[2])
        self.batches += 1
        self.gradient_square += (found - self.gradient_square) / self.batches

    def forward(self, condition: Tensor, gradient: Factors) -> Factors:
        """The update of each row."""
        gate = self.gate(condition)
        size = self.scale * gate.eta.sigmoid()  # (rows, 1)
        unit = self.gradient_square.sqrt()
        if gate.alpha is None or gate.beta is None:
            value = gradient.left * gate.gamma[:, None] + (unit * gate.delta)[:, None]
            return Factors(size[:, None] * value, gradient.right)
        alpha, beta = gate.alpha.softmax(dim=1), gate.beta.softmax(dim=1)
        left = gradient.left * (size * alpha)[:, None]
        right = gradient.right * gate.gamma[:, None]
        return Factors(
            torch.cat((left, (size * unit * beta)[:, None]), dim=1),
            torch.cat((right, gate.delta[:, None]), dim=1),
        )


def squared_norm(factors: Factors) -> Tensor:
    """‖Σ_t left_t right_tᵀ‖² in the Frobenius norm, by rows: Σ_ts (left_t · left_s) (right_t · right_s)."""
    lefts = factors.left @ factors.left.transpose(1, 2)
    rights = factors.right @ factors.right.transpose(1, 2)
    return (lefts * rights).sum(dim=(1, 2)).clamp_min(0)
