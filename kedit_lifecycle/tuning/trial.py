"""One candidate on a sequence of edits, and the one number it gets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kedit_lifecycle.editors import Editor, EditorConfig, PastKeys
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.errors import EditFailedError
from kedit_lifecycle.evaluation.metrics import harmonic_mean, mean
from kedit_lifecycle.evaluation.perplexity import monitor_perplexity
from kedit_lifecycle.evaluation.suite import aggregate, evaluate_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.tuning.halving import OutOfTime

PERPLEXITY_LIMIT = 2.0  # times the unedited model's; above, the model has collapsed


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate's measures after its sequence, all facts evaluated at the end.

    Shares in [0, 1] but for the perplexity (a ratio to the unedited model's) and seconds per edit; None
    where there was nothing to measure. `failure` says why a candidate failed; its `score` is None.
    """

    edits: int
    score: float | None = None
    s: float | None = None
    efficacy: float | None = None
    paraphrase: float | None = None
    neighborhood: float | None = None
    unedited_neighborhood: float | None = None
    generated_exact_match: float | None = None
    perplexity_ratio: float | None = None
    seconds_per_edit: float | None = None
    failure: str = ""

    @property
    def rank(self) -> float | None:
        """The score, and a millionth of the mean of its shares, which orders candidates that score 0.

        After few edits many do: one share of 0 is enough. None where the trial failed.
        """
        if self.score is None or self.failure:
            return None
        shares = (self.efficacy, self.paraphrase, self.neighborhood, self.generated_exact_match)
        return self.score + 1e-6 * (mean([share for share in shares if share is not None]) or 0.0)


def objective(
    efficacy: float | None,
    paraphrase: float | None,
    neighborhood: float | None,
    unedited_neighborhood: float | None,
    generated_exact_match: float,
    perplexity_ratio: float,
) -> float:
    """H(ES, PS, min(1, NS / unedited NS)) · generated exact match / max(1, perplexity ratio)², in [0, 1].

    A product, so that nothing makes up for a part that is lost: S asks whether the new fact is preferred
    where it should be and only there, the exact match whether it is also said, and the perplexity whether
    the model still speaks. NS is relative to the unedited model's, which a small model has low, and is
    no gain above it. The square makes 5 % more perplexity cost about 10 % of the score. A part that
    the facts have no prompts for (None) is left out of the harmonic mean H.
    """
    kept = None
    if neighborhood is not None:
        kept = min(1.0, neighborhood / unedited_neighborhood) if unedited_neighborhood else 1.0
    parts = [part for part in (efficacy, paraphrase, kept) if part is not None]
    return (harmonic_mean(parts) or 0.0) * generated_exact_match / max(1.0, perplexity_ratio) ** 2


def _afresh(statistics: Statistics) -> Statistics:
    """The same library without the factorisations of earlier candidates, which would fill the memory."""
    return Statistics(statistics.model, statistics.library, statistics.progress, trained=statistics.trained)


def never() -> bool:
    """Time is never up."""
    return False


class Trials:
    """Tries configurations of one editor on one model, which is as before after each.

    A trial begins with the unedited model. `batch` requests go into one edit.
    """

    def __init__(
        self, model: EditableModel, statistics: Statistics, editor: Editor[Any], *, batch: int = 1
    ) -> None:
        self._model = model
        self._statistics = statistics
        self._editor = editor
        self._batch = batch
        self._perplexity: float | None = None
        self._neighborhoods: dict[tuple[str, ...], float | None] = {}

    def run(
        self,
        config: EditorConfig,
        requests: Sequence[EditRequest],
        *,
        expired: Callable[[], bool] = never,
        on_edit: Callable[[int], None] = lambda requests: None,
    ) -> Trial:
        """Edit `requests` in order, each edit planned on the model as the earlier ones left it; measure.

        A failed edit, or a perplexity above PERPLEXITY_LIMIT times the unedited model's, is a failed
        trial.

        Raises:
            OutOfTime: `expired` said so before an edit.
        """
        with self._model.unedited():
            unedited = self._unedited_perplexity()
            neighborhood = self._unedited_neighborhood(requests)
            try:
                seconds = self._edit(config, requests, expired, on_edit)
            except EditFailedError as error:
                return Trial(len(requests), unedited_neighborhood=neighborhood, failure=str(error))
            ratio = monitor_perplexity(self._model).value / unedited
            return self._measured(requests, neighborhood, ratio, seconds)

    def _edit(
        self,
        config: EditorConfig,
        requests: Sequence[EditRequest],
        expired: Callable[[], bool],
        on_edit: Callable[[int], None],
    ) -> float:
        """Mean seconds that a request took; the first edit, which factorises statistics, left out."""
        past, statistics = PastKeys(), _afresh(self._statistics)
        groups = [requests[i : i + self._batch] for i in range(0, len(requests), self._batch)]
        seconds = []
        for group in groups:
            if expired():
                raise OutOfTime
            began = time.perf_counter()
            self._edit_once(config, group, statistics, past)
            seconds.append((time.perf_counter() - began) / len(group))
            on_edit(len(group))
        counted = seconds[1:] or seconds
        return sum(counted) / len(counted)

    def _edit_once(
        self, config: EditorConfig, requests: Sequence[EditRequest], statistics: Statistics, past: PastKeys
    ) -> None:
        delta = self._editor.plan(self._model, requests, config, statistics=statistics, past=past)
        if delta.failures:
            raise EditFailedError(next(iter(delta.failures.values())))
        self._model.apply(delta.updates)
        for tensor in {update.tensor for update in delta.updates}:
            if not self._model.parameter(tensor).isfinite().all():
                raise EditFailedError(f"{tensor} went out of the range of its dtype")
        past.add(delta.updates)

    def _measured(
        self, requests: Sequence[EditRequest], unedited: float | None, ratio: float, seconds: float
    ) -> Trial:
        collapsed = not ratio <= PERPLEXITY_LIMIT
        found = aggregate(evaluate_requests(self._model, requests, generate=not collapsed, fluency=False))
        means = {metric: value.value for metric, value in found.items()}
        es, ps, ns = (means.get(metric) for metric in ("efficacy", "paraphrase", "neighborhood"))
        said = means.get("generated_exact_match")
        score = None if said is None else objective(es, ps, ns, unedited, said, ratio)
        failure = f"perplexity {ratio:.3g} times the unedited model's" if collapsed else ""
        return Trial(
            len(requests), score, means.get("score"), es, ps, ns, unedited, said, ratio, seconds, failure
        )

    def _unedited_perplexity(self) -> float:
        if self._perplexity is None:
            self._perplexity = monitor_perplexity(self._model).value
        return self._perplexity

    def _unedited_neighborhood(self, requests: Sequence[EditRequest]) -> float | None:
        name = tuple(request.digest for request in requests)
        if name not in self._neighborhoods:
            found = aggregate(evaluate_requests(self._model, requests, generate=False))
            self._neighborhoods[name] = found["neighborhood"].value if "neighborhood" in found else None
        return self._neighborhoods[name]
