"""`GET /audit`: the chain of events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedit_lifecycle.engine.messages import AuditPage, AuditView
from kedit_lifecycle.engine.queries.kept import opened
from kedit_lifecycle.engine.queries.parameters import optional_whole, text, whole
from kedit_lifecycle.engine.queries.rows import ID_SHOWN
from kedit_lifecycle.ledger.records import EventRow

MOST_EVENTS = 500


def audit(store: Path, parameters: Mapping[str, str]) -> AuditPage:
    """Events newest first: `before` an event, `limit` (default 100, at most 500), of one `kind`.

    `total` counts the events of the kind, whatever `before` says.
    """
    before = optional_whole(parameters, "before")
    limit = whole(parameters, "limit", 100, least=1, most=MOST_EVENTS)
    kind = text(parameters, "kind").strip() or None
    with opened(store) as (reader, kept):
        events = reader.events(limit=limit, before=before, kind=kind)
        if kind is None:  # the chain has no gaps
            total = int(reader.select("SELECT coalesce(max(seq), 0) FROM event")[0][0])
        else:
            with kept.lock:
                total = kept.count(reader, kind)
    return AuditPage(total=total, events=tuple(map(audit_view, events)))


def audit_view(event: EventRow) -> AuditView:
    """An event as a link of the chain."""
    return AuditView(
        seq=event.seq,
        kind=event.kind,
        time=event.time,
        author=event.author,
        command=event.command,
        hash=event.hash,
        summary=_summary(event.kind, event.payload),
        payload=event.payload,
    )


def _summary(kind: str, payload: Mapping[str, Any]) -> str:
    """What happened, in a few words."""
    number, version = payload.get("number"), str(payload.get("version", ""))[:ID_SHOWN]
    if kind in ("create", "commit"):
        return f"version {number} ({version})" + (
            ", which was there already" if payload.get("existing") else ""
        )
    if kind == "undo":
        return f"takes back event {payload.get('undoes')}"
    if kind == "redo":
        return f"makes event {payload.get('redoes')} again"
    if kind == "attempt":
        reasons = payload.get("reasons")
        why = f": {reasons[0]}" if isinstance(reasons, list) and reasons else ""
        return f"{payload.get('decision', '?')} on version {number}{why}"
    if kind == "eval":
        return f"measured version {number} again"
    moved = ", ".join(_move(move) for move in payload.get("moves") or () if isinstance(move, dict))
    return moved or ", ".join(
        f"{name} {payload[name]}" for name in ("id", "digest", "name") if name in payload
    )


def _move(move: Mapping[str, Any]) -> str:
    before, after = (str(move.get(end) or "")[:ID_SHOWN] for end in ("from", "to"))
    return f"{move.get('name')} {before} → {after}" if before else f"{move.get('name')} at {after}"
