"""What follows from one edit, and what must stay, by each criterion of RippleEdits (Cohen et al. 2024)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from kedit_lifecycle.checks.ripple import criteria
from kedit_lifecycle.checks.ripple.answers import mentions
from kedit_lifecycle.checks.ripple.descriptions import describe
from kedit_lifecycle.checks.ripple.graph import Fact, FactGraph, slot_of
from kedit_lifecycle.facts.relations import COMPOSITIONS, RELATIONS, Relation, relation_of
from kedit_lifecycle.facts.request import SUBJECT_SLOT, Condition, EditRequest, Probe

NAMED_AT_MOST = 8
"""Values of a many-valued relation that a question names as no answer; with more it is not asked."""

_ARTICLE_AND_SLOT = re.compile(r"\b[Tt]he \{\}")


@dataclass(frozen=True, slots=True)
class EditInGraph:
    """An edit, the objects it displaced (or joined), and the facts with the edit among them."""

    request: EditRequest
    former: tuple[str, ...]
    graph: FactGraph

    @property
    def subject(self) -> str:
        """The edited subject, s."""
        return self.request.subject

    @property
    def slot(self) -> str:
        """The relation, r, as the edges of the graph name it."""
        return slot_of(self.request)

    @property
    def relation(self) -> Relation | None:
        """The relation, r, where it is declared."""
        return relation_of(self.request.relation)

    @property
    def target(self) -> str:
        """The new object, o*."""
        return self.request.target_new.strip()

    def said(self, prompt: str, subject: str) -> str:
        """The prompt with a thing in its place, with the article that its name takes."""
        return _said(prompt, self.graph.spoken(subject))

    def described(self, relation: str, subject: str) -> str | None:
        """The object of (subject, relation) as a noun phrase, where it is the only one."""
        only = len(self.graph.objects(subject, relation)) == 1
        return describe(relation, self.graph.spoken(subject)) if only else None

    def besides(self, others: Sequence[str], prompt: str, subject: str) -> str:
        """The question for one more value, naming those that are no answer; the plain one for none."""
        if not others:
            return self.said(prompt, subject)
        spoken = [self.graph.spoken(other) for other in others]
        listed = ", ".join(spoken[:-1]) + " and " + spoken[-1] if len(spoken) > 1 else spoken[0]
        prompt = prompt if prompt.startswith(SUBJECT_SLOT) else prompt[0].lower() + prompt[1:]
        return f"Besides {listed}, {prompt.replace(SUBJECT_SLOT, self.graph.spoken(subject))}"

    def condition(self, prompt: str, values: Iterable[str]) -> Condition:
        """That the model answers the prompt with one of the values, under any name that is not in it."""
        return Condition(prompt=prompt, answers=self._answers(prompt, values))

    def probe(
        self, criterion: str, prompt: str, values: Sequence[str], *conditions: Condition
    ) -> Iterator[Probe]:
        """The probe that asks for one of the values; none where the prompt gives one away."""
        answers = self._answers(prompt, values)
        if answers and not any(mentions(prompt, value) for value in values):
            yield Probe(category=criterion, prompt=prompt, answers=answers, conditions=conditions)

    def _answers(self, prompt: str, values: Iterable[str]) -> tuple[str, ...]:
        names = (name for value in values for name in self.graph.names(value))
        return tuple(dict.fromkeys(name for name in names if not mentions(prompt, name)))


def _said(prompt: str, phrase: str) -> str:
    """The prompt with a phrase in its place, which brings its own article and begins it with a capital."""
    if phrase.startswith("the "):
        prompt = _ARTICLE_AND_SLOT.sub(SUBJECT_SLOT, prompt)
    sentence = prompt.replace(SUBJECT_SLOT, phrase)
    return "T" + sentence[1:] if sentence.startswith("the ") else sentence


def _logical_generalization(edit: EditInGraph) -> Iterator[Probe]:
    yield from _inverse(edit)
    yield from _composed(edit)


def _inverse(edit: EditInGraph) -> Iterator[Probe]:
    """From s —r→ o*: o* —inverse→ s, with the other values named where the inverse has several."""
    inverse = RELATIONS.get((edit.relation and edit.relation.inverse) or "")
    if inverse is None:
        return
    others = [v for v in edit.graph.objects(edit.target, inverse.id) if not edit.graph.same(v, edit.subject)]
    if len(others) <= NAMED_AT_MOST:
        prompt = edit.besides(others, inverse.prompt, edit.target)
        yield from edit.probe(criteria.LOGICAL_GENERALIZATION, prompt, [edit.subject])


def _composed(edit: EditInGraph) -> Iterator[Probe]:
    """By the declared compositions, with the edit as the first fact or as the second."""
    for rule in COMPOSITIONS:
        result = RELATIONS[rule.result]
        if rule.first == edit.slot:
            values = edit.graph.objects(edit.target, rule.second)
            given = edit.condition(edit.said(RELATIONS[rule.second].prompt, edit.target), values)
            yield from _concluded(edit, edit.subject, result, values, given)
        if rule.second == edit.slot:
            for start in edit.graph.subjects(rule.first, edit.subject):
                given = edit.condition(edit.said(RELATIONS[rule.first].prompt, start), [edit.subject])
                yield from _concluded(edit, start, result, [edit.target], given)


def _concluded(
    edit: EditInGraph, subject: str, result: Relation, values: Sequence[str], given: Condition
) -> Iterator[Probe]:
    """The conclusion subject —result→ values, if it is news and no edit says otherwise."""
    current = edit.graph.objects(subject, result.id)
    news = [v for v in values if not edit.graph.among(v, current) and not edit.graph.same(v, subject)]
    others = current if result.many else ()
    if news and len(others) <= NAMED_AT_MOST and not edit.graph.edited_otherwise(subject, result.id, news):
        prompt = edit.besides(others, result.prompt, subject)
        yield from edit.probe(criteria.LOGICAL_GENERALIZATION, prompt, news, given)


def _compositionality_1(edit: EditInGraph) -> Iterator[Probe]:
    """From s —r→ o* and o* —r2→ x: the r2 of "the r of s" is x."""
    description = edit.described(edit.slot, edit.subject)
    for second, values in _by_relation(edit.graph.facts_of(edit.target)):
        if description is not None and not edit.graph.among(edit.subject, values):
            known = edit.condition(edit.said(second.prompt, edit.target), values)
            prompt = _said(second.prompt, description)
            yield from edit.probe(criteria.COMPOSITIONALITY_1, prompt, values, known)


def _compositionality_2(edit: EditInGraph) -> Iterator[Probe]:
    """From s0 —r0→ s and s —r→ o*: the r of "the r0 of s0" is o*."""
    for fact in edit.graph.facts_about(edit.subject):
        first, description = RELATIONS.get(fact.relation), edit.described(fact.relation, fact.subject)
        if first is not None and description is not None and not edit.graph.same(fact.subject, edit.target):
            known = edit.condition(edit.said(first.prompt, fact.subject), [edit.subject])
            prompt = _said(edit.relation.prompt if edit.relation else edit.request.prompt, description)
            yield from edit.probe(criteria.COMPOSITIONALITY_2, prompt, [edit.target], known)


def _subject_aliasing(edit: EditInGraph) -> Iterator[Probe]:
    """The edit's own question by another name, which must have had the former answer."""
    for alias in edit.graph.names(edit.subject)[1:]:
        prompt = edit.request.prompt.replace(SUBJECT_SLOT, alias)
        if not any(mentions(alias, former) for former in edit.former):
            known = [edit.condition(prompt, edit.former)] if edit.former else []
            yield from edit.probe(criteria.SUBJECT_ALIASING, prompt, [edit.target], *known)


