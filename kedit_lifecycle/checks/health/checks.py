"""The checks of one edit: what is read, within a budget, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kedit_lifecycle.checks.collapse.limits import HealthLimits
from kedit_lifecycle.checks.health.budget import CheckBudget
from kedit_lifecycle.checks.health.generation import write_texts
from kedit_lifecycle.checks.health.holding import ask_again
from kedit_lifecycle.checks.health.results import Judge
from kedit_lifecycle.checks.health.sampling import EarlierEdit, choose_earlier
from kedit_lifecycle.checks.health.unedited import Unedited, prediction_metrics, read_monitor
from kedit_lifecycle.checks.health.weights import weight_changes
from kedit_lifecycle.checks.result import CheckResult
from kedit_lifecycle.evaluation.answering import AnsweringSystem
from kedit_lifecycle.evaluation.registry import measured
from kedit_lifecycle.evaluation.request_evaluation import RequestEvaluation
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.evaluation.scoring import Scorer
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import CachedLower


@dataclass(frozen=True, slots=True)
class HealthReading:
    """Results with their metrics; `values` is what a HealthMonitor takes in."""

    results: tuple[CheckResult, ...] = ()
    metrics: tuple[MetricValue, ...] = ()

    @property
    def values(self) -> dict[str, float]:
        """What was measured, by the check's name."""
        return {one.check: one.value for one in self.results if one.value is not None}

    def __add__(self, other: HealthReading) -> HealthReading:
        return HealthReading(self.results + other.results, self.metrics + other.metrics)


class HealthChecks:
    """Reads an edited model beside the unedited one.

    `samples` are token ids of the unedited model's own text, for drift. `lower` keeps what the layers
    below the edits give; pass it on as `hidden` to whatever else is read around an edit.

    Attributes:
        lower: the runner that starts at the lowest edited layer.
    """

    def __init__(
        self,
        model: EditableModel,
        samples: Sequence[Sequence[int]],
        limits: HealthLimits | None = None,
        budget: CheckBudget | None = None,
        lower: CachedLower | None = None,
    ) -> None:
        self._model = model
        self._budget = budget or CheckBudget()
        self._judge = Judge(limits or HealthLimits())
        self.lower = lower or CachedLower(model, memory_mib=self._budget.memory_mib)
        self._unedited = Unedited(model, samples, self._budget, self.lower)

    def full(self, version: int) -> bool:
        """Whether the checks of this version are a full evaluation."""
        return version % self._budget.every == 0

    def run(
        self,
        version: int,
        requests: Sequence[EditRequest],
        evaluations: Sequence[RequestEvaluation] = (),
        earlier: Sequence[EarlierEdit] = (),
        *,
        full: bool | None = None,
        system: AnsweringSystem | None = None,
        parent: float | None = None,
        found: Callable[[CheckResult], None] = lambda result: None,
    ) -> HealthReading:
        """Check the model as it is, `requests` just applied to it, on its way to be `version`.

        `system`, if given, answers for the model when edits are asked, with its memory. `parent` is the
        value of `perplexity` before the requests, None where it was not measured. `found` is given each
        result as soon as it is there.

        `evaluations` are the requests' readings on this model, with `neighborhood_before` those on the
        parent; `earlier` the live edits of the versions before. The same model, version and edits give
        the same numbers.
        """
        full = self.full(version) if full is None else full
        reading = HealthReading()
        for part in self._parts(version, requests, evaluations, earlier, full, system, parent):
            for result in part.results:
                found(result)
            reading += part
        return reading

    def _parts(
        self,
        version: int,
        requests: Sequence[EditRequest],
        evaluations: Sequence[RequestEvaluation],
        earlier: Sequence[EarlierEdit],
        full: bool,
        system: AnsweringSystem | None,
        parent: float | None,
    ) -> Iterator[HealthReading]:
        """The readings of one edit, the cheapest first."""
        yield HealthReading((self._judge.efficacy(evaluations), self._judge.neighborhood(evaluations)))
        whole = self.whole_model()
        step = self._judge.perplexity_step(whole.values["perplexity"], parent, len(requests))
        yield whole + HealthReading((step,))
        yield self.retention(version, requests, earlier, full=full, system=system)
        if full:
            yield self.degeneracy()

    def whole_model(self) -> HealthReading:
        """Perplexity, diversity of predictions, drift, and the change of the weights."""
        monitor = read_monitor(self._model, self._budget, self.lower)
        base = self._unedited.monitor
        drift = self._unedited.drift.drift(self._model, self.lower)
        changes = weight_changes(self._model)
        results = (
            self._judge.perplexity(monitor, base),
            self._judge.drift(drift),
            self._judge.diversity(monitor, base),
            self._judge.weight_change(changes),
        )
        found = [monitor.perplexity(), drift, *prediction_metrics(monitor)]
        if changes:
            found.append(measured("weight_change", max(changes.values()), len(changes)))
        return HealthReading(results, tuple(found))

    def retention(
        self,
        version: int,
        requests: Sequence[EditRequest],
        earlier: Sequence[EarlierEdit],
        *,
        full: bool = False,
        system: AnsweringSystem | None = None,
    ) -> HealthReading:
        """A sample of the earlier edits, and those related to `requests`, asked again."""
        chosen = choose_earlier(
            earlier,
            requests,
            sample=self._budget.full_retention if full else self._budget.retention,
            related=self._budget.related,
            seed=self._budget.seed,
            version=version,
        )
        scorer = system.scorer() if system else Scorer(self._model, hidden=self.lower)
        found = ask_again(scorer, chosen)
        return HealthReading((self._judge.retention(found),), tuple(found.metrics()))

    def degeneracy(self) -> HealthReading:
        """What the model writes from neutral prompts."""
        texts = write_texts(self._model, self._budget.generated_tokens, self._budget.seed)
        result = self._judge.degeneracy(texts, self._unedited.texts)
        return HealthReading((result,), tuple(texts.metrics()))
