"""Means over a sequence of edits, kept as it goes."""

from __future__ import annotations

import time
from dataclasses import replace

from kedit_lifecycle.evaluation.metrics import harmonic_mean
from kedit_lifecycle.evaluation.registry import measured
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.workbench.outcomes import ApplySummary, EditOutcome, MetricTable


class ApplyTally:
    """Adds outcomes up.

    Means are over requests, as each was measured at its own version; numbers about the whole model are
    the last ones.
    """

    def __init__(self, run: str, already_done: int) -> None:
        self._run = run
        self._already_done = already_done
        self._outcomes: list[EditOutcome] = []
        self._began = time.perf_counter()

    def add(self, outcome: EditOutcome) -> None:
        """Count one step."""
        self._outcomes.append(outcome)

    def summary(self) -> ApplySummary:
        """The sums so far."""
        made = [one for one in self._outcomes if one.version is not None]
        return ApplySummary(
            run=self._run,
            committed=tuple(one.version for one in made if one.version is not None),
            taken_back=tuple(one for one in self._outcomes if one.version is None),
            already_done=self._already_done,
            metrics=_mean([one.metrics for one in made]),
            unedited=_mean([one.unedited for one in made]),
            warnings=tuple(text for one in self._outcomes for text in one.warnings),
            seconds=time.perf_counter() - self._began,
        )


def _mean(tables: list[MetricTable]) -> dict[str, MetricValue]:
    """As `evaluation.aggregate` does it over all requests at once: S is the harmonic mean of the means."""
    merged: dict[str, MetricValue] = {}
    for metric in dict.fromkeys(name for table in tables for name in table):
        found = [table[metric] for table in tables if metric in table]
        last = found[-1]
        if metric in ("perplexity", "drift_kl"):
            merged[metric] = last
            continue
        count = sum(value.count for value in found)
        total = sum(value.value * value.count for value in found)
        merged[metric] = replace(last, value=total / count, count=count)
    return merged | _score(merged)


def _score(means: MetricTable) -> dict[str, MetricValue]:
    parts = [means[metric] for metric in ("efficacy", "paraphrase", "neighborhood") if metric in means]
    score = harmonic_mean([part.value for part in parts]) if len(parts) == 3 else None
    return {} if score is None else {"score": measured("score", score, min(part.count for part in parts))}
