"""The threshold at a stated false-positive rate, and the ROC it was chosen on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kedit_lifecycle.errors import UsageError

ROC_POINTS = 101

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RocPoint:
    """Scores of at least `threshold` count as in scope."""

    threshold: float
    false_positive_rate: float
    true_positive_rate: float


def rates_at(threshold: float, scores: Scores, in_scope: NDArray[np.bool_]) -> RocPoint:
    """False- and true-positive rate at one threshold."""
    accepted = scores >= threshold
    return RocPoint(float(threshold), float(accepted[~in_scope].mean()), float(accepted[in_scope].mean()))


def threshold_at(
    scores: Scores,
    in_scope: NDArray[np.bool_],
    false_positive_rate: float,
    weights: Scores | None = None,
) -> float:
    """The lowest threshold that accepts at most this share of the out-of-scope pairs, weighted.

    Raises:
        UsageError: a rate outside 0 … 1, or pairs of one kind only.
    """
    if not 0 <= false_positive_rate < 1:
        raise UsageError(f"a false-positive rate is at least 0 and below 1, not {false_positive_rate}")
    negatives = scores[~in_scope]
    if not len(negatives) or len(negatives) == len(scores):
        raise UsageError("a threshold needs pairs both in scope and out of it")
    order = np.argsort(-negatives, kind="stable")
    weight = np.ones(len(negatives)) if weights is None else weights[~in_scope]
    passed = np.cumsum(weight[order]) / weight.sum()
    first_refused = int(np.searchsorted(passed, false_positive_rate * (1 + 1e-12), side="right"))
    return float(np.nextafter(negatives[order[first_refused]], np.inf))


def roc(scores: Scores, in_scope: NDArray[np.bool_], points: int = ROC_POINTS) -> tuple[RocPoint, ...]:
    """The curve from (0, 0) to (1, 1), thinned to at most `points` thresholds, highest first."""
    distinct = np.unique(scores)[::-1]
    picked = np.unique(np.linspace(0, len(distinct) - 1, min(points, len(distinct))).round().astype(int))
    start = rates_at(float(np.nextafter(distinct[0], np.inf)), scores, in_scope)
    return (start, *(rates_at(float(distinct[index]), scores, in_scope) for index in picked))


def area_under(curve: tuple[RocPoint, ...]) -> float:
    """The area under a ROC, by trapezoids."""
    x = np.array([point.false_positive_rate for point in curve])
    y = np.array([point.true_positive_rate for point in curve])
    return float(np.trapezoid(y, x))
