"""What every part of `verify` shares: a snapshot of the ledger that survives any damage, and the findings."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedit_lifecycle.ledger import columns
from kedit_lifecycle.ledger.records import Finding
from kedit_lifecycle.progress import Progress

MOST_FINDINGS = 1000  # more of them say nothing new


def readable(raw: bytes) -> str | bytes:
    """Text as it is stored; bytes where it is not UTF-8, which no column of ours ever holds."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


@dataclass
class Inspection:
    """One run of `verify` over one snapshot of ledger.db."""

    path: Path
    sqlite: sqlite3.Connection
    progress: Progress
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sqlite.text_factory = readable

    @property
    def damaged(self) -> bool:
        """Whether anything found is damage."""
        return any(finding.severity == "damage" for finding in self.findings)

    def damage(self, where: str, problem: str) -> None:
        """Note something that is not as it was written."""
        self._add(Finding("damage", where, problem))

    def note(self, where: str, problem: str) -> None:
        """Note something worth knowing that is no damage."""
        self._add(Finding("note", where, problem))

    def _add(self, finding: Finding) -> None:
        if len(self.findings) < MOST_FINDINGS and finding not in self.findings[-20:]:
            self.findings.append(finding)

    def rows(self, where: str, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, as far as SQLite can read them; where it cannot, that is damage."""
        try:
            yield from self.sqlite.execute(query, values)
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            self.damage(where, f"cannot be read: {error}")

    def table(self, table: columns.Table, tail: str = "", *values: Any) -> Iterator[tuple[Any, ...]]:
        """All columns of a table's rows, in column order."""
        names = ", ".join(f'"{name}"' for name in table.names)
        yield from self.rows(table.name, f'SELECT {names} FROM "{table.name}" {tail}', *values)

    def well_typed(self, table: columns.Table, cells: Sequence[Any]) -> bool:
        """Whether every cell is of its column's type; names the row and the column where not."""
        for column, cell in zip(table.columns, cells, strict=True):
            problem = _type_problem(column, cell)
            if problem:
                self.damage(row_name(table, cells), f"{column.name} {problem}")
                return False
        return True


_TYPES: dict[str, type] = {"TEXT": str, "INTEGER": int, "REAL": float}


def _type_problem(column: columns.Column, cell: object) -> str:
    if cell is None:
        return "" if column.nullable else "is NULL"
    if type(cell) is _TYPES[column.kind]:
        return ""
    return (
        "is not UTF-8 text" if isinstance(cell, bytes) else f"is a {type(cell).__name__}, not {column.kind}"
    )


def row_name(table: columns.Table, cells: Sequence[object]) -> str:
    """The row's table and key, for example `tensor_update 12/0`."""
    key = "/".join(shown(cells[table.names.index(name)]) for name in table.key)
    return f"{table.name} {key}"


def shown(cell: object) -> str:
    """A cell, fit to print and not long."""
    text = cell if isinstance(cell, str) and cell.isprintable() else ascii(cell)
    return text if len(text) <= 80 else text[:80] + "…"