def _preservation(edit: EditInGraph) -> Iterator[Probe]:
    """The other values of a relation that may have several."""
    if edit.relation is not None and edit.relation.many:
        values = edit.graph.objects(edit.subject, edit.slot)
        others = [value for value in values if not edit.graph.same(value, edit.target)]
        prompt = edit.besides([edit.target], edit.relation.prompt, edit.subject)
        yield from edit.probe(criteria.PRESERVATION, prompt, others, edit.condition(prompt, others))


def _relation_specificity(edit: EditInGraph) -> Iterator[Probe]:
    """The subject's other relations, but for those that the edit bears on by a rule."""
    touched = _touched(edit.slot)
    for relation, values in _by_relation(edit.graph.facts_of(edit.subject)):
        if relation.id not in touched:
            prompt = edit.said(relation.prompt, edit.subject)
            known = edit.condition(prompt, values)
            yield from edit.probe(criteria.RELATION_SPECIFICITY, prompt, values, known)


def _by_relation(facts: Iterable[Fact]) -> Iterator[tuple[Relation, list[str]]]:
    """One subject's facts as the values of each declared relation."""
    for name, group in groupby(facts, key=lambda fact: fact.relation):
        declared = RELATIONS.get(name)
        if declared is not None:
            yield declared, [fact.object for fact in group]


def _touched(relation: str) -> set[str]:
    """The relation, its inverse, and every relation of the same subject that follows from it."""
    touched, fresh = set[str](), {relation}
    while fresh:
        touched |= fresh
        fresh = {rule.result for rule in COMPOSITIONS if rule.first in fresh} - touched
    declared = RELATIONS.get(relation)
    return touched | ({declared.inverse} if declared and declared.inverse else set())


DERIVATIONS: tuple[Callable[[EditInGraph], Iterator[Probe]], ...] = (
    _logical_generalization,
    _compositionality_1,
    _compositionality_2,
    _subject_aliasing,
    _preservation,
    _relation_specificity,
)
"""One for each criterion, in the paper's order."""
