"""`ConflictIndex`: the edits on record, and what a new request would clash with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kedit_lifecycle.checks.conflict.composite import composite_conflicts
from kedit_lifecycle.checks.conflict.entries import Entry, FactGraph, KnownFact, Reading, holding
from kedit_lifecycle.checks.conflict.meaning import Embedder, NearestTexts
from kedit_lifecycle.checks.conflict.prompts import Asked, PromptMatch, asked, compare
from kedit_lifecycle.checks.conflict.records import SEVERITIES, Conflict, RecordedEdit, Statement, question_of
from kedit_lifecycle.checks.conflict.reverse import reverse_conflicts
from kedit_lifecycle.checks.conflict.slots import Values, Verdict, judge, similar_conflict, slot_conflict
from kedit_lifecycle.checks.conflict.subjects import SubjectIndex
from kedit_lifecycle.facts.request import SUBJECT_SLOT


class ConflictIndex:
    """The edits of one history, kept up to date edit by edit, in the ledger's order.

    An edit that supersedes another is added before the other is removed, so that what stood in the slot
    before either is known.
    `aliases`: other names by name. `known`: true facts that rules over two facts may use as a premise.
    Without an embedder, names and prompts are compared by their wording alone.
    """

    def __init__(
        self,
        embedder: Embedder | None = None,
        *,
        aliases: Mapping[str, Sequence[str]] | None = None,
        known: Iterable[KnownFact] = (),
    ) -> None:
        self._subjects = SubjectIndex(aliases or {}, NearestTexts(embedder) if embedder else None)
        self._prompts = NearestTexts(embedder) if embedder else None
        self._graph = FactGraph(known, self._subjects.key)
        self._entries: dict[tuple[int, int], Entry] = {}
        self._by_subject: defaultdict[str, dict[tuple[int, int], Entry]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, edit: RecordedEdit) -> None:
        """Take in a committed edit; texts are encoded later, when a request is asked about.

        Raises:
            ValueError: if the place (version, position) is taken.
        """
        if edit.where in self._entries:
            raise ValueError(f"{edit.label} is in the index already")
        reading = self._read(edit)
        entry = Entry(reading.subject, reading.asked, reading.values, edit, edit)
        self._entries[edit.where] = entry
        self._by_subject[entry.subject][edit.where] = entry
        self._subjects.add(edit.subject)
        self._graph.add(entry)

    def remove(self, version: int, position: int) -> None:
        """Forget an edit: it was superseded, or its version is not in the history any more.

        Raises:
            KeyError: if there is no such edit.
        """
        entry = self._entries.pop((version, position))
        del self._by_subject[entry.subject][version, position]
        self._graph.remove(entry)

    def truncate(self, version: int) -> None:
        """Forget every edit after `version`."""
        for where in [where for where in self._entries if where[0] > version]:
            self.remove(*where)

    def find(self, request: Statement) -> list[Conflict]:
        """What a request would clash with: worst first, then newest first; nothing of it is kept.

        Raises:
            ModelError: if the embedder cannot be loaded.
        """
        new = self._read(request)
        found = [
            *self._same_subject(new),
            *self._like_subjects(new),
            *reverse_conflicts(new, self._graph),
            *composite_conflicts(new, self._graph),
        ]
        certain = {
            one.with_.where for one in found if one.kind != "similar"
        }  # likeness adds nothing to these
        unique = {
            (one.kind, one.with_.where, one.also and one.also.where): one
            for one in found
            if one.kind != "similar" or one.with_.where not in certain
        }
        return sorted(unique.values(), key=_worst_and_newest)

    def _read(self, statement: Statement) -> Reading:
        key, question = self._subjects.key(statement.subject), asked(statement.prompt, statement.relation)
        new, true = self._subjects.key(statement.target_new), None
        if statement.target_true and statement.target_true.strip():
            true = self._subjects.key(statement.target_true)
        return Reading(key, question, Values(new, true, self._origin(key, question, true)), statement)

    def _origin(self, subject: str, question: Asked, true: str | None) -> str | None:
        """The value before any edit: through the newest edit of the slot that put `true` there, if any."""
        for entry in reversed(self._by_subject.get(subject, {}).values()):
            one_slot = entry.asked.wording == question.wording or (
                question.relation is not None and entry.asked.relation == question.relation
            )
            if one_slot and entry.values.new == true:
                return entry.values.origin
        return true

    def _same_subject(self, new: Reading) -> Iterator[Conflict]:
        matches = self._matches(new, new.subject)
        slot = [entry for entry, match in matches if _is_one_slot(new, entry, match)]
        for entry in holding(slot):
            yield slot_conflict(
                judge(new.values, entry.values, new.relation or entry.relation), new.statement, entry.edit
            )
        for entry, match in matches:
            if entry not in slot:
                yield (
                    self._one_question(new, entry)
                    if match == "wording"
                    else self._similar(new, entry, "another prompt about this subject")
                )

    def _like_subjects(self, new: Reading) -> Iterator[Conflict]:
        for key, why in self._subjects.alike(new.statement.subject).items():
            for entry, match in self._matches(new, key):
                if match != "wording" or _is_one_slot(new, entry, match):
                    yield self._similar(new, entry, why)
        question = question_of(new.statement)
        for text, key in self._subjects.mentioned(question, new.statement.subject).items():
            turned = Reading(
                key, asked(question.replace(text, SUBJECT_SLOT, 1), None), new.values, new.statement
            )
            for entry, _ in self._matches(turned, key):
                yield self._similar(new, entry, f"the prompt is about {text} too")

    def _one_question(self, new: Reading, entry: Entry) -> Conflict:
        """One prompt under two relations: whatever they are called, the model has one answer to it."""
        same = new.values.new == entry.values.new
        verdict = Verdict("duplicate", "note") if same else Verdict("contradiction", "refuse")
        return similar_conflict(verdict, new.statement, entry.edit, "one prompt under two relations")

    def _similar(self, new: Reading, entry: Entry, why: str) -> Conflict:
        verdict = judge(new.values, entry.values, new.relation or entry.relation)
        return similar_conflict(verdict, new.statement, entry.edit, why)

    def _matches(self, new: Reading, subject: str) -> list[tuple[Entry, PromptMatch]]:
        """The edits of a subject that ask what the request asks."""
        found = []
        for entry in self._by_subject.get(subject, {}).values():
            match = compare(
                new.asked, entry.asked, self._prompts, same_value=_same_value(new.values, entry.values)
            )
            if match is not None:
                found.append((entry, match))
        return found


def _is_one_slot(new: Reading, entry: Entry, match: PromptMatch) -> bool:
    """Whether the two have one slot for certain: by relation, or by wording where no relation objects."""
    unlike = new.asked.relation and entry.asked.relation and new.asked.relation != entry.asked.relation
    return match == "relation" or (match == "wording" and not unlike)


def _same_value(new: Values, earlier: Values) -> bool:
    """Whether the request replaces what the earlier edit replaced, or what it put there."""
    return new.true is not None and new.true in (earlier.true, earlier.new)


def _worst_and_newest(conflict: Conflict) -> tuple[int, int, int]:
    version, position = conflict.with_.where
    return (-SEVERITIES.index(conflict.severity), -version, -position)
