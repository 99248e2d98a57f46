"""Versions and attempts as the lines of a history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kedit_lifecycle.engine.messages import HistoryRow, Label, Route
from kedit_lifecycle.engine.queries.kept import Kept
from kedit_lifecycle.errors import NoSuchRefError
from kedit_lifecycle.ledger import pages
from kedit_lifecycle.ledger.ancestry import Line
from kedit_lifecycle.ledger.loading import EVENT_COLUMNS, event_row
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import EventRow
from kedit_lifecycle.ledger.timeline import ATTEMPT, Place

SCORES = ("efficacy", "paraphrase", "neighborhood")
STATES = {"pass": "healthy", "warn": "degrading", "fail": "collapsed"}
"""The model's state by the verdict of the check `collapse`."""

MEMORY, MEMORY_METHODS = "memory", ("serac",)
ROOT = "root"
ID_SHOWN = 10  # digits


def history_rows(reader: LedgerReader, kept: Kept, places: Sequence[Place]) -> tuple[HistoryRow, ...]:
    """The lines at some places, in their order."""
    with kept.lock:
        line = kept.line(reader.head())
        versions = _version_rows(reader, line, [one.number for one in places if one.number is not None])
        attempts = _attempt_rows(reader, line, [one.event for one in places if one.number is None])
    found = [attempts.get(one.event) if one.number is None else versions.get(one.number) for one in places]
    return tuple(row for row in found if row is not None)


def version_line(reader: LedgerReader, kept: Kept, number: int) -> HistoryRow:
    """The line of one version."""
    return history_rows(reader, kept, [Place(0, number)])[0]


@dataclass(frozen=True, slots=True)
class _Page:
    """What belongs to the versions of a page, by their numbers or ids."""

    scores: Mapping[int, Mapping[str, float]]
    checks: Mapping[int, Mapping[str, tuple[str, float | None, float | None, float | None]]]
    ratios: Mapping[int, float]
    gone: Mapping[int, set[int]]  # positions whose place a version of the line took
    on_line: set[str]
    labels: Mapping[str, tuple[Label, ...]]

    def row(self, one: pages.PageRow) -> HistoryRow:
        scores, checks = self.scores.get(one.number, {}), self.checks.get(one.number, {})
        ratio = checks["perplexity"][1] if "perplexity" in checks else self.ratios.get(one.number)
        return HistoryRow(
            key=one.event,
            number=one.number,
            id=one.id,
            parent=one.parent,
            operation=one.operation,
            route=_route(one.operation),
            method=one.editor,
            subject=one.subject,
            target=one.target,
            requests=one.requests,
            efficacy=scores.get("efficacy"),
            paraphrase=scores.get("paraphrase"),
            neighborhood=scores.get("neighborhood"),
            perplexity=ratio,
            state=STATES.get(checks["collapse"][0], "") if "collapse" in checks else "",
            verdict=one.decision or "",
            superseded=bool(one.requests) and len(self.gone.get(one.number, ())) >= one.requests,
            on_line=one.id in self.on_line,
            labels=self.labels.get(one.id, ()),
            time=one.time,
            message=one.message,
        )


def _version_rows(reader: LedgerReader, line: Line, numbers: Sequence[int]) -> dict[int, HistoryRow]:
    found = pages.page_rows(reader, numbers)
    page = _Page(
        scores=pages.own_scores(reader, numbers, SCORES),
        checks=pages.check_values(reader, numbers, ("perplexity", "collapse")),
        ratios=pages.perplexity_ratios(reader, numbers),
        gone=gone_on(reader, line, numbers),
        on_line=line.holds(reader, [(one.id, one.number, one.depth) for one in found.values()]),
        labels=labels_by_version(reader),
    )
    return {number: page.row(one) for number, one in found.items()}


def gone_on(reader: LedgerReader, line: Line, numbers: Sequence[int]) -> dict[int, set[int]]:
    """Of some versions, the positions of the edits whose place a version on a line took."""
    every = pages.superseding(reader, numbers)
    there = line.holds(reader, [(one.by_id, one.by, one.by_depth) for one in every])
    gone: dict[int, set[int]] = {}
    for one in every:
        if one.by_id in there:
            gone.setdefault(one.version, set()).add(one.position)
    return gone


