"""`verify`: every row that never changes, and what versions say of each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from kedit_lifecycle.ledger import columns
from kedit_lifecycle.ledger.canonical import row_json, row_seal, rows_digest, update_json, version_id
from kedit_lifecycle.ledger.inspection import Inspection, row_name, shown
from kedit_lifecycle.ledger.verify_chain import STEP, Chain

Row = tuple[Any, ...]


def check_row(inspection: Inspection, table: columns.Table, cells: Sequence[Any]) -> bool:
    """Whether a row is of its columns' types and matches its own seal; names it where not."""
    if not inspection.well_typed(table, cells):
        return False
    if row_seal(table.name, cells[:-1]) != cells[-1]:
        inspection.damage(row_name(table, cells), "is not what was written: its seal does not match")
        return False
    return True


class _TableStream:
    """A table's rows in the order of the events that wrote them, one event at a time."""

    def __init__(self, inspection: Inspection, table: columns.Table) -> None:
        self.inspection = inspection
        self.table = table
        self.event = table.names.index("event")
        order = ", ".join(f'"{name}"' for name in ("event", *table.key))
        self._rows: Iterator[Row] = inspection.table(table, f"ORDER BY {order}")
        self._next: Row | None = next(self._rows, None)
        self.seen = 0

    def written_by(self, seq: int) -> tuple[list[str], bool]:
        """The JSON of the rows of an event, and whether each is sound by itself."""
        lines, sound = [], True
        while self._next is not None and not self._after(seq):
            cells, self._next = self._next, next(self._rows, None)
            self.seen += 1
            good = check_row(self.inspection, self.table, cells)
            if good and cells[self.event] != seq:
                good = False
                self.inspection.damage(row_name(self.table, cells), "names an event that does not exist")
            sound = sound and good
            if good:
                lines.append(row_json(cells))
        return lines, sound

    def _after(self, seq: int) -> bool:
        assert self._next is not None
        event = self._next[self.event]
        return isinstance(event, (str, bytes)) or (event is not None and event > seq)

    def rest(self) -> None:
        """Whatever no event accounts for is damage."""
        while self._next is not None:
            cells, self._next = self._next, next(self._rows, None)
            if check_row(self.inspection, self.table, cells):
                self.inspection.damage(row_name(self.table, cells), "names an event that does not exist")


def check_all_rows(inspection: Inspection, chain: Chain) -> None:
    """Every sealed row by itself, and all rows of each event against its `rows_digest`."""
    streams = [_TableStream(inspection, table) for table in columns.SEALED_TABLES]
    total = len(chain.rows_digests)
    for done, (seq, expected) in enumerate(chain.rows_digests.items(), start=1):
        sound = True
        lines: dict[str, list[str]] = {}
        for stream in streams:
            lines[stream.table.name], good = stream.written_by(seq)
            sound = sound and good
        if sound and rows_digest(lines) != expected:
            tables = ", ".join(name for name, rows in lines.items() if rows) or "none"
            inspection.damage(
                f"event {seq}", f"a row that it wrote is missing, or was replaced (rows found in: {tables})"
            )
        if done % STEP == 0:
            inspection.progress("rows", done, total)
    for stream in streams:
        stream.rest()
        inspection.counts[stream.table.name] = stream.seen
    inspection.progress("rows", total, total)


def check_versions(inspection: Inspection, last: int | None = None) -> None:
    """Recompute version ids; check parents, depths and checkpoints.

    Args:
        inspection: where findings go.
        last: only so many of the newest versions, their rows' seals too; None for all.
    """
    tail = "ORDER BY number" if last is None else f"ORDER BY number DESC LIMIT {last}"
    found = [cells for cells in inspection.table(columns.VERSION, tail)
             if inspection.well_typed(columns.VERSION, cells)]  # fmt: skip
    rows = sorted(found, key=lambda cells: int(cells[0]))
    names = columns.VERSION.names
    line: dict[str, tuple[int, int]] = {}
    for done, cells in enumerate(rows, start=1):
        if last is not None and not check_row(inspection, columns.VERSION, cells):
            continue
        version = dict(zip(names, cells, strict=True))
        if last is None and version["number"] != done - 1:
            inspection.damage(f"version {done - 1}", f"is missing; the next one is {version['number']}")
        _check_place(inspection, version, line, whole=last is None)
        _check_identity(inspection, version, seals=last is not None)
        _check_checkpoint(inspection, version)
        line[version["id"]] = (version["number"], version["depth"])
        if done % STEP == 0:
            inspection.progress("versions", done, len(rows))
    inspection.progress("versions", len(rows), len(rows))


def _check_place(
    inspection: Inspection, version: dict[str, Any], line: dict[str, tuple[int, int]], *, whole: bool
) -> None:
    where, parent = f"version {version['number']}", version["parent"]
    if parent is None:
        if version["number"] != 0 or version["depth"] != 0:
            inspection.damage(where, "has no parent, and is not the root")
    elif parent in line:
        if version["depth"] != line[parent][1] + 1:
            inspection.damage(where, f"depth {version['depth']} does not follow its parent's")
    elif whole:
        inspection.damage(where, f"its parent {shown(parent)} is not a version before it")


def _check_identity(inspection: Inspection, version: dict[str, Any], *, seals: bool) -> None:
    where, number = f"version {version['number']}", version["number"]
    belonging = []
    for table in (columns.EDIT_REQUEST, columns.TENSOR_UPDATE):
        rows = list(inspection.table(table, "WHERE version = ? ORDER BY position", number))
        check = check_row if seals else Inspection.well_typed
        sound = [check(inspection, table, cells) for cells in rows]
        if not all(sound):
            return
        if [cells[1] for cells in rows] != list(range(len(rows))):
            inspection.damage(where, f"the positions of its {table.name} rows have gaps")
        belonging.append([dict(zip(table.names, cells, strict=True)) for cells in rows])
    if _recomputed_id(version, *belonging) != version["id"]:
        inspection.damage(where, "its id is not that of its content")
    if version["run_id"] != _run_id(version["run"]):
        inspection.damage(where, "run_id is not the id in run")


def _recomputed_id(
    version: dict[str, Any], requests: list[dict[str, Any]], updates: list[dict[str, Any]]
) -> str:
    return version_id(
        parent=version["parent"],
        operation=version["operation"],
        editor=version["editor"],
        config=version["config"],
        seed=version["seed"],
        requests=[request["digest"] for request in requests],
        updates=[
            update_json(
                u["tensor"],
                u["operation"],
                u["left"],
                u["right"],
                u["keys"],
                u["after_master"],
                u["after_served"],
            )
            for u in updates
        ],
        tensors=version["tensors"],
        memory=version["memory"],
        run=version["run"],
        message=version["message"],
    )


def _run_id(run: str | None) -> str | None:
    content = _json(run)
    return str(content["id"]) if isinstance(content, dict) and content.get("id") is not None else None


def _json(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def _check_checkpoint(inspection: Inspection, version: dict[str, Any]) -> None:
    for cells in inspection.table(columns.CHECKPOINT, "WHERE version = ? ORDER BY tensor", version["number"]):
        if not inspection.well_typed(columns.CHECKPOINT, cells):
            continue
        states = _json(version["tensors"])
        state = states.get(cells[1]) if isinstance(states, dict) else None
        if not isinstance(state, dict) or state.get("master") != cells[2]:
            inspection.damage(
                row_name(columns.CHECKPOINT, cells), "is not the tensor that its version ends with"
            )
