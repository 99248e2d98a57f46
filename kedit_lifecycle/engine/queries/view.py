"""`GET /versions/{ref}` and `GET /attempts/{event}`: one row in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from kedit_lifecycle.checks.result import VERDICTS, Verdict
from kedit_lifecycle.engine.messages import CheckView, FactView, TensorView, VersionView
from kedit_lifecycle.engine.queries.audit import audit_view
from kedit_lifecycle.engine.queries.facts import fact_of, facts_of
from kedit_lifecycle.engine.queries.kept import Kept, opened
from kedit_lifecycle.engine.queries.measured import metrics_of
from kedit_lifecycle.engine.queries.parameters import ref, whole
from kedit_lifecycle.engine.queries.rows import (
    attempt_event,
    attempt_line,
    mapping,
    mappings,
    number_or_none,
    version_line,
)
from kedit_lifecycle.ledger.loading import EVENT_COLUMNS, event_row
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import EventRow, UpdateDraft, VersionRow

FACTS, MOST_FACTS = 200, 2000
MOST_TENSORS = 1000
MOST_EVENTS = 100


def version(store: Path, parameters: Mapping[str, str]) -> VersionView:
    """The version that `ref` names, with at most `facts` (default 200) of its facts.

    Raises:
        NoSuchRefError: there is none.
    """
    most = whole(parameters, "facts", FACTS, most=MOST_FACTS)
    with opened(store) as (reader, kept):
        return _version_view(reader, kept, reader.resolve(ref(parameters)), most)


def _version_view(reader: LedgerReader, kept: Kept, version: VersionRow, most: int) -> VersionView:
    said, events = version.diagnostics, _events(reader, version)
    with kept.lock:
        facts = facts_of(reader, kept.line(reader.head()), version, most)
    commit = next((one for one in events if one.seq == version.event), None)
    return VersionView(
        row=version_line(reader, kept, version.number),
        facts=facts,
        checks=tuple(_check(asdict(one)) for one in reader.checks(version.number)),
        reasons=_texts(mapping(said, "gate").get("reasons")),
        metrics=metrics_of(reader, version.number),
        tensors=tuple(map(_tensor, reader.updates(version.number)[:MOST_TENSORS])),
        config=version.config,
        seed=version.seed,
        author=version.author,
        command=commit.command if commit else "",
        losses=_curve(said.get("losses")),
        warnings=_texts(said.get("warnings")),
        audit=tuple(map(audit_view, events)),
    )


def attempt(store: Path, parameters: Mapping[str, str]) -> VersionView:
    """The attempt that an `event` keeps, with at most `facts` (default 200) of its facts.

    Raises:
        NoSuchRefError: the event keeps none.
    """
    number = whole(parameters, "event", 0)
    most = whole(parameters, "facts", FACTS, most=MOST_FACTS)
    with opened(store) as (reader, kept):
        event = attempt_event(reader, number)
        payload, row = event.payload, attempt_line(reader, kept, event)
    return VersionView(
        row=row,
        facts=_attempted(payload, most),
        checks=tuple(map(_check, mappings(payload, "checks"))),
        reasons=_texts(payload.get("reasons")),
        metrics=(),
        tensors=(),
        config=mapping(payload, "config"),
        seed=payload["seed"] if isinstance(payload.get("seed"), int) else 0,
        author=event.author,
        command=event.command,
        audit=(audit_view(event),),
    )


def _attempted(payload: Mapping[str, Any], most: int) -> tuple[FactView, ...]:
    requests = mappings(payload, "requests")[:most]
    return tuple(fact_of(position, request) for position, request in enumerate(requests))


def _check(check: Mapping[str, Any]) -> CheckView:
    verdict = check.get("verdict")
    return CheckView(
        check=str(check.get("check", "")),
        verdict=cast(Verdict, verdict) if verdict in VERDICTS else "fail",
        message=str(check.get("message", "")),
        value=number_or_none(check.get("value")),
        warn=number_or_none(check.get("warn")),
        fail=number_or_none(check.get("fail")),
    )


def _tensor(update: UpdateDraft) -> TensorView:
    layer = next((int(part) for part in update.tensor.split(".") if part.isdecimal()), None)
    return TensorView(
        tensor=update.tensor,
        layer=layer,
        operation=update.operation,
        rank=update.rank,
        norm=update.norm,
        master=update.after.master,
    )


def _texts(listed: object) -> tuple[str, ...]:
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def _curve(losses: object) -> tuple[float, ...]:
    """One curve, or the mean at each step of the curves of several requests, as far as each goes."""
    if not isinstance(losses, list) or not losses:
        return ()
    curves = [one for one in losses if isinstance(one, list)] or [losses]
    steps = max(map(len, curves))
    means = [
        _mean([number_or_none(curve[step]) for curve in curves if step < len(curve)]) for step in range(steps)
    ]
    return tuple(one for one in means if one is not None)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known else None


def _events(reader: LedgerReader, version: VersionRow) -> list[EventRow]:
    """The event that made a version, those that measured it again, and those that left a ref at it."""
    query = (
        f"SELECT {EVENT_COLUMNS} FROM event WHERE seq IN (SELECT ?"
        " UNION SELECT event FROM metric WHERE version = ? UNION SELECT event FROM answer WHERE version = ?"
        " UNION SELECT event FROM ref WHERE target = ?) ORDER BY seq LIMIT ?"
    )
    found = reader.select(query, version.event, version.number, version.number, version.id, MOST_EVENTS)
    return [event_row(row) for row in found]
