"""`GET /retention`: which versions' facts were measured again later, and whether they held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kedit_lifecycle.engine.messages import RetentionView
from kedit_lifecycle.engine.queries.health import evenly, versions_at
from kedit_lifecycle.engine.queries.kept import opened
from kedit_lifecycle.engine.queries.parameters import ref, whole
from kedit_lifecycle.engine.queries.rows import mappings
from kedit_lifecycle.ledger.ancestry import Line
from kedit_lifecycle.ledger.loading import json_object
from kedit_lifecycle.ledger.pages import page_rows
from kedit_lifecycle.ledger.reader import LedgerReader

MOST = 200  # rows, and columns
NEWEST_MEASUREMENTS = 5000  # evaluations looked at for what was measured again
NEWEST_CHECKS = 500  # versions whose retention check is read

Cells = dict[tuple[int, int], float]
"""(version whose facts, version measured at) -> share that held."""


def retention(store: Path, parameters: Mapping[str, str]) -> RetentionView:
    """The line up to `ref` (default HEAD), at most `points` (default 60) rows and columns, taken evenly.

    From the newest 5,000 evaluations in the ledger and the retention checks of the newest 500 versions.
    """
    most = whole(parameters, "points", 60, least=1, most=MOST)
    with opened(store) as (reader, kept), kept.lock:
        line = kept.line(reader.resolve(ref(parameters)))
        cells = _lost(reader, line)
        measured = _on_line(reader, line, _measured_again(reader))
        rows = _thinned(sorted({*measured, *(row for row, _ in cells)}), most)
        cells |= _scores(reader, rows)
        there = set(_on_line(reader, line, {column for _, column in cells}))
    cells = {where: value for where, value in cells.items() if where[0] in rows and where[1] in there}
    columns = _thinned(sorted({column for _, column in cells}), most)
    return RetentionView(
        rows=tuple(rows),
        columns=tuple(columns),
        values=tuple(tuple(cells.get((row, column)) for column in columns) for row in rows),
    )


def _measured_again(reader: LedgerReader) -> list[int]:
    """The versions that the newest evaluations measured."""
    query = (
        "SELECT DISTINCT json_extract(payload, '$.number') FROM"
        " (SELECT payload FROM event WHERE kind = 'eval' ORDER BY seq DESC LIMIT ?)"
    )
    return [row[0] for row in reader.select(query, NEWEST_MEASUREMENTS) if isinstance(row[0], int)]


def _on_line(reader: LedgerReader, line: Line, numbers: Iterable[int]) -> list[int]:
    found = page_rows(reader, sorted(numbers))
    there = line.holds(reader, [(one.id, one.number, one.depth) for one in found.values()])
    return [one.number for one in found.values() if one.id in there]


def _thinned(numbers: Sequence[int], most: int) -> list[int]:
    return [numbers[place] for place in evenly(0, len(numbers) - 1, most)]


def _scores(reader: LedgerReader, rows: Sequence[int]) -> Cells:
    """Of some versions' facts the share that held wherever they were measured, but on the unedited model.

    A fact holds as for the retention check: exact match, and where it has a true target, efficacy.
    """
    query = (
        "SELECT version, evaluated, avg(held) FROM"
        " (SELECT version, evaluated, min(value) AS held FROM metric WHERE version IN"
        f" ({', '.join('?' * len(rows))}) AND metric IN ('exact_match', 'efficacy')"
        " AND request IS NOT NULL AND evaluated > 0 GROUP BY version, evaluated, request)"
        " GROUP BY version, evaluated"
    )
    return {(row[0], row[1]): row[2] for row in reader.select(query, *rows) if row[2] is not None}


def _lost(reader: LedgerReader, line: Line) -> Cells:
    """What the retention checks of the newest versions named as lost."""
    depths = range(max(1, line.tip.depth - NEWEST_CHECKS + 1), line.tip.depth + 1)
    numbers = versions_at(reader, line, depths)
    query = (
        "SELECT version, detail FROM check_result WHERE check_id = 'retention' AND value > 0"
        f" AND version IN ({', '.join('?' * len(numbers))})"
    )
    lost: dict[tuple[int, int], int] = {}
    for column, detail in reader.select(query, *numbers):
        for one in mappings(json_object(detail, f"the check retention of version {column}"), "lost"):
            if isinstance(one.get("version"), int):
                where = (one["version"], column)
                lost[where] = lost.get(where, 0) + 1
    facts = page_rows(reader, sorted({row for row, _ in lost}))
    return {
        (row, column): max(0.0, 1.0 - count / facts[row].requests)
        for (row, column), count in lost.items()
        if row in facts and facts[row].requests
    }
