"""The facts that should hold now: what is known, as the live edits changed it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple, Protocol

import networkx as nx

from kedit_lifecycle.checks.ripple.naming import Names
from kedit_lifecycle.facts.relations import COMPOSITIONS, RELATIONS, relation_of
from kedit_lifecycle.facts.request import EditRequest


class Triple(Protocol):
    """Whatever has a subject, a relation and an object."""

    @property
    def subject(self) -> str:
        """The subject's name."""

    @property
    def relation(self) -> str:
        """The relation's id or name."""

    @property
    def object(self) -> str:
        """The object's name."""


class Fact(NamedTuple):
    """subject —relation→ object; the relation by its id, or the request's own name of an undeclared one."""

    subject: str
    relation: str
    object: str


def slot_of(request: EditRequest) -> str:
    """The relation of a request: its id, else its own name, else its prompt."""
    declared = relation_of(request.relation)
    return declared.id if declared else request.relation or request.prompt


class FactGraph:
    """Facts as edges from subject to object, keyed by relation.

    An edit of a one-valued relation takes the place of what was there; one of a many-valued relation joins
    it, but for the `target_true` that it replaces. Inverse and symmetric relations hold both ways, and a
    fact that goes takes along the one that says the same, and what followed from it by a declared
    composition. Later edits win. Things are told apart by name alone: two that share one (Georgia) are
    one here.

    `known` are true facts, `edited` the live edits in their order, `aliases` other names by name, and
    `articles` the names that take "the" in a sentence.
    """

    def __init__(
        self,
        known: Iterable[Triple],
        edited: Iterable[EditRequest] = (),
        *,
        aliases: Mapping[str, Sequence[str]] | None = None,
        articles: Collection[str] = (),
    ) -> None:
        self._graph = nx.MultiDiGraph()
        facts = [Fact(triple.subject, _declared_id(triple.relation), triple.object) for triple in known]
        own = (name for fact in facts for name in (fact.subject, fact.object))
        self._names = Names(aliases or {}, own, articles)
        for fact in facts:
            self._add(fact, edited=False)
        for request in edited:
            self._edit(request)

    def after(self, request: EditRequest) -> FactGraph:
        """The graph with one more edit; this one stays as it is."""
        changed = FactGraph(())
        changed._graph, changed._names = self._graph.copy(), self._names
        changed._edit(request)
        return changed

    def facts_of(self, subject: str) -> list[Fact]:
        """Every fact of a subject, in alphabetical order."""
        return sorted(self._fact(*edge) for edge in self._graph.out_edges([self._node(subject)], keys=True))

    def facts_about(self, value: str) -> list[Fact]:
        """Every fact whose object this is, in alphabetical order."""
        return sorted(self._fact(*edge) for edge in self._graph.in_edges([self._node(value)], keys=True))

    def objects(self, subject: str, relation: str) -> tuple[str, ...]:
        """What (subject, relation) has now, in alphabetical order."""
        return tuple(fact.object for fact in self.facts_of(subject) if fact.relation == relation)

    def subjects(self, relation: str, value: str) -> tuple[str, ...]:
        """What has the value under the relation now, in alphabetical order."""
        return tuple(fact.subject for fact in self.facts_about(value) if fact.relation == relation)

    def same(self, one: str, other: str) -> bool:
        """Whether two names are of one thing."""
        return self._node(one) == self._node(other)

    def among(self, value: str, others: Iterable[str]) -> bool:
        """Whether a thing is one of these, whatever their names."""
        return any(self.same(value, other) for other in others)

    def names(self, name: str) -> tuple[str, ...]:
        """A thing's name as given, then its other names."""
        label = self._graph.nodes.get(self._node(name), {}).get("label", name)
        return self._names.of(self._node(name), name, label)

    def spoken(self, name: str) -> str:
        """A thing's name as it stands inside a sentence."""
        return self._names.spoken(name)

    def edited_otherwise(self, subject: str, relation: str, values: Iterable[str]) -> bool:
        """Whether an edit gave a one-valued (subject, relation) a value that is none of these."""
        values = list(values)
        return not _many(relation) and any(
            self._is_edited(Fact(subject, relation, current)) and not self.among(current, values)
            for current in self.objects(subject, relation)
        )

    def _node(self, name: str) -> str:
        return self._names.key(name)

    def _fact(self, subject: str, value: str, relation: str) -> Fact:
        return Fact(self._graph.nodes[subject]["label"], relation, self._graph.nodes[value]["label"])

    def _edge(self, fact: Fact) -> tuple[str, str, str]:
        return self._node(fact.subject), self._node(fact.object), fact.relation

    def _is_edited(self, fact: Fact) -> bool:
        return bool(self._graph.edges[self._edge(fact)]["edited"])

    def _add(self, fact: Fact, *, edited: bool) -> None:
        """Add a fact and, where the relation has an inverse, the fact that says the same from the object."""
        for stated in _both_ways(fact):
            for name in (stated.subject, stated.object):
                if self._node(name) not in self._graph:
                    self._graph.add_node(self._node(name), label=" ".join(name.split()))
            self._graph.add_edge(*self._edge(stated), edited=edited)

    def _drop(self, fact: Fact) -> None:
        """Remove a fact and every fact that says the same from the object, unless another one says it too."""
        self._remove(fact)
        for relation in _turned(fact.relation):
            turned = Fact(fact.object, relation, fact.subject)
            if not any(self._has(Fact(fact.subject, name, fact.object)) for name in _stating(relation)):
                self._remove(turned)

    def _has(self, fact: Fact) -> bool:
        return bool(self._graph.has_edge(*self._edge(fact)))

    def _remove(self, fact: Fact) -> None:
        if self._has(fact):
            self._graph.remove_edge(*self._edge(fact))

    def _edit(self, request: EditRequest) -> None:
        edit = Fact(request.subject, slot_of(request), request.target_new)
        for stated in _both_ways(edit):
            if not _many(stated.relation):
                self._drop_others(stated.subject, stated.relation, [stated.object])
        if _many(edit.relation) and request.target_true:
            self._drop(edit._replace(object=request.target_true))
        self._add(edit, edited=True)
        self._unsettle(edit.subject, edit.relation, [edit.object])

    def _drop_others(self, subject: str, relation: str, kept: Sequence[str], *, edits: bool = True) -> bool:
        """Remove the facts of (subject, relation) but these, edited ones only with `edits`; was there any?"""
        others = [
            fact
            for fact in (Fact(subject, relation, value) for value in self.objects(subject, relation))
            if not self.among(fact.object, kept) and (edits or not self._is_edited(fact))
        ]
        for fact in others:
            self._drop(fact)
        return bool(others)

    def _unsettle(self, subject: str, relation: str, values: Sequence[str]) -> None:
        """Remove what followed from the former value of (subject, relation) and not from these."""
        for rule in COMPOSITIONS:
            if rule.first == relation:
                concluded = [value for middle in values for value in self.objects(middle, rule.second)]
                self._resettle(subject, rule.result, concluded)
            if rule.second == relation:
                for start in self.subjects(rule.first, subject):
                    self._resettle(start, rule.result, values)

    def _resettle(self, subject: str, relation: str, concluded: Sequence[str]) -> None:
        if not _many(relation) and self._drop_others(subject, relation, concluded, edits=False):
            self._unsettle(subject, relation, concluded)


def _declared_id(relation: str) -> str:
    declared = relation_of(relation)
    return declared.id if declared else relation


def _many(relation: str) -> bool:
    declared = RELATIONS.get(relation)
    return declared is not None and declared.many


def _both_ways(fact: Fact) -> Iterator[Fact]:
    yield fact
    declared = RELATIONS.get(fact.relation)
    if declared and declared.inverse:
        yield Fact(fact.object, declared.inverse, fact.subject)


@cache
def _stating(relation: str) -> tuple[str, ...]:
    """The relations whose inverse this is."""
    return tuple(declared.id for declared in RELATIONS.values() if declared.inverse == relation)


@cache
def _turned(relation: str) -> tuple[str, ...]:
    """Every relation that says the same from object to subject; none of an undeclared one."""
    declared = RELATIONS.get(relation)
    own = [declared.inverse] if declared and declared.inverse else []
    return tuple(dict.fromkeys((*own, *_stating(relation))))
