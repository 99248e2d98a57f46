"""`GET /health`: what the checks measured along a line of history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kedit_lifecycle.engine.messages import HealthView, Limit, SeriesPoint
from kedit_lifecycle.engine.queries.kept import opened
from kedit_lifecycle.engine.queries.parameters import ref, whole
from kedit_lifecycle.engine.queries.rows import STATES
from kedit_lifecycle.engine.queries.state import state_at
from kedit_lifecycle.ledger.ancestry import Line
from kedit_lifecycle.ledger.pages import check_values
from kedit_lifecycle.ledger.reader import LedgerReader

POINTS, MOST_POINTS = 500, 5000
AT_ONCE = 500  # depths asked for in one query

SERIES = {
    "perplexity": "perplexity",
    "drift": "drift",
    "retention": "retention",
    "locality": "neighborhood",
    "weight_change": "weight_change",
}
"""The series, and the check that each is read from."""

SHARES_LOST = ("retention", "locality")
"""Series whose checks say what was lost: what is left is shown, and the limits are floors."""

Checks = Mapping[str, tuple[str, float | None, float | None, float | None]]


def health(store: Path, parameters: Mapping[str, str]) -> HealthView:
    """The line up to `ref` (default HEAD) in at most `points` (default 500), oldest first.

    Where the line is longer, versions are taken evenly, its tip among them. Limits are those that the
    newest of them was held to.
    """
    points = whole(parameters, "points", POINTS, least=1, most=MOST_POINTS)
    with opened(store) as (reader, kept), kept.lock:
        version = reader.resolve(ref(parameters))
        numbers = versions_at(reader, kept.line(version), evenly(1, version.depth, points))
        found = check_values(reader, numbers)
        state = state_at(reader, version)
        return HealthView(
            points=tuple(_point(number, found[number]) for number in numbers if number in found),
            limits=_limits([found[number] for number in numbers if number in found]),
            state=state.state,
            since=state.since,
            reasons=state.reasons,
        )


def evenly(first: int, last: int, most: int) -> list[int]:
    """At most so many whole numbers from `first` to `last`, evenly, `last` among them."""
    count = last - first + 1
    if count <= most:
        return list(range(first, last + 1))
    return sorted({last - round(step * (count - 1) / max(most - 1, 1)) for step in range(most)})


def versions_at(reader: LedgerReader, line: Line, depths: Sequence[int]) -> list[int]:
    """The numbers of a line's versions at some depths."""
    found: dict[int, int] = {}
    for begin in range(0, len(depths), AT_ONCE):
        asked = depths[begin : begin + AT_ONCE]
        marks = ", ".join("?" * len(asked))
        query = f"SELECT id, number, depth FROM version WHERE depth IN ({marks})"
        rows = reader.select(query, *asked)
        there = line.holds(reader, rows)
        found |= {depth: number for identity, number, depth in rows if identity in there}
    return [found[depth] for depth in depths if depth in found]


def _point(number: int, checks: Checks) -> SeriesPoint:
    values = {series: _shown(series, checks[check][1]) for series, check in SERIES.items() if check in checks}
    state = STATES.get(checks["collapse"][0], "") if "collapse" in checks else ""
    return SeriesPoint(number=number, state=state, **values)


def _shown(series: str, value: float | None) -> float | None:
    return 1.0 - value if value is not None and series in SHARES_LOST else value


def _limits(points: Sequence[Checks]) -> tuple[Limit, ...]:
    limits = []
    for series, check in SERIES.items():
        for checks in reversed(points):
            if check in checks and checks[check][2:] != (None, None):
                _, _, warn, fail = checks[check]
                limits.append(Limit(series=series, warn=_shown(series, warn), fail=_shown(series, fail)))
                break
    return tuple(limits)