def labels_by_version(reader: LedgerReader) -> dict[str, tuple[Label, ...]]:
    """Branches and tags by the id they stand at, the branch that HEAD is on first; a detached HEAD too."""
    branch, at = reader.head_ref()
    found: dict[str, list[Label]] = {}
    if branch is None:
        found[at] = [Label(name="HEAD", kind="head", head=True)]
    for ref in sorted(reader.refs(), key=lambda one: (one.name != branch, one.name)):
        if ref.kind != "head":
            label = Label(name=ref.name, kind=ref.kind, head=ref.kind == "branch" and ref.name == branch)
            found.setdefault(ref.target, []).append(label)
    return {target: tuple(labels) for target, labels in found.items()}


def _route(operation: str, editor: str = "") -> Route:
    if operation == ROOT:
        return "base"
    return "memory" if operation == MEMORY or editor in MEMORY_METHODS else "weights"


# Attempts


def attempt_event(reader: LedgerReader, event: int) -> EventRow:
    """The event that keeps an attempt.

    Raises:
        NoSuchRefError: there is no such event, or it keeps something else.
    """
    found = _events(reader, [event])
    if not found or found[0].kind != ATTEMPT:
        raise NoSuchRefError(f"event {event} keeps no attempt", hint="kedit log --attempts")
    return found[0]


def attempt_line(reader: LedgerReader, kept: Kept, event: EventRow) -> HistoryRow:
    """The line of one attempt."""
    return history_rows(reader, kept, [Place(event.seq, None)])[0]


def _attempt_rows(reader: LedgerReader, line: Line, events: Sequence[int]) -> dict[int, HistoryRow]:
    found = _events(reader, events)
    parents = _parents(reader, [str(one.payload.get("parent")) for one in found])
    there = line.holds(reader, [(identity, *place) for identity, place in parents.items()])
    return {one.seq: _attempt_row(one, parents, there) for one in found}


def _attempt_row(event: EventRow, parents: Mapping[str, tuple[int, int]], there: set[str]) -> HistoryRow:
    payload, checks = event.payload, {str(one.get("check")): one for one in mappings(event.payload, "checks")}
    requests, parent = mappings(payload, "requests"), str(payload.get("parent"))
    collapse, asked = checks.get("collapse", {}), mapping(checks.get("efficacy", {}), "detail")
    return HistoryRow(
        key=event.seq,
        number=None,
        parent=parents[parent][0] if parent in parents else None,
        operation=ATTEMPT,
        route=_route(ATTEMPT, str(payload.get("editor"))),
        method=str(payload.get("editor") or ""),
        subject=str(requests[0].get("subject", "")) if requests else "",
        target=str(requests[0].get("target_new", "")) if requests else "",
        requests=len(requests),
        efficacy=number_or_none(asked.get("efficacy")),
        perplexity=number_or_none(checks.get("perplexity", {}).get("value")),
        state=STATES.get(str(collapse.get("verdict")), ""),
        verdict=str(payload.get("decision") or ""),
        on_line=parent in there,
        time=event.time,
        message=str(payload.get("message") or ""),
    )


def mappings(payload: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in a list of a payload; none where there is no such list."""
    listed = payload.get(name)
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def mapping(payload: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object in a payload; an empty one where there is none."""
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def number_or_none(value: object) -> float | None:
    """A JSON value as a number, if it is one."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _events(reader: LedgerReader, events: Sequence[int]) -> list[EventRow]:
    marks = ", ".join("?" * len(events))
    return [
        event_row(row)
        for row in reader.select(f"SELECT {EVENT_COLUMNS} FROM event WHERE seq IN ({marks})", *events)
    ]


def _parents(reader: LedgerReader, ids: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Id -> (number, depth)."""
    wanted = list(dict.fromkeys(ids))
    marks = ", ".join("?" * len(wanted))
    rows = reader.select(f"SELECT id, number, depth FROM version WHERE id IN ({marks})", *wanted)
    return {row[0]: (row[1], row[2]) for row in rows}
