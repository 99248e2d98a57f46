"""The audit chain: what one more link holds, and what of it the next link needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kedit_lifecycle.ledger.canonical import GENESIS, Cell, canonical, event_hash, rows_digest
from kedit_lifecycle.ledger.rows import SealedRows

HEAD = "HEAD"
FIRST_BRANCH = "main"


@dataclass(frozen=True, slots=True)
class Move:
    """One ref's change; `before` is None where the ref is made."""

    name: str
    kind: str
    before: str | None
    after: str

    @property
    def reversed(self) -> Move:
        """The change that takes this one back."""
        if self.before is None:
            raise ValueError(f"{self.name} was made, not moved")
        return Move(self.name, self.kind, self.after, self.before)

    def as_json(self) -> dict[str, Any]:
        """As an event's payload holds it."""
        return {"name": self.name, "kind": self.kind, "from": self.before, "to": self.after}

    @classmethod
    def from_json(cls, move: Mapping[str, Any]) -> Move:
        """Back from an event's payload."""
        return cls(move["name"], move["kind"], move["from"], move["to"])


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of the chain.

    `undo` is the event that undo would take back, `redo` the undo event that redo would take back; 0: none.
    """

    seq: int = 0
    hash: str = GENESIS
    undo: int = 0
    redo: int = 0


def utc_now() -> str:
    """The time, as events carry it: ISO 8601 in UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def next_event(
    tail: Tail,
    kind: str,
    payload: Mapping[str, Any],
    moves: Sequence[Move],
    rows: SealedRows,
    *,
    author: str,
    command: str,
    time: str,
    undo: int | None = None,
    redo: int | None = None,
) -> tuple[dict[str, Cell], Tail]:
    """The event row that follows `tail`, and the tail it makes; undo and redo stay unless given."""
    undo = tail.undo if undo is None else undo
    redo = tail.redo if redo is None else redo
    whole = {**payload, "moves": [move.as_json() for move in moves], "undo_top": undo, "redo_top": redo}
    event: dict[str, Any] = {
        "seq": tail.seq + 1,
        "previous": tail.hash,
        "kind": kind,
        "time": time,
        "author": author,
        "command": command,
        "payload": canonical(whole, "payload", keep_going=True),
        "rows_digest": rows_digest(rows.lines),
    }
    event["hash"] = event_hash(**event)
    return event, Tail(tail.seq + 1, event["hash"], undo, redo)
