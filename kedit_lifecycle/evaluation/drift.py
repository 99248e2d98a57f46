"""Drift: how far an edit moved the model's next-token distributions on the base model's own samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import blake3
import torch
from torch import Tensor

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.evaluation.registry import measured
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.evaluation.scoring import HEAD_POSITIONS, head_parts
from kedit_lifecycle.models.batching import Tokens, length_buckets
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import HiddenStates, run_whole

TOKEN_BUDGET = 4096


@dataclass(frozen=True, slots=True)
class DriftReference:
    """The base model on its own samples, kept so that KL(base ‖ edited) is exact over the vocabulary.

    `hidden` are the base's final-normed hidden states, (positions, d_model) on the CPU: its logits
    come back through the head, at a hundredth of the room whole distributions would take. That holds
    while no edit touches the head or its tied embeddings; `log_normalizers`, (positions,), the base's
    logsumexp over the vocabulary, tells when one did.
    """

    samples: tuple[Tokens, ...]
    hidden: Tensor
    log_normalizers: Tensor

    @classmethod
    def build(
        cls,
        model: EditableModel,
        samples: Sequence[Sequence[int]],
        *,
        max_positions: int = 512,
        hidden: HiddenStates | None = None,
    ) -> DriftReference:
        """Read the unedited `model` on its samples, in order, up to `max_positions` tokens.

        `hidden` runs the model, by default from its embeddings up.

        Raises:
            UsageError: if the samples hold no token.
        """
        kept = _first_positions(samples, max_positions)
        if not kept:
            raise UsageError("drift needs at least one sample token of the base model")
        states = _hidden_states(hidden or partial(run_whole, model), kept)
        normalizers = [_log_normalizers(model, part) for part in head_parts(states)]
        return cls(kept, states.cpu(), torch.cat(normalizers).cpu())

    @torch.no_grad()
    def drift(self, model: EditableModel, hidden: HiddenStates | None = None) -> MetricValue:
        """Mean KL(base ‖ `model`) per position, in nats; `hidden` runs the model, as in `build`.

        A model that answers with NaN has infinite drift.

        Raises:
            UsageError: if the head of `model` is not the base's.
        """
        edited = _hidden_states(hidden or partial(run_whole, model), self.samples)
        total, count = 0.0, len(self.hidden)
        for begin in range(0, count, HEAD_POSITIONS):
            part = slice(begin, begin + HEAD_POSITIONS)
            total += _kl(self._base_logits(model, part), model.logits(edited[part]))
        value = math.inf if math.isnan(total) else max(total / count, 0.0)
        digest = blake3.blake3(repr(self.samples).encode()).hexdigest()[:12]
        return measured("drift_kl", value, count, samples=digest)

    def _base_logits(self, model: EditableModel, part: slice) -> Tensor:
        logits = model.logits(self.hidden[part].to(model.device))
        now, then = logits.logsumexp(dim=-1).cpu(), self.log_normalizers[part]
        if not torch.allclose(now, then, rtol=1e-3, atol=1e-3):
            raise UsageError(
                "this drift reference does not fit the model: its LM head is not the base model's",
                hint="drift by stored hidden states needs edits that leave the head and embeddings alone",
            )
        return logits


def _first_positions(samples: Sequence[Sequence[int]], max_positions: int) -> tuple[Tokens, ...]:
    kept: list[Tokens] = []
    room = max_positions
    for sample in samples:
        if sample and room:
            kept.append(tuple(sample[:room]))
            room -= len(kept[-1])
    return tuple(kept)


@torch.no_grad()
def _hidden_states(run: HiddenStates, samples: Sequence[Tokens]) -> Tensor:
    """Final-normed hidden states of every token, samples one after another: (positions, d_model)."""
    by_sample: dict[int, Tensor] = {}
    for batch in length_buckets(range(len(samples)), lambda index: len(samples[index]), TOKEN_BUDGET):
        hidden = run([samples[index] for index in batch])  # (samples, positions, d_model)
        by_sample |= {index: hidden[row, : len(samples[index])] for row, index in enumerate(batch)}
    return torch.cat([by_sample[index] for index in range(len(samples))])


@torch.no_grad()
def _log_normalizers(model: EditableModel, hidden: Tensor) -> Tensor:
    return model.logits(hidden).logsumexp(dim=-1)


def _kl(base: Tensor, edited: Tensor) -> float:
    """Σ KL(base ‖ edited) over rows of (positions, vocabulary) logits.

    With d = edited − base and p = softmax(base), KL = log E_p exp(d − E_p d): the first order cancels
    before anything is rounded, so that float32 gives it to about 1e-7 nats, at a fifth of the time.
    """
    weights = torch.softmax(base, dim=-1)
    apart = edited - base
    apart -= torch.linalg.vecdot(weights, apart)[:, None]
    rest = torch.linalg.vecdot(weights, apart).double()  # what rounding left of the mean
    rows = torch.linalg.vecdot(weights, apart.exp_().sub_(1)).double().log1p() - rest
    total = float(rows.sum())
    return total if math.isfinite(total) else _wide_kl(base, edited)


def _wide_kl(base: Tensor, edited: Tensor) -> float:
    """The same in float64, for logits so far apart that float32 overflows."""
    base, edited = torch.log_softmax(base.double(), dim=-1), torch.log_softmax(edited.double(), dim=-1)
    return float((base.exp() * (base - edited)).sum())
