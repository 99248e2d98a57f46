"""Two edits of one slot (one subject and relation): what the second is to the first."""

from __future__ import annotations

from dataclasses import dataclass

from kedit_lifecycle.checks.conflict.records import (
    Conflict,
    ConflictKind,
    RecordedEdit,
    Severity,
    Statement,
    said,
)
from kedit_lifecycle.facts.relations import Relation


@dataclass(frozen=True, slots=True)
class Values:
    """A statement's new value and the one it replaces, in the spelling they are compared in.

    `origin` is what stood in the slot before any edit: where an edit replaces what an earlier one put
    there, it is the earlier one's origin, else `true`.
    """

    new: str
    true: str | None
    origin: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request is to an earlier edit of its slot."""

    kind: ConflictKind
    severity: Severity


def judge(new: Values, earlier: Values, relation: Relation | None) -> Verdict:
    """Judge a request against an earlier edit of its slot.

    A relation of several values is never a contradiction, nor is a slot that the data itself gives
    several true values; a request that replaces just what the earlier edit put there overwrites it.
    """
    many = relation is not None and relation.many
    if new.new == earlier.new:
        return Verdict("duplicate", "note")
    if new.true == earlier.new:
        return Verdict("overwrite", "warn" if many else "refuse")
    if many:
        return Verdict("many-valued", "warn" if new.origin and new.origin == earlier.origin else "note")
    if are_two_values(new, earlier):
        return Verdict("many-valued", "note")
    return Verdict("contradiction", "refuse")


def are_two_values(one: Values, earlier: Values) -> bool:
    """Whether two edits of a slot replace two true values of it, and the later does not bring one back."""
    known = one.origin and earlier.origin and one.origin != earlier.origin
    return bool(known) and earlier.true != one.new


def slot_conflict(verdict: Verdict, new: Statement, earlier: RecordedEdit) -> Conflict:
    """The conflict in words."""
    says = said(earlier)
    sentences: dict[ConflictKind, str] = {
        "duplicate": f"{says}; this edit says the same",
        "overwrite": f"{says}; this edit changes what it put there to {new.target_new.strip()}",
        "contradiction": f"{says}; this edit says {new.target_new.strip()}",
        "many-valued": f"{says}; this edit adds {new.target_new.strip()} to a relation of several values",
    }
    return Conflict(verdict.kind, verdict.severity, earlier, sentences[verdict.kind])


def similar_conflict(verdict: Verdict, new: Statement, earlier: RecordedEdit, why: str) -> Conflict:
    """A near-duplicate: the slots are one only by likeness, which is worth a warning and no refusal."""
    if verdict.kind == "duplicate":
        return Conflict(
            "duplicate", "note", earlier, f"{said(earlier)}; this edit seems to say the same ({why})"
        )
    if verdict.severity == "note":
        return slot_conflict(verdict, new, earlier)
    message = f"{said(earlier)}; this edit seems to ask the same and says {new.target_new.strip()} ({why})"
    return Conflict("similar", "warn", earlier, message)
