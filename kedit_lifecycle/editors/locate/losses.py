"""The two losses of the search on a model's logits, with their gradient written out.

Logits are wide: an automatic gradient goes over them a dozen times and keeps several copies.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Losses(NamedTuple):
    """Of targets and essences.

    Attributes:
        nll: −log p of each target token, (targets,).
        kl: KL(before ‖ now) of each essence, (essences,).
        certain: whether a target token is the most probable one, (targets,).
        now: log-probabilities at the essences, (essences, vocabulary).
    """

    nll: Tensor
    kl: Tensor
    certain: Tensor
    now: Tensor


def losses(logits: Tensor, targets: Tensor, before: Tensor | None) -> Losses:
    """Of logits (targets + essences, vocabulary), float32; `nll` and `kl` are differentiable, once.

    Args:
        logits: of the targets, then of the essences.
        targets: the token that is wanted at each target, (targets,).
        before: log-probabilities at the essences that should stay, (essences, vocabulary); None where
            they are what these logits say.
    """
    return Losses(*_Losses.apply(logits, targets, before))  # type: ignore[no-untyped-call]


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, before: Tensor | None) -> tuple[Tensor, ...]:
        count = len(targets)
        rows = torch.arange(count, device=logits.device)
        largest, place = logits[:count].max(dim=1)
        probabilities = logits.softmax(dim=1)
        # the largest logit's probability is 1 / Σ exp(logit − largest)
        nll = largest - logits[rows, targets] - probabilities[rows, place].log()
        now = logits[count:].log_softmax(dim=1)
        before = now if before is None else before
        kept = before.exp()
        kl = (kept * (before - now)).sum(dim=1)
        ctx.save_for_backward(probabilities, targets, kept)
        certain = place == targets
        ctx.mark_non_differentiable(certain, now)
        return nll, kl, certain, now

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """∂nll/∂logits = p − 1 at the target, ∂kl/∂logits = p − p_before; written over p."""
        found, targets, kept = ctx.saved_tensors
        of_nll, of_kl, *_ = gradients
        count = len(targets)
        found.mul_(torch.cat([of_nll, of_kl])[:, None])
        rows = torch.arange(count, device=found.device)
        found[rows, targets] -= of_nll
        found[count:].addcmul_(kept, of_kl[:, None], value=-1)
        return found, None, None
