"""Requests as a person sees them: with answers before and after, and what they replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedit_lifecycle.engine.messages import FactView
from kedit_lifecycle.ledger.ancestry import Line
from kedit_lifecycle.ledger.loading import REQUEST_COLUMNS, json_object
from kedit_lifecycle.ledger.pages import superseding
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import VersionRow

Said = Mapping[int, tuple[str, float | None]]
"""Position of a request -> what the model said, and the probability of the new target."""


def facts_of(reader: LedgerReader, head: Line, version: VersionRow, most: int) -> tuple[FactView, ...]:
    """The first requests of a version. `head` is the line that decides what is superseded."""
    parent = reader.by_id(version.parent).number if version.parent else None
    before = {} if parent is None else _answers(reader, version.number, parent, most)
    after = _answers(reader, version.number, version.number, most)
    replaced: dict[int, list[int]] = {}
    for one in reader.supersedes(version.number):
        replaced.setdefault(one.position, []).append(one.earlier_version)
    gone = _gone(reader, head, version.number)
    query = (
        f"SELECT position, {REQUEST_COLUMNS} FROM edit_request WHERE version = ? ORDER BY position LIMIT ?"
    )
    return tuple(
        fact_of(row[0], _request(row), before, after, replaced.get(row[0], ()), gone.get(row[0]))
        for row in reader.select(query, version.number, most)
    )


def fact_of(
    position: int,
    request: Mapping[str, Any],
    before: Said | None = None,
    after: Said | None = None,
    supersedes: Sequence[int] = (),
    superseded_by: int | None = None,
) -> FactView:
    """A request, given as JSON values."""
    unsaid = (None, None)
    said, now = (before or {}).get(position, unsaid), (after or {}).get(position, unsaid)
    return FactView(
        position=position,
        subject=_text(request, "subject"),
        prompt=_text(request, "prompt"),
        target_new=_text(request, "target_new"),
        target_true=_text(request, "target_true") or None,
        relation=_text(request, "relation") or None,
        before=said[0],
        before_probability=said[1],
        after=now[0],
        after_probability=now[1],
        paraphrases=_texts(request, "paraphrases"),
        neighborhood=_texts(request, "neighborhood"),
        reason=_text(request, "reason"),
        source=_text(request, "source"),
        supersedes=tuple(dict.fromkeys(supersedes)),
        superseded_by=superseded_by,
    )


def _request(row: Sequence[Any]) -> dict[str, Any]:
    """The payload, with the columns, which are what the ledger compares, over it."""
    position, digest, subject, relation, prompt, target_new, target_true, payload = row
    own = {
        "subject": subject,
        "relation": relation,
        "prompt": prompt,
        "target_new": target_new,
        "target_true": target_true,
    }
    return json_object(payload, f"the request {digest}, at {position}") | own


def _answers(reader: LedgerReader, version: int, evaluated: int, most: int) -> Said:
    query = (
        "SELECT request, completion, target_probability FROM answer"
        " WHERE version = ? AND evaluated = ? AND request < ? ORDER BY number DESC"
    )
    return {row[0]: (row[1], row[2]) for row in reader.select(query, version, evaluated, most)}


def _gone(reader: LedgerReader, line: Line, version: int) -> dict[int, int]:
    """Position -> the version of a line that took its place."""
    found = superseding(reader, [version])
    there = line.holds(reader, [(one.by_id, one.by, one.by_depth) for one in found])
    return {one.position: one.by for one in found if one.by_id in there}


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    return value if isinstance(value, str) else ""


def _texts(request: Mapping[str, Any], name: str) -> tuple[str, ...]:
    listed = request.get(name)
    return tuple(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else ()
