"""Conflicts with what follows from two facts, at least one of them edited.

The rules are `COMPOSITIONS`: s —first→ m and m —second→ o give s —result→ o (the composite edits of
ConflictEdit, Li et al., ICLR 2024, section 3.1).
"""

from __future__ import annotations

from collections.abc import Iterator

from kedit_lifecycle.checks.conflict.entries import Entry, FactGraph, Reading
from kedit_lifecycle.checks.conflict.records import Conflict, Severity, said
from kedit_lifecycle.facts.relations import COMPOSITIONS, RELATIONS, Composition


def composite_conflicts(new: Reading, graph: FactGraph) -> Iterator[Conflict]:
    """What a request clashes with as the conclusion, the first, or the second premise of a rule."""
    for rule in COMPOSITIONS:
        if rule.result == new.asked.relation:
            yield from _as_conclusion(new, rule, graph)
        if rule.first == new.asked.relation:
            yield from _as_first(new, rule, graph)
        if rule.second == new.asked.relation:
            yield from _as_second(new, rule, graph)


def _as_conclusion(new: Reading, rule: Composition, graph: FactGraph) -> Iterator[Conflict]:
    """The request against what recorded edits, with known facts, imply."""
    implied = [
        (value, first, second)
        for middle, first in graph.objects(new.subject, rule.first)
        for value, second in graph.objects(middle, rule.second)
        if value != new.subject
    ]
    if any(value == new.values.new for value, _, _ in implied):
        return
    for value, first, second in implied:
        edits = [entry for entry in (second, first) if entry is not None]
        if edits:
            replaced = new.values.true is None or new.values.true in (value, *(e.values.true for e in edits))
            yield _conflict(rule, edits, _severity(rule, len(edits) == 2, replaced), new)


def _as_first(new: Reading, rule: Composition, graph: FactGraph) -> Iterator[Conflict]:
    """The request as s —first→ m: what follows against a recorded edit of s —result."""
    recorded = graph.edits(new.subject, rule.result)
    implied = [fact for fact in graph.objects(new.values.new, rule.second) if fact[0] != new.subject]
    if any(entry.values.new == value for entry in recorded for value, _ in implied):
        return
    before = set() if new.values.true is None else {v for v, _ in graph.objects(new.values.true, rule.second)}
    for entry in recorded:
        for _, second in implied:
            replaced = entry.values.true is None or entry.values.true in before
            edits = [entry] if second is None else [entry, second]
            yield _conflict(rule, edits, _severity(rule, second is not None, replaced), new)


def _as_second(new: Reading, rule: Composition, graph: FactGraph) -> Iterator[Conflict]:
    """The request as m —second→ o: what follows for every s —first→ m against edits of s —result."""
    for subject, first in graph.subjects(rule.first, new.subject):
        recorded = [] if subject == new.values.new else graph.edits(subject, rule.result)
        if any(entry.values.new == new.values.new for entry in recorded):
            continue
        for entry in recorded:
            replaced = entry.values.true is None or entry.values.true == new.values.true
            edits = [entry] if first is None else [entry, first]
            yield _conflict(rule, edits, _severity(rule, first is not None, replaced), new)


def _severity(rule: Composition, all_edited: bool, replaced: bool) -> Severity:
    """Refuse only where every step is an edit and no relation has room for a second value."""
    if RELATIONS[rule.result].many:
        return "warn" if replaced else "note"
    one_valued = not (RELATIONS[rule.first].many or RELATIONS[rule.second].many)
    return "refuse" if all_edited and one_valued else "warn"


def _conflict(rule: Composition, edits: list[Entry], severity: Severity, new: Reading) -> Conflict:
    earlier, also = edits[0], edits[1] if len(edits) > 1 else None
    names = [RELATIONS[part].name for part in (rule.first, rule.second, rule.result)]
    beside = f" and {said(also.edit)}" if also else ""
    message = (
        f"{said(earlier.edit)}{beside}; with {names[0]} and {names[1]} giving {names[2]}, that does not go "
        f"with {new.statement.subject} -> {new.statement.target_new.strip()}"
    )
    return Conflict("composite", severity, earlier.edit, message, also.edit if also else None)
