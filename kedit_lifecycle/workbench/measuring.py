"""What is measured around an edit, and how it is written into the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from kedit_lifecycle.checks.health.checks import HealthChecks
from kedit_lifecycle.evaluation.answering import AnsweringSystem
from kedit_lifecycle.evaluation.request_evaluation import Against
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.evaluation.suite import (
    BaselineReadings,
    RequestEvaluation,
    aggregate,
    evaluate_requests,
)
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.ledger.records import AnswerDraft, MetricDraft
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.workbench.history import metric_draft

Measure = Literal["all", "requests", "none"]
MODEL_METRICS = ("perplexity", "drift_kl")


@dataclass(frozen=True)
class Reading:
    """Requests evaluated on one state of the model, and numbers about the whole model."""

    evaluations: tuple[RequestEvaluation, ...] = ()
    whole: Mapping[str, MetricValue] = field(default_factory=dict)

    def only(self, places: Sequence[int]) -> Reading:
        """Of some of the requests, by their places, which are numbered anew."""
        if not self.evaluations:
            return self
        kept = tuple(_at(self.evaluations[place], new) for new, place in enumerate(places))
        return Reading(kept, self.whole)

    def table(self) -> dict[str, MetricValue]:
        """Means over the requests, then the whole model's numbers, by metric id."""
        return {**aggregate(self.evaluations), **self.whole}

    def metric_drafts(self, evaluated: int | None = None) -> list[MetricDraft]:
        """Rows for the ledger; `evaluated` None is the version being committed."""
        values = [value for one in self.evaluations for value in one.metrics()]
        return [metric_draft(value, evaluated) for value in [*values, *self.whole.values()]]

    def answer_drafts(
        self, requests: Sequence[EditRequest], evaluated: int | None = None
    ) -> list[AnswerDraft]:
        """What the model said at the edit prompts."""
        return [
            AnswerDraft(
                one.request, request.question, one.completion or "", one.target_probability, evaluated
            )
            for one, request in zip(self.evaluations, requests, strict=True)
        ]


class Measuring:
    """Reads models; what belongs to the base model is read once and kept."""

    def __init__(self, model: EditableModel, health: HealthChecks) -> None:
        self._model = model
        self.health = health
        self._unedited_whole: dict[str, MetricValue] | None = None
        self._unedited: dict[str, RequestEvaluation] = {}  # by request digest

    def now(
        self,
        requests: Sequence[EditRequest],
        *,
        measure: Measure = "all",
        before: Reading | None = None,
        against: Against = "parent",
        fluency: bool = False,
        system: AnsweringSystem | None = None,
    ) -> Reading:
        """The model as it is, or the system with its memory.

        With `before`, the share of neighborhood prompts left unchanged since then too; `against` says
        whether that was the parent version or the base.
        """
        if measure == "none":
            return Reading()
        baseline = None if before is None else _next_tokens(before, requests, against)
        evaluations = evaluate_requests(
            self._model, requests, before=baseline, fluency=fluency, system=system
        )
        return Reading(tuple(evaluations), self.whole() if measure == "all" else {})

    def unedited(
        self,
        requests: Sequence[EditRequest],
        *,
        measure: Measure = "all",
        generate: bool = True,
        fluency: bool = False,
    ) -> Reading:
        """The base model on the same requests; each is read once."""
        if measure == "none":
            return Reading()
        with self._model.unedited():
            self._read_unedited(requests, generate, fluency)
            if self._unedited_whole is None and measure == "all":
                self._unedited_whole = self.whole()
        evaluations = tuple(_at(self._unedited[r.digest], i) for i, r in enumerate(requests))
        return Reading(evaluations, (self._unedited_whole or {}) if measure == "all" else {})

    def _read_unedited(self, requests: Sequence[EditRequest], generate: bool, fluency: bool) -> None:
        missing = [
            request
            for request in requests
            if (known := self._unedited.get(request.digest)) is None
            or (generate and known.completion is None)
            or (fluency and not known.fluency_texts)
        ]
        found = evaluate_requests(self._model, missing, generate=generate, fluency=fluency)
        self._unedited |= {request.digest: one for request, one in zip(missing, found, strict=True)}

    def whole(self) -> dict[str, MetricValue]:
        """Perplexity on the monitor text and drift from the base, of the model as it is."""
        return whole_model(self.health.whole_model().metrics)


def whole_model(metrics: Sequence[MetricValue]) -> dict[str, MetricValue]:
    """Of some metrics, those about the whole model that stand beside every edit."""
    return {value.metric: value for value in metrics if value.metric in MODEL_METRICS}


def _at(evaluation: RequestEvaluation, position: int) -> RequestEvaluation:
    return replace(evaluation, request=position)


def _next_tokens(before: Reading, requests: Sequence[EditRequest], against: Against) -> BaselineReadings:
    """The next tokens at the neighborhood prompts in an earlier reading."""
    tokens: dict[str, int] = {}
    for one, request in zip(before.evaluations, requests, strict=True):
        tokens.update(zip(request.neighborhood, one.neighborhood_next, strict=True))
    return BaselineReadings(tokens, against)
