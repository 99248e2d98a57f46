"""What was read about one request, the metrics it gives, and their means over requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.evaluation import metrics
from kedit_lifecycle.evaluation.registry import METRICS, measured
from kedit_lifecycle.evaluation.scores import MetricValue, PromptScore

Against = Literal["base", "parent"]


@dataclass(frozen=True, slots=True)
class RequestEvaluation:
    """What was read about one request; `metrics()` makes the numbers.

    `neighborhood` is empty where the request has no true target; `neighborhood_before` is None
    without a baseline for all its prompts; `completion` is None where nothing was generated.
    """

    request: int
    target: str
    edit: PromptScore
    paraphrases: tuple[PromptScore, ...] = ()
    neighborhood: tuple[PromptScore, ...] = ()
    neighborhood_next: tuple[int, ...] = ()
    neighborhood_before: tuple[int, ...] | None = None
    against: Against = "base"
    completion: str | None = None
    fluency_texts: tuple[str, ...] = ()
    fluency_seed: int = 0

    @property
    def target_probability(self) -> float:
        """P(target_new) after the edit prompt, the product over its tokens."""
        return self.edit.new.probability

    def metrics(self) -> list[MetricValue]:
        """Every metric this request has something for, with the request's position."""
        edit, near, far = (self.edit,), self.paraphrases, self.neighborhood
        es, ps, ns = metrics.success(edit), metrics.success(near), metrics.preservation(far)
        return [
            *self._value("efficacy", es, 1),
            *self._value("efficacy_magnitude", metrics.magnitude(edit), 1),
            *self._value("paraphrase", ps, len(near)),
            *self._value("paraphrase_magnitude", metrics.magnitude(near), len(near)),
            *self._value("neighborhood", ns, len(far)),
            *self._value("neighborhood_magnitude", metrics.preservation_magnitude(far), len(far)),
            *self._value("score", metrics.harmonic_mean([es, ps, ns]), 1),
            *self._unchanged(),
            *self._value("exact_match", metrics.exact_match(edit), 1),
            *self._value("paraphrase_exact_match", metrics.exact_match(near), len(near)),
            *self._generated(),
        ]

    def _value(
        self, metric: str, value: float | None, count: int, **settings: str | int
    ) -> list[MetricValue]:
        if value is None:
            return []
        return [measured(metric, value, count, self.request, **settings)]

    def _unchanged(self) -> list[MetricValue]:
        before, after = self.neighborhood_before, self.neighborhood_next
        share = None if before is None else metrics.unchanged_share(before, after)
        return self._value("neighborhood_unchanged", share, len(after), against=self.against)

    def _generated(self) -> list[MetricValue]:
        matched = None
        if self.completion is not None:
            matched = float(metrics.generated_match(self.completion, self.target))
        entropy = metrics.mean([metrics.ngram_entropy(text) for text in self.fluency_texts])
        return [
            *self._value("generated_exact_match", matched, 1),
            *self._value("fluency", entropy, len(self.fluency_texts), seed=self.fluency_seed),
        ]


def aggregate(evaluations: Sequence[RequestEvaluation]) -> dict[str, MetricValue]:
    """Each metric's mean over the requests that have it, by metric id, in the registry's order.

    As in CounterFact: the mean over a request's own prompts first, then over requests (`count`), so
    that each request weighs the same. S is the harmonic mean of the averaged ES, PS and NS.

    Raises:
        UsageError: if the readings of one metric were made by different protocols.
    """
    by_metric: dict[str, list[MetricValue]] = {}
    for evaluation in evaluations:
        for value in evaluation.metrics():
            by_metric.setdefault(value.metric, []).append(value)
    means = {metric: _mean(by_metric[metric]) for metric in METRICS if metric in by_metric}
    means.pop("score", None)
    parts = [means.get(metric) for metric in ("efficacy", "paraphrase", "neighborhood")]
    score = metrics.harmonic_mean([None if part is None else part.value for part in parts])
    if score is not None:
        means["score"] = measured("score", score, min(part.count for part in parts if part is not None))
    return {metric: means[metric] for metric in METRICS if metric in means}


def _mean(values: Sequence[MetricValue]) -> MetricValue:
    protocols = sorted({value.protocol for value in values})
    if len(protocols) > 1:
        raise UsageError(f"{values[0].metric} was measured by different protocols: {', '.join(protocols)}")
    mean = metrics.mean([value.value for value in values])
    assert mean is not None  # a metric is only in the table with a value
    return replace(values[0], value=mean, count=len(values), request=None)
