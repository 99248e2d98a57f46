"""Appending to the ledger: one transaction per event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, insert, select, update

from kedit_lifecycle.errors import (
    KeditError,
    RefusedError,
    StoreError,
    StoreLockedError,
    StoreUnwritableError,
)
from kedit_lifecycle.ledger.chain import HEAD, Move, Tail, next_event, utc_now
from kedit_lifecycle.ledger.loading import json_object
from kedit_lifecycle.ledger.rows import SealedRows
from kedit_lifecycle.ledger.tables import TABLES, AnswerSaid, Event, Metric, Ref, Version

SQLITE_PRIMARY = 0xFF  # extended result codes carry their family in the low byte
UNWRITABLE = {8, 10, 13, 14}  # READONLY, IOERR, FULL, CANTOPEN
BUSY = {5, 6}  # BUSY, LOCKED


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's failures into errors of ours; the transaction is rolled back by then."""
    try:
        yield
    except DBAPIError as error:
        raise _explain(path, error) from error


def _explain(path: Path, error: DBAPIError) -> KeditError:
    code = getattr(error.orig, "sqlite_errorcode", 0) & SQLITE_PRIMARY
    if code in UNWRITABLE:
        return StoreUnwritableError(
            f"cannot write to {path}: {error.orig}",
            hint="free some space or make the folder writable, then try again; nothing was changed",
        )
    if code in BUSY:
        return StoreLockedError(f"{path} is busy: {error.orig}", hint="try again")
    return StoreError(f"{path}: {error.orig}", hint="kedit verify --deep")


class Transaction:
    """One event in the making: reads the chain's tail, collects sealed rows, appends."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.tail = read_tail(session)
        self.rows = SealedRows(self.tail.seq + 1)

    @property
    def seq(self) -> int:
        """The number that the event will have."""
        return self.tail.seq + 1

    def append(
        self,
        kind: str,
        payload: Mapping[str, Any],
        moves: Sequence[Move] = (),
        *,
        author: str,
        command: str,
        undo: int | None = None,
        redo: int | None = None,
    ) -> None:
        """Write the event, the collected rows, and the ref moves."""
        event, self.tail = next_event(
            self.tail,
            kind,
            payload,
            moves,
            self.rows,
            author=author,
            command=command,
            time=utc_now(),
            undo=undo,
            redo=redo,
        )
        self.session.execute(insert(Event), [event])
        insert_rows(self.session, self.rows)
        for move in moves:
            self._move(move)

    def _move(self, move: Move) -> None:
        if move.before is None:
            row = {"name": move.name, "kind": move.kind, "target": move.after, "event": self.tail.seq}
            self.session.execute(insert(Ref), [row])
            return
        moved = self.session.execute(
            update(Ref)
            .where(col(Ref.name) == move.name, col(Ref.target) == move.before)
            .values(target=move.after, event=self.tail.seq)
        )
        if getattr(moved, "rowcount", 0) != 1:
            raise StoreError(f"ref {move.name} is not at {move.before[:10]}", hint="kedit verify")

    def head(self) -> tuple[str | None, str]:
        """The branch that HEAD is on (None when detached), and the id of the version it is at."""
        target = self.target(HEAD)
        branch = self.session.get(Ref, target)
        return (target, branch.target) if branch is not None else (None, target)

    def target(self, name: str) -> str:
        """Where a ref points."""
        ref = self.session.get(Ref, name)
        if ref is None:
            raise StoreError(f"the ref {name} is missing", hint="kedit verify")
        return ref.target

    def head_move(self, version: str) -> Move:
        """What takes HEAD, or the branch it is on, to a version.

        Raises:
            RefusedError: it is there already.
        """
        branch, at = self.head()
        if at == version:
            raise RefusedError(f"already at version {version[:10]}; nothing to do", hint="kedit log")
        return Move(branch, "branch", at, version) if branch else Move(HEAD, "head", at, version)

    def payload(self, seq: int) -> dict[str, Any]:
        """The payload of an earlier event."""
        event = self.session.get(Event, seq)
        if event is None:
            raise StoreError(f"event {seq} is missing", hint="kedit verify")
        return json_object(event.payload, f"event {seq}")

    def version(self, identity: str) -> Version | None:
        """The version of that id, if there is one."""
        return self.session.exec(select(Version).where(Version.id == identity)).first()

    def next_numbers(self) -> tuple[int, int, int]:
        """The next free number of a version, a metric, an answer."""
        tops = [
            self.session.execute(select(func.max(column))).scalar()
            for column in (col(Version.number), col(Metric.number), col(AnswerSaid.number))
        ]
        version, metric, answer = (0 if top is None else int(top) + 1 for top in tops)
        return version, metric, answer


def read_tail(session: Session) -> Tail:
    """The end of the chain as it stands."""
    event = session.exec(select(Event).order_by(col(Event.seq).desc()).limit(1)).first()
    if event is None:
        return Tail()
    payload = json_object(event.payload, f"event {event.seq}")
    return Tail(event.seq, event.hash, payload.get("undo_top", 0), payload.get("redo_top", 0))


def insert_rows(session: Session, rows: SealedRows) -> None:
    """Insert all sealed rows, table by table."""
    for table, values in rows.rows.items():
        if values:
            session.execute(insert(TABLES[table]), values)


@contextmanager
def transaction(engine: Engine, path: Path) -> Iterator[Transaction]:
    """A transaction that commits when the block ends well, and leaves nothing otherwise.

    Raises:
        StoreUnwritableError: a full disk or a read-only folder; the ledger is as it was.
    """
    with database_errors(path), Session(engine) as session:
        yield Transaction(session)
        session.commit()
