"""`GET /conflicts`: what a request being written would clash with, by wording and by rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kedit_lifecycle.checks.conflict import Conflict, ConflictIndex, RecordedEdit, Severity
from kedit_lifecycle.checks.result import Verdict
from kedit_lifecycle.engine.messages import ConflictView
from kedit_lifecycle.engine.queries.kept import Kept, opened
from kedit_lifecycle.engine.queries.parameters import ref, text
from kedit_lifecycle.engine.queries.rows import gone_on
from kedit_lifecycle.facts.request import EditRequest, make_request
from kedit_lifecycle.facts.world import world_aliases, world_triples
from kedit_lifecycle.ledger.ancestry import Line
from kedit_lifecycle.ledger.reader import ANCESTORS, LedgerReader
from kedit_lifecycle.ledger.records import VersionRow

MOST_WHOLE = 20_000
"""Edits of a line up to which all are held against the request; beyond, those that share a name with it."""

NEAR = 200  # versions that are added to the index at hand rather than reading all anew
MOST_FOUND = 100
MOST_OF_A_NAME = 500
VERDICTS: Mapping[Severity, Verdict] = {"note": "pass", "warn": "warn", "refuse": "fail"}

_EDIT = "r.version, r.position, r.subject, r.prompt, r.target_new, r.target_true, r.relation"


def conflicts(store: Path, parameters: Mapping[str, str]) -> list[ConflictView]:
    """Conflicts of a fact with the live edits of `ref` (default HEAD), worst first; no model is needed.

    `subject`, `prompt`, `target`, and perhaps `target_true` and `relation`; while one of the first three is
    empty, there are none. Names and prompts are compared by their wording, not by meaning, which is left to
    the check before the edit; on a line of more than 20,000 edits only with those about the same names.

    Raises:
        BadRecordError: the fields make no request.
    """
    request = _request(parameters)
    if request is None:
        return []
    with opened(store) as (reader, kept), kept.lock:
        version = reader.resolve(ref(parameters))
        found = _index(reader, kept, version, request).find(request)
    return [_view(one) for one in found[:MOST_FOUND]]


def _request(parameters: Mapping[str, str]) -> EditRequest | None:
    names = ("subject", "prompt", "target", "target_true", "relation")
    given = {name: text(parameters, name) for name in names}
    if not all(given[name].strip() for name in ("subject", "prompt", "target")):
        return None
    return make_request(
        subject=given["subject"],
        prompt=given["prompt"],
        target_new=given["target"],
        target_true=given["target_true"].strip() or None,
        relation=given["relation"].strip() or None,
    )


def _view(conflict: Conflict) -> ConflictView:
    return ConflictView(
        kind=conflict.kind,
        verdict=VERDICTS[conflict.severity],
        version=conflict.with_.version,
        subject=conflict.with_.subject,
        target=conflict.with_.target_new,
        message=conflict.message,
    )


def _empty() -> ConflictIndex:
    known = [(one.subject, one.relation, one.object) for one in world_triples()]
    return ConflictIndex(aliases=world_aliases(), known=known)


def _index(reader: LedgerReader, kept: Kept, version: VersionRow, request: EditRequest) -> ConflictIndex:
    at_hand = kept.newest("conflicts")
    if at_hand is not None:
        known, index = at_hand
        came = _since(reader, version, known)
        if came is not None:
            kept.forget("conflicts", known)
            return kept.value("conflicts", version.id, lambda: _carried_on(reader, index, came))
    if version.depth <= MOST_WHOLE:
        rows = _edits(reader, version)
        if len(rows) <= MOST_WHOLE:
            line = kept.line(version)
            return kept.value("conflicts", version.id, lambda: _filled(reader, line, rows))
    return _filled(reader, kept.line(version), _sharing_names(reader, kept.line(version), request))


def _since(reader: LedgerReader, version: VersionRow, known: str) -> list[VersionRow] | None:
    """The versions after an ancestor, oldest first; None if it is none, or far above."""
    came = reader.log(version.id, limit=NEAR)
    places = [place for place, one in enumerate(came) if one.id == known]
    return came[: places[0]][::-1] if places else None


def _carried_on(reader: LedgerReader, index: ConflictIndex, came: Sequence[VersionRow]) -> ConflictIndex:
    for version in came:
        query = f"SELECT {_EDIT} FROM edit_request r WHERE r.version = ? ORDER BY r.position"
        for row in reader.select(query, version.number):
            index.add(RecordedEdit(*row))
        for gone in reader.supersedes(version.number):
            with suppress(KeyError):  # it is gone already
                index.remove(gone.earlier_version, gone.earlier_position)
    return index


def _edits(reader: LedgerReader, version: VersionRow) -> list[Any]:
    """Every edit of a line, or one more than are held against a request, oldest first."""
    query = ANCESTORS + (
        f"SELECT {_EDIT} FROM line JOIN version v ON v.id = line.id"
        f" JOIN edit_request r ON r.version = v.number ORDER BY v.depth, r.position LIMIT {MOST_WHOLE + 1}"
    )
    return reader.select(query, version.id, 0)


def _filled(reader: LedgerReader, line: Line, rows: Iterable[Any]) -> ConflictIndex:
    """An index of some edits; a superseded one too, for what it replaced is known of its slot."""
    index, edits = _empty(), [RecordedEdit(*row) for row in rows]
    for edit in edits:
        index.add(edit)
    numbers = list(dict.fromkeys(edit.version for edit in edits))
    gone = {
        (version, position)
        for begin in range(0, len(numbers), MOST_OF_A_NAME)
        for version, positions in gone_on(reader, line, numbers[begin : begin + MOST_OF_A_NAME]).items()
        for position in positions
    }
    for edit in edits:
        if edit.where in gone:
            index.remove(*edit.where)
    return index


def _sharing_names(reader: LedgerReader, line: Line, request: EditRequest) -> list[Any]:
    """The newest edits of a long line about the subject or a target of the request, by each of its names."""
    aliases = world_aliases()
    names = {request.subject, request.target_new.strip(), request.target_true or request.subject}
    names |= {other for name in names for other in aliases.get(name, ())}
    names |= {name for name, others in aliases.items() if names.intersection(others)}
    query = (
        f"SELECT {_EDIT}, v.id, v.number, v.depth FROM edit_request r JOIN version v ON v.number = r.version"
        " WHERE r.subject = ? ORDER BY r.version DESC, r.position DESC LIMIT ?"
    )
    rows = [row for name in sorted(names) for row in reader.select(query, name, MOST_OF_A_NAME)]
    there = line.holds(reader, [row[7:] for row in rows])
    return sorted((row[:7] for row in rows if row[7] in there), key=lambda row: (row[0], row[1]))
