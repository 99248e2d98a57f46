"""What a whole line of history holds, read in one query each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kedit_lifecycle.ledger.loading import (
    CHECK_COLUMNS,
    METRIC_COLUMNS,
    REQUEST_COLUMNS,
    check_draft,
    metric_draft,
    request_draft,
)
from kedit_lifecycle.ledger.reader import ANCESTORS, LedgerReader
from kedit_lifecycle.ledger.records import CheckDraft, MetricDraft, RequestDraft, VersionRow

_JOINED = " FROM line JOIN version v ON v.id = line.id JOIN "


@dataclass(frozen=True, slots=True)
class LineEdit:
    """An edit on a line: version number, position there, and whether a later one took its place.

    `operation` is its version's: `memory` where the edit is kept outside the weights.
    """

    version: int
    position: int
    request: RequestDraft
    superseded: bool
    operation: str


def line_edits(reader: LedgerReader, version: VersionRow, *, above: int = 0) -> list[LineEdit]:
    """Every edit up to a version, oldest first.

    Args:
        reader: of the ledger.
        version: the end of the line.
        above: only edits of versions deeper than this.
    """
    gone = superseded_on_line(reader, version, above=above)
    columns = ", ".join(f"r.{name.strip()}" for name in REQUEST_COLUMNS.split(","))
    query = f"{ANCESTORS}SELECT v.number, r.position, v.operation, {columns}{_JOINED}"
    query += "edit_request r ON r.version = v.number WHERE v.depth > ? ORDER BY v.depth, r.position"
    rows = reader.select(query, version.id, above + 1, above)
    return [
        LineEdit(row[0], row[1], request_draft(row[3:]), (row[0], row[1]) in gone, row[2]) for row in rows
    ]


def superseded_on_line(reader: LedgerReader, version: VersionRow, *, above: int = 0) -> set[tuple[int, int]]:
    """(version number, position) of the edits whose place a version on the line took, deeper than `above`."""
    query = f"{ANCESTORS}SELECT s.earlier_version, s.earlier_position{_JOINED}"
    query += "superseded s ON s.version = v.number WHERE v.depth > ?"
    return {(row[0], row[1]) for row in reader.select(query, version.id, above + 1, above)}


def line_checks(reader: LedgerReader, version: VersionRow) -> list[tuple[int, CheckDraft]]:
    """(version number, what a check found) of every version up to one, oldest first."""
    columns = ", ".join(f"c.{name.strip()}" for name in CHECK_COLUMNS.split(","))
    query = f"{ANCESTORS}SELECT v.number, {columns}{_JOINED}"
    query += "check_result c ON c.version = v.number ORDER BY v.depth, c.position"
    return [(row[0], check_draft(row[1:])) for row in reader.select(query, version.id, 0)]


def line_metric(reader: LedgerReader, version: VersionRow, metric: str) -> list[tuple[int, MetricDraft]]:
    """(version number, value) of a number about the whole model, at each version up to one, oldest first."""
    columns = ", ".join(f"m.{name.strip()}" for name in METRIC_COLUMNS.split(","))
    query = f"{ANCESTORS}SELECT v.number, {columns}{_JOINED}metric m ON m.evaluated = v.number"
    query += " WHERE m.request IS NULL AND m.metric = ? ORDER BY v.depth, m.number"
    return [(row[0], metric_draft(row[1:])) for row in reader.select(query, version.id, 0, metric)]


def line_request_metrics(
    reader: LedgerReader, version: VersionRow, metrics: Sequence[str]
) -> list[tuple[int, int, str, float]]:
    """(version number, position, metric, value) of every edit up to a version, as of when it was made."""
    marks = ", ".join("?" * len(metrics))
    query = f"{ANCESTORS}SELECT v.number, m.request, m.metric, m.value{_JOINED}"
    query += "metric m ON m.version = v.number AND m.evaluated = v.number"
    query += f" WHERE m.request IS NOT NULL AND m.metric IN ({marks}) ORDER BY v.depth, m.number"
    rows = reader.select(query, version.id, 0, *metrics)
    return [(row[0], row[1], row[2], float("nan") if row[3] is None else row[3]) for row in rows]


def kept_requests(reader: LedgerReader, operation: str) -> list[tuple[int, int, RequestDraft]]:
    """(version number, position, request) of every version of an operation, on whatever line, in order."""
    columns = ", ".join(f"r.{name.strip()}" for name in REQUEST_COLUMNS.split(","))
    query = (
        f"SELECT r.version, r.position, {columns} FROM version v JOIN edit_request r ON r.version = v.number"
        " WHERE v.operation = ? ORDER BY r.version, r.position"
    )
    return [(row[0], row[1], request_draft(row[2:])) for row in reader.select(query, operation)]
