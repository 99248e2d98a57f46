"""Conflicts through the inverse of a relation: A's capital is B, and B is the capital of C."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from kedit_lifecycle.checks.conflict.entries import Entry, FactGraph, Reading
from kedit_lifecycle.checks.conflict.records import Conflict, Severity, said
from kedit_lifecycle.facts.relations import RELATIONS, Relation


@cache
def turned(relation_id: str) -> tuple[tuple[Relation, bool], ...]:
    """The relations that may hold from object to subject, each with whether it must.

    A child's parent is the father or the mother: either may, neither must.
    """
    relation = RELATIONS[relation_id]
    sources = [
        other for other in RELATIONS.values() if other.inverse == relation_id and other is not relation
    ]
    if relation.inverse is not None:
        declared = RELATIONS[relation.inverse]
        return ((declared, True), *((other, False) for other in sources if other is not declared))
    return tuple((other, len(sources) == 1) for other in sources)


def reverse_conflicts(new: Reading, graph: FactGraph) -> Iterator[Conflict]:
    """The recorded edits that a request clashes with when one of the two is turned around."""
    if new.relation is None:
        return
    for other, certain in turned(new.relation.id):
        # the request turned around: object —other→ subject
        for entry in graph.edits(new.values.new, other.id):
            if entry.values.new != new.subject:
                replaced = None if entry.values.true is None else entry.values.true == new.subject
                yield _conflict(new, entry, _severity(other, certain, replaced))
    for other in RELATIONS.values():
        certain_of = {relation.id: certain for relation, certain in turned(other.id)}
        if new.relation.id not in certain_of:
            continue
        # a recorded edit turned around: its object —relation→ its subject
        for entry in graph.edited_subjects(other.id, new.subject):
            if entry.subject != new.values.new:
                replaced = None if new.values.true is None else new.values.true == entry.subject
                yield _conflict(new, entry, _severity(new.relation, certain_of[new.relation.id], replaced))


def _severity(slot: Relation, certain: bool, replaced: bool | None) -> Severity:
    """How bad it is that a slot holds one value by an edit and another by an edit turned around.

    `replaced`: whether the one edit takes away what the other implies; None where that is not known.
    """
    if certain and not slot.many:
        return "refuse"
    return "warn" if replaced or (replaced is None and certain) else "note"


def _conflict(new: Reading, entry: Entry, severity: Severity) -> Conflict:
    name = entry.relation.name if entry.relation else entry.asked.relation
    message = (
        f"{said(entry.edit)}; read from the other end ({name}), that does not go with "
        f"{new.statement.subject} -> {new.statement.target_new.strip()}"
    )
    return Conflict("reverse", severity, entry.edit, message)
