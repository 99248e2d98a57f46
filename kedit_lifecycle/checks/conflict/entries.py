"""Recorded edits read once, in the spelling they are compared in, and the graph of what they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kedit_lifecycle.checks.conflict.prompts import Asked
from kedit_lifecycle.checks.conflict.records import RecordedEdit, Statement
from kedit_lifecycle.checks.conflict.slots import Values, are_two_values
from kedit_lifecycle.facts.relations import RELATIONS, Relation, relation_of

KnownFact = tuple[str, str, str]
"""(subject, relation id or name, object): true of the world, not edited."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A statement in the spelling it is compared in: the subject's key, what is asked, the values."""

    subject: str
    asked: Asked
    values: Values
    statement: Statement

    @property
    def relation(self) -> Relation | None:
        """The declared relation, None for one that is not declared or not known."""
        return RELATIONS.get(self.asked.relation) if self.asked.relation else None


@dataclass(frozen=True, slots=True, eq=False)
class Entry(Reading):
    """A recorded edit, read."""

    edit: RecordedEdit


Fact = tuple[str, Entry | None]
"""The other end of a fact, and the edit that says so; None for a known truth."""


class FactGraph:
    """What the recorded edits and the known facts say, by subject and by object.

    Where an edit replaced a known value, the known value no longer holds.
    """

    def __init__(self, known: Iterable[KnownFact], key: Callable[[str], str]) -> None:
        self._slots: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
        self._objects: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
        self._known: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._known_objects: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for subject, name, value in known:
            relation = relation_of(name)
            if relation is not None:
                self._known[key(subject), relation.id].add(key(value))
                self._known_objects[key(value), relation.id].add(key(subject))

    def add(self, entry: Entry) -> None:
        """Take in an edit; one of an unknown relation is no fact of the graph."""
        if entry.asked.relation:
            _insert(self._slots[entry.subject, entry.asked.relation], entry)
            _insert(self._objects[entry.values.new, entry.asked.relation], entry)

    def remove(self, entry: Entry) -> None:
        """Take an edit out."""
        if entry.asked.relation:
            self._slots[entry.subject, entry.asked.relation].remove(entry)
            self._objects[entry.values.new, entry.asked.relation].remove(entry)

    def edits(self, subject: str, relation: str) -> list[Entry]:
        """The edits of a slot that still hold, newest first."""
        return holding(self._slots.get((subject, relation), ()))

    def edited_subjects(self, relation: str, value: str) -> Iterator[Entry]:
        """The edits that still hold and put `value` into this relation."""
        for entry in self._objects.get((value, relation), ()):
            if entry in self.edits(entry.subject, relation):
                yield entry

    def objects(self, subject: str, relation: str) -> list[Fact]:
        """What stands in a slot: what edits put there, and the known values they left."""
        edits = self.edits(subject, relation)
        facts: list[Fact] = [(entry.values.new, entry) for entry in edits]
        return facts + [(value, None) for value in self._left(subject, relation, edits)]

    def subjects(self, relation: str, value: str) -> Iterator[Fact]:
        """Whose slot holds `value`."""
        for entry in self.edited_subjects(relation, value):
            yield entry.subject, entry
        for subject in self._known_objects.get((value, relation), ()):
            if value in self._left(subject, relation, self.edits(subject, relation)):
                yield subject, None

    def _left(self, subject: str, relation: str, edits: list[Entry]) -> set[str]:
        """The known values that no edit took away."""
        known = self._known.get((subject, relation), set())
        if not edits or not known:
            return known
        declared = RELATIONS.get(relation)
        replaced = {entry.values.true for entry in edits} | {entry.values.new for entry in edits}
        return known - replaced if declared is not None and declared.many else set()


def _insert(entries: list[Entry], entry: Entry) -> None:
    """Keep the list in the ledger's order; edits mostly come in it."""
    at = len(entries)
    while at and entries[at - 1].edit.where > entry.edit.where:
        at -= 1
    entries.insert(at, entry)


def holding(entries: Iterable[Entry]) -> list[Entry]:
    """Of one slot's edits, oldest first, those that no later one took the place of; newest first."""
    newest_first = sorted(entries, key=lambda entry: entry.edit.where, reverse=True)
    if newest_first and newest_first[0].relation is not None and newest_first[0].relation.many:
        return newest_first
    kept: list[Entry] = []
    for entry in newest_first:
        if all(are_two_values(later.values, entry.values) for later in kept):
            kept.append(entry)
    return kept
