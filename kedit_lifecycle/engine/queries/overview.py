"""`GET /overview`: one look at a store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedit_lifecycle.engine.messages import Label, Overview
from kedit_lifecycle.engine.queries.entries import memory_of
from kedit_lifecycle.engine.queries.kept import opened
from kedit_lifecycle.engine.queries.rows import ID_SHOWN, labels_by_version
from kedit_lifecycle.engine.queries.state import state_at
from kedit_lifecycle.ledger.loading import json_object
from kedit_lifecycle.ledger.reader import LedgerReader

MOST_LABELS = 500


def overview(store: Path, parameters: Mapping[str, str]) -> Overview:
    """Where HEAD is, how the model fares there, and how much there is. Takes no parameters.

    `versions` counts the edits on whatever line, without the unedited model.
    """
    with opened(store) as (reader, kept), kept.lock:
        meta, head, timeline = reader.meta(), reader.head(), kept.timeline(reader)
        state = state_at(reader, head)
        undo, redo = _undoable(reader)
        return Overview(
            model=meta.get("model_name", ""),
            architecture=meta.get("architecture", ""),
            dtype=meta.get("dtype", ""),
            branch=reader.head_ref()[0],
            head=head.number,
            versions=timeline.versions - 1,
            attempts=timeline.attempts,
            state=state.state,
            state_since=state.since,
            labels=_labels(reader),
            can_undo=undo,
            can_redo=redo,
            memory_entries=len(memory_of(reader, kept, head)),
        )


def _labels(reader: LedgerReader) -> tuple[tuple[int, Label], ...]:
    """Branches and tags with the number of the version they stand at, the current branch first."""
    found = [(target, label) for target, labels in labels_by_version(reader).items() for label in labels]
    found.sort(key=lambda one: not one[1].head)
    return tuple((reader.by_id(target).number, label) for target, label in found[:MOST_LABELS])


def _undoable(reader: LedgerReader) -> tuple[str | None, str | None]:
    """What undo and redo would take back, in words."""
    tail = reader.select("SELECT payload FROM event ORDER BY seq DESC LIMIT 1")
    last = json_object(tail[0][0], "the last event") if tail else {}
    undone = _event(reader, last.get("redo_top"))
    redone = _event(reader, undone[1].get("undoes")) if undone else None
    return _in_words(_event(reader, last.get("undo_top"))), _in_words(redone)


Found = tuple[str, dict[str, Any]]


def _event(reader: LedgerReader, seq: object) -> Found | None:
    """An event's kind and payload; None for 0, which stands for none."""
    if not isinstance(seq, int) or not seq:
        return None
    rows = reader.select("SELECT kind, payload FROM event WHERE seq = ?", seq)
    return (rows[0][0], json_object(rows[0][1], f"event {seq}")) if rows else None


def _in_words(event: Found | None) -> str | None:
    if event is None:
        return None
    kind, payload = event
    if kind == "commit":
        return f"the commit of version {payload.get('number')}"
    return f"the {kind} to version {str(payload.get('version', ''))[:ID_SHOWN]}"
