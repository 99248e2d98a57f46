"""Rows of ledger.db, as SQLite gives them, back into records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kedit_lifecycle.errors import StoreError
from kedit_lifecycle.ledger.records import (
    AnswerDraft,
    CheckDraft,
    EventRow,
    MetricDraft,
    RequestDraft,
    TensorState,
    UpdateDraft,
    VersionRow,
)

VERSION_COLUMNS = (
    "v.number, v.id, v.parent, v.depth, v.operation, v.editor, v.message, v.seed, v.config, v.tensors,"
    " v.memory, v.run, v.diagnostics, v.event, e.time, e.author"
)
REQUEST_COLUMNS = "digest, subject, relation, prompt, target_new, target_true, payload"
UPDATE_COLUMNS = (
    'tensor, operation, "left", "right", keys, before_master, before_served, after_master, after_served,'
    " rank, norm"
)
METRIC_COLUMNS = "metric, protocol, scorer, value, count, request, evaluated"
ANSWER_COLUMNS = "request, prompt, completion, target_probability, evaluated"
CHECK_COLUMNS = "check_id, verdict, message, value, warn, fail, detail"
EVENT_COLUMNS = "seq, previous, hash, kind, time, author, command, payload, rows_digest"


def json_object(text: Any, where: str) -> dict[str, Any]:
    """The JSON object that a column holds.

    Raises:
        StoreError: it holds none; `where` names the row.
    """
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"{where} cannot be read: {error}", hint="kedit verify --deep") from error
    if not isinstance(value, dict):
        raise StoreError(f"{where} cannot be read: not a JSON object", hint="kedit verify --deep")
    return value


def version_row(row: Sequence[Any]) -> VersionRow:
    """From `VERSION_COLUMNS`."""
    where = f"version {row[0]}"
    return VersionRow(
        number=row[0],
        id=row[1],
        parent=row[2],
        depth=row[3],
        operation=row[4],
        editor=row[5],
        message=row[6],
        seed=row[7],
        config=json_object(row[8], where),
        tensors=_states(row[9], where),
        memory=row[10],
        run=None if row[11] is None else json_object(row[11], where),
        diagnostics=json_object(row[12], where),
        event=row[13],
        time=row[14] or "",
        author=row[15] or "",
    )


def _states(text: str, where: str) -> dict[str, TensorState]:
    try:
        return {name: TensorState(**state) for name, state in json_object(text, where).items()}
    except TypeError as error:
        raise StoreError(f"{where} cannot be read: {error}", hint="kedit verify --deep") from error


def request_draft(row: Sequence[Any]) -> RequestDraft:
    """From `REQUEST_COLUMNS`."""
    digest, subject, relation, prompt, target_new, target_true, payload = row
    whole = json_object(payload, f"the request {digest}")
    return RequestDraft(digest, subject, relation, prompt, target_new, target_true, whole)


def update_draft(row: Sequence[Any]) -> UpdateDraft:
    """From `UPDATE_COLUMNS`."""
    tensor, operation, left, right, keys, *states, rank, norm = row
    before, after = TensorState(states[0], states[1]), TensorState(states[2], states[3])
    return UpdateDraft(tensor, operation, left, right, keys, before, after, rank, _number(norm))


def metric_draft(row: Sequence[Any]) -> MetricDraft:
    """From `METRIC_COLUMNS`."""
    metric, protocol, scorer, value, count, request, evaluated = row
    return MetricDraft(metric, protocol, scorer, _number(value), count, request, evaluated)


def answer_draft(row: Sequence[Any]) -> AnswerDraft:
    """From `ANSWER_COLUMNS`."""
    request, prompt, completion, probability, evaluated = row
    return AnswerDraft(request, prompt, completion, _number(probability), evaluated)


def check_draft(row: Sequence[Any]) -> CheckDraft:
    """From `CHECK_COLUMNS`. A value that is not a number is NULL, as one that there is not."""
    check, verdict, message, value, warn, fail, detail = row
    whole = json_object(detail, f"the check {check}")
    return CheckDraft(check, verdict, message, value, warn, fail, whole)


def event_row(row: Sequence[Any]) -> EventRow:
    """From `EVENT_COLUMNS`."""
    seq, previous, hash_, kind, time, author, command, payload, digest = row
    whole = json_object(payload, f"event {seq}")
    return EventRow(seq, previous, hash_, kind, time, author, command, whole, digest)


def _number(value: float | None) -> float:
    """A REAL column's number; NULL stands for NaN."""
    return float("nan") if value is None else value
