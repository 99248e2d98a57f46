"""What one screen of a long history needs, in a few queries that look at no other row.

Every function takes the version numbers of the page; none of them walks the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kedit_lifecycle.ledger.reader import LedgerReader


@dataclass(frozen=True, slots=True)
class PageRow:
    """A version as one line of a list; `subject` and `target` are of its first request, if it has any.

    `decision` is the gate's, None where no gate was asked.
    """

    number: int
    id: str
    parent: int | None
    depth: int
    operation: str
    editor: str
    message: str
    event: int
    time: str
    decision: str | None
    requests: int
    subject: str
    target: str


@dataclass(frozen=True, slots=True)
class Gone:
    """An edit (version, position) whose place a later version took, with that version's id and depth."""

    version: int
    position: int
    by: int
    by_id: str
    by_depth: int


def page_rows(reader: LedgerReader, numbers: Sequence[int]) -> dict[int, PageRow]:
    """The versions of these numbers, as far as there are such, by number."""
    query = (
        "SELECT v.number, v.id, p.number, v.depth, v.operation, v.editor, v.message, v.event,"
        " coalesce(e.time, ''), json_extract(v.diagnostics, '$.gate.decision'),"
        " (SELECT coalesce(max(position) + 1, 0) FROM edit_request WHERE version = v.number),"
        " coalesce(r.subject, ''), coalesce(r.target_new, '')"
        " FROM version v LEFT JOIN version p ON p.id = v.parent LEFT JOIN event e ON e.seq = v.event"
        " LEFT JOIN edit_request r ON r.version = v.number AND r.position = 0"
        f" WHERE v.number IN ({_marks(numbers)})"
    )
    return {row[0]: PageRow(*row) for row in reader.select(query, *numbers)}


def own_scores(
    reader: LedgerReader, numbers: Sequence[int], metrics: Sequence[str]
) -> dict[int, dict[str, float]]:
    """Version -> metric -> mean over its requests, as of when it was made, in the protocol noted first."""
    query = (
        "SELECT version, metric, avg(value) FROM metric"
        f" WHERE version IN ({_marks(numbers)}) AND evaluated = version AND request IS NOT NULL"
        f" AND metric IN ({_marks(metrics)})"
        " GROUP BY version, metric, protocol, scorer ORDER BY min(number)"
    )
    found: dict[int, dict[str, float]] = {}
    for version, metric, value in reader.select(query, *numbers, *metrics):
        if value is not None:
            found.setdefault(version, {}).setdefault(metric, value)
    return found


def check_values(
    reader: LedgerReader, numbers: Sequence[int], checks: Sequence[str] = ()
) -> dict[int, dict[str, tuple[str, float | None, float | None, float | None]]]:
    """Version -> check -> (verdict, value, warn, fail); of all checks unless some are named."""
    only = f" AND check_id IN ({_marks(checks)})" if checks else ""
    query = (
        "SELECT version, check_id, verdict, value, warn, fail FROM check_result"
        f" WHERE version IN ({_marks(numbers)}){only} ORDER BY version, position"
    )
    found: dict[int, dict[str, tuple[str, float | None, float | None, float | None]]] = {}
    for version, check, *rest in reader.select(query, *numbers, *checks):
        found.setdefault(version, {})[check] = (rest[0], rest[1], rest[2], rest[3])
    return found


def perplexity_ratios(reader: LedgerReader, numbers: Sequence[int]) -> dict[int, float]:
    """Version -> its perplexity divided by the unedited model's, where both are among its metrics."""
    query = (
        "SELECT own.version, own.value / base.value FROM metric own JOIN metric base"
        " ON base.version = own.version AND base.metric = own.metric AND base.protocol = own.protocol"
        " AND base.evaluated = 0 AND base.request IS NULL"
        f" WHERE own.version IN ({_marks(numbers)}) AND own.evaluated = own.version"
        " AND own.metric = 'perplexity' AND own.request IS NULL ORDER BY own.number"
    )
    found: dict[int, float] = {}
    for version, ratio in reader.select(query, *numbers):
        if ratio is not None:
            found.setdefault(version, ratio)
    return found


def superseding(reader: LedgerReader, numbers: Sequence[int]) -> list[Gone]:
    """The edits of these versions whose place another version took, on whatever line, oldest first."""
    query = (
        "SELECT s.earlier_version, s.earlier_position, v.number, v.id, v.depth"
        " FROM superseded s JOIN version v ON v.number = s.version"
        f" WHERE s.earlier_version IN ({_marks(numbers)}) ORDER BY v.number, s.position"
    )
    return [Gone(*row) for row in reader.select(query, *numbers)]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
