"""Which facts the memory of a version holds, from the ledger's rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kedit_lifecycle.engine.queries.kept import Kept
from kedit_lifecycle.engine.queries.rows import MEMORY
from kedit_lifecycle.ledger.ancestry import Line
from kedit_lifecycle.ledger.loading import json_object
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import VersionRow

NEAR = 200  # versions that are gone through rather than reading all anew

Entries = tuple[tuple[int, int], ...]
"""(version, position) of each fact in a memory, oldest first."""


def memory_of(reader: LedgerReader, kept: Kept, version: VersionRow) -> Entries:
    """The facts in memory at a version; those whose place a later edit of its line took are not."""
    before = kept.newest("memory")
    return kept.value("memory", version.id, lambda: _entries(reader, kept, version, before))


def _entries(
    reader: LedgerReader, kept: Kept, version: VersionRow, before: tuple[str, Any] | None
) -> Entries:
    if not version.memory:
        return ()
    if before is not None:
        came = reader.log(version.id, limit=NEAR)
        after = (
            [one.id for one in came].index(before[0]) if any(one.id == before[0] for one in came) else None
        )
        if after is not None:
            return _carried_on(reader, before[1], came[:after][::-1])
    line = kept.line(version)
    gone = _superseded(reader, line)
    return tuple(one for one in _remembered(reader, line) if one not in gone)


def _carried_on(reader: LedgerReader, entries: Entries, came: Sequence[VersionRow]) -> Entries:
    """The entries of an ancestor after the versions that came since."""
    live = dict.fromkeys(entries)
    for version in came:
        for one in reader.supersedes(version.number):
            live.pop((one.earlier_version, one.earlier_position), None)
        if version.operation == MEMORY:
            made = len(reader.requests(version.number))
            live.update(dict.fromkeys((version.number, position) for position in range(made)))
    return tuple(live)


def _remembered(reader: LedgerReader, line: Line) -> list[tuple[int, int]]:
    """Every fact that a version of the line put into the memory."""
    query = (
        "SELECT v.number, r.position, v.id, v.number, v.depth FROM version v"
        " JOIN edit_request r ON r.version = v.number WHERE v.operation = ? ORDER BY v.number, r.position"
    )
    rows = reader.select(query, MEMORY)
    there = line.holds(reader, [row[2:] for row in rows])
    return [(row[0], row[1]) for row in rows if row[2] in there]


def _superseded(reader: LedgerReader, line: Line) -> set[tuple[int, int]]:
    """Of all that was ever remembered, what a version of the line took the place of."""
    query = (
        "SELECT s.earlier_version, s.earlier_position, v.id, v.number, v.depth FROM version m"
        " JOIN superseded s ON s.earlier_version = m.number JOIN version v ON v.number = s.version"
        " WHERE m.operation = ?"
    )
    rows = reader.select(query, MEMORY)
    there = line.holds(reader, [row[2:] for row in rows])
    return {(row[0], row[1]) for row in rows if row[2] in there}


def scope_of(reader: LedgerReader, kept: Kept, version: VersionRow) -> str:
    """The scope classifier that the memory of a version goes by: `default`, or a digest.

    As the last version of its line says that put something into the memory.
    """
    line, number = kept.line(version), version.number + 1
    query = "SELECT id, number, depth, config FROM version WHERE operation = ? AND number < ?"
    while rows := reader.select(f"{query} ORDER BY number DESC LIMIT {NEAR}", MEMORY, number):
        there = line.holds(reader, [row[:3] for row in rows])
        for identity, number, _, config in rows:  # the last of them is where the next ones begin
            if identity in there:
                return str(json_object(config, f"version {number}").get("scope", "default"))
    return "default"
