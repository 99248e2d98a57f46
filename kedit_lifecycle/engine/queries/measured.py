"""What was measured of a version's edits, at it and at later ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kedit_lifecycle.engine.messages import MetricView
from kedit_lifecycle.ledger.reader import LedgerReader

MOST_EVALUATED = 20
"""Later versions whose measurements are shown, the newest ones."""


def metrics_of(reader: LedgerReader, version: int) -> tuple[MetricView, ...]:
    """Means over the version's requests by metric, protocol, scorer and the version measured at.

    As of the version itself and of the newest 20 versions it was measured at again, the unedited model's
    number beside each.
    """
    query = (
        "SELECT metric, protocol, scorer, evaluated, avg(value), sum(count) FROM metric WHERE version = ?"
        " GROUP BY metric, protocol, scorer, evaluated ORDER BY evaluated, min(number)"
    )
    rows = reader.select(query, version)
    unedited = {tuple(row[:3]): row[4] for row in rows if row[3] == 0}
    shown = {version, *sorted({row[3] for row in rows} - {0})[-MOST_EVALUATED:]}
    return tuple(
        MetricView(
            metric=metric,
            value=value,
            unedited=unedited.get((metric, protocol, scorer)),
            protocol=protocol,
            scorer=scorer,
            count=count,
            evaluated=evaluated,
        )
        for metric, protocol, scorer, evaluated, value, count in rows
        if evaluated in shown
    )


def whole_model(reader: LedgerReader, version: int) -> dict[str, float | None]:
    """The numbers about the whole model at a version: what its checks hold to limits, then other metrics."""
    checks = reader.select(
        "SELECT check_id, value FROM check_result WHERE version = ? AND value IS NOT NULL ORDER BY position",
        version,
    )
    metrics = reader.select(
        "SELECT metric, value FROM metric WHERE version = ? AND evaluated = ? AND request IS NULL"
        " ORDER BY number",
        version,
        version,
    )
    found: dict[str, float | None] = dict(checks)
    for metric, value in metrics:
        found.setdefault(metric, value)
    return found


def beside(
    one: Mapping[str, float | None], other: Mapping[str, float | None]
) -> tuple[tuple[str, float | None, float | None], ...]:
    """Two versions' numbers side by side, in the order of the first."""
    names: Sequence[str] = list(dict.fromkeys([*one, *other]))
    return tuple((name, one.get(name), other.get(name)) for name in names)
