"""From readings to verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kedit_lifecycle.checks.collapse.limits import HealthLimits
from kedit_lifecycle.checks.health.generation import Texts
from kedit_lifecycle.checks.health.holding import Retention, holds
from kedit_lifecycle.checks.health.unedited import distinct_predictions
from kedit_lifecycle.checks.result import CheckResult, judged
from kedit_lifecycle.evaluation import metrics
from kedit_lifecycle.evaluation.perplexity import TextReading
from kedit_lifecycle.evaluation.request_evaluation import RequestEvaluation
from kedit_lifecycle.evaluation.scores import MetricValue


class Judge:
    """Makes the results; every limit comes from `limits`."""

    def __init__(self, limits: HealthLimits) -> None:
        self._limits = limits

    def _result(self, check: str, value: float | None, message: str, **detail: Any) -> CheckResult:
        """A check's result; without a value there was nothing to measure, and it passes."""
        if value is None:
            return CheckResult(check, "pass", message, detail=_as_json(detail))
        own = self._limits.measures[check]
        verdict = judged(value, own.warn, own.fail)
        return CheckResult(check, verdict, message, value, own.warn, own.fail, _as_json(detail))

    def perplexity(self, now: TextReading, unedited: TextReading) -> CheckResult:
        """Perplexity divided by the unedited model's."""
        value, base = now.perplexity().value, unedited.perplexity().value
        message = f"{value / base:.3f} × the unedited model's ({value:.4g} beside {base:.4g})"
        return self._result("perplexity", value / base, message, perplexity=value, unedited=base)

    def perplexity_step(self, now: float, parent: float | None, facts: int) -> CheckResult:
        """What each fact of a step cost, of both models' `perplexity`; the parent's is None if not read."""
        if parent is None:
            return self._result("perplexity_step", None, "the parent's perplexity was not measured")
        step = now / parent
        message = f"{step:.3f} × the parent's" + (f", by {facts} facts" if facts > 1 else "")
        return self._result("perplexity_step", step ** (1 / max(facts, 1)), message, parent=parent)

    def diversity(self, now: TextReading, unedited: TextReading) -> CheckResult:
        """Share of the distinct predictions that is lost."""
        value, base = distinct_predictions(now), distinct_predictions(unedited)
        lost = max(0.0, 1.0 - value / base)
        message = f"{value:.0%} of the predicted tokens are distinct, {base:.0%} of the unedited model's"
        return self._result("diversity", lost, message, distinct=value, unedited=base)

    def drift(self, drift: MetricValue) -> CheckResult:
        """Mean KL to the unedited model."""
        message = f"{drift.value:.4g} nats per token from the unedited model"
        return self._result("drift", drift.value, message, positions=drift.count)

    def retention(self, found: Retention) -> CheckResult:
        """Share of the earlier edits that held and hold no more."""
        if not found.known:
            return self._result("retention", None, "no earlier edit that held was asked", asked=0)
        lost = [{"version": one.version, "position": one.position} for one in found.lost]
        shares = {one.metric: one.value for one in found.metrics()}
        message = f"{len(lost)} of {found.known} earlier edits that held hold no more"
        return self._result(
            "retention", found.forgotten, message, asked=len(found.asked), lost=lost, **shares
        )

    def neighborhood(self, evaluations: Sequence[RequestEvaluation]) -> CheckResult:
        """Share of the neighborhood prompts whose most probable next token changed."""
        compared = [
            (one.neighborhood_before, one.neighborhood_next, one.against)
            for one in evaluations
            if one.neighborhood_before
        ]
        kept = metrics.mean([metrics.unchanged_share(before, after) or 0.0 for before, after, _ in compared])
        if kept is None:
            return self._result("neighborhood", None, "no neighborhood prompts to compare")
        count = sum(len(after) for _, after, _ in compared)
        message = f"{1 - kept:.0%} of the next tokens at {count} neighborhood prompts changed"
        return self._result("neighborhood", 1.0 - kept, message, prompts=count, against=compared[0][2])

    def weight_change(self, changes: Mapping[str, float]) -> CheckResult:
        """The largest change of the edited tensors."""
        if not changes:
            return self._result("weight_change", None, "no tensor is edited")
        tensor = max(changes, key=lambda name: changes[name])
        message = f"‖ΔW‖/‖W‖ is {changes[tensor]:.3g} at {tensor}"
        return self._result("weight_change", changes[tensor], message, tensors=dict(changes))

    def degeneracy(self, now: Texts, unedited: Texts) -> CheckResult:
        """Rise of the share of repeated trigrams in generated text."""
        value, base = now.repeated_trigrams, unedited.repeated_trigrams
        message = f"{value:.0%} of the trigrams it writes are repeats, {base:.0%} of the unedited model's"
        shown = {one.metric: one.value for one in now.metrics()}
        return self._result("degeneracy", max(0.0, value - base), message, unedited=base, **shown)

    def efficacy(self, evaluations: Sequence[RequestEvaluation]) -> CheckResult:
        """Share of the edits just made that do not hold."""
        held = [holds(one.edit) for one in evaluations]
        if not held:
            return self._result("efficacy", None, "no edit to ask")
        scores = [one.edit for one in evaluations]
        probability = metrics.mean([one.target_probability for one in evaluations])
        message = f"{sum(held)} of {len(held)} hold; P(target) {probability:.2f}"
        return self._result(
            "efficacy",
            1.0 - sum(held) / len(held),
            message,
            efficacy=metrics.success(scores),
            exact_match=metrics.exact_match(scores),
            target_probability=probability,
            held=held,
        )


def _as_json(detail: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: null."""
    return {name: _finite(value) for name, value in detail.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _as_json(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
