"""Steps on many δ at once, each row on its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kedit_lifecycle.editors.locate.config import ValueSearchConfig


class NormalizedMomentum(torch.optim.Optimizer):
    """Steps of one length along the averaged gradient: δ ← δ − η √d m/‖m‖ for each row of δ (n, d).

    Adam moves every coordinate by about η whatever the gradient says of it, and so walks far from where
    the loss falls fastest; here η is the root mean square over coordinates and the direction is kept.
    With a `metric` M (d, d), symmetric, the direction is M m in the place of m.
    """

    def __init__(
        self, parameters: list[Tensor], lr: float, momentum: float, metric: Tensor | None = None
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "metric": metric})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; rows with no gradient stay."""
        for group in self.param_groups:
            for delta in group["params"]:
                state = self.state[delta]
                average = state.setdefault("average", torch.zeros_like(delta))
                average.mul_(group["momentum"]).add_(delta.grad)
                direction = average if group["metric"] is None else average @ group["metric"]
                length = direction.norm(dim=1, keepdim=True).clamp(min=1e-20)
                delta.sub_(direction * (group["lr"] * delta.shape[1] ** 0.5 / length))


def natural_metric(fisher: Tensor, damping: float) -> Tensor:
    """(F/f + μ I)⁻¹ of a Fisher information F (d, d), f its mean eigenvalue, μ the damping; float32.

    The natural gradient F⁻¹ g (Amari 1998) is what lowers the loss most at a given change of the model's
    predictions: here of those on texts that are not about the edit, which a δ reaches wherever their keys
    resemble the subject's.
    """
    mean = fisher.double().diagonal().mean().clamp(min=1e-300)
    damped = fisher.double() / mean + damping * torch.eye(len(fisher), dtype=torch.float64)
    return torch.cholesky_inverse(torch.linalg.cholesky(damped)).float()


def make_optimiser(
    config: ValueSearchConfig, delta: Tensor, metric: Tensor | None = None
) -> torch.optim.Optimizer:
    """The optimiser that the config names, over the rows of δ (n, d_model).

    `metric` is what `natural-momentum` steps in, (d_model, d_model).
    """
    if config.optimiser == "adam":
        return torch.optim.Adam([delta], lr=config.learning_rate)
    metric = None if metric is None else metric.to(delta.device)
    return NormalizedMomentum([delta], config.learning_rate, config.momentum, metric)


def narrowed(
    optimiser: torch.optim.Optimizer, delta: Tensor, rows: Tensor
) -> tuple[Tensor, torch.optim.Optimizer]:
    """δ with only these rows, and an optimiser that goes on with their state."""
    kept = delta.detach()[rows].requires_grad_()
    kept.grad = None if delta.grad is None else delta.grad[rows]
    going_on = type(optimiser)([kept], **optimiser.defaults)
    state = {name: value[rows] if value.dim() else value for name, value in optimiser.state[delta].items()}
    if state:
        going_on.state[kept] = state
    return kept, going_on
