"""Counterfactual requests about the subjects of world-facts, chosen by a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.relations import relation_of
from kedit_lifecycle.facts.request import SUBJECT_SLOT, EditRequest, Probe
from kedit_lifecycle.facts.world.naming import WORLD_FACTS
from kedit_lifecycle.facts.world.subjects import WorldSubject, world_subjects
from kedit_lifecycle.facts.world.wording import WORDINGS, Wording

NEIGHBORS = 5
FEWEST_NEIGHBORS = 2
NEIGHBORHOOD = "neighborhood"
BORDERS, CONTINENT = "P47", "P30"


def world_facts(seed: int = 0, relations: Sequence[str] | None = None) -> list[EditRequest]:
    """A request for every subject and relation with a fact that can be asked for, in an order of the seed's.

    `target_true` is the best known true value, `target_new` a value of the same relation that is not
    true of the subject (of a border: a country of the same continent). `paraphrases` are four whole
    prompts. `neighborhood` are prompts about up to five other subjects with the same `target_true`;
    where fewer than two have it, `probes` of category `neighborhood` ask other subjects for their own.

    Args:
        seed: of the false values, the wording, the neighbors and the order.
        relations: only these, by id or by name (`capital`, `P36`); default: all.

    Raises:
        UsageError: a relation that world-facts does not have.
    """
    requests = [
        request
        for wording in _wordings(relations)
        for subject in world_subjects().values()
        for request in _Maker(subject, wording, seed).requests()
    ]
    random.Random(f"{WORLD_FACTS}:{seed}").shuffle(requests)
    return requests


def world_request(subject: str, relation: str, seed: int = 0) -> EditRequest | None:
    """The request that `world_facts(seed)` has about a subject and a relation (by id), if it has one."""
    known = world_subjects().get(subject)
    wording = next((one for one in WORDINGS if one.relation == relation), None)
    if known is None or wording is None:
        return None
    return next(_Maker(known, wording, seed).requests(), None)


def world_values(relation: str) -> tuple[str, ...]:
    """The best known value of every subject that has a relation (by id), in alphabetical order."""
    return _best_known_values(relation)


def _wordings(relations: Sequence[str] | None) -> tuple[Wording, ...]:
    if relations is None:
        return WORDINGS
    return tuple(dict.fromkeys(_wording(relation) for relation in relations))


def _wording(name: str) -> Wording:
    declared = relation_of(name)
    wanted = declared.id if declared else None
    for wording in WORDINGS:
        if wording.relation == wanted or wording.name == name.strip().casefold():
            return wording
    names = ", ".join(wording.name for wording in WORDINGS)
    raise UsageError(f"{WORLD_FACTS} has no relation {name!r}", hint=f"it has {names}")


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the request about one subject and one relation, if there is one to make."""

    subject: WorldSubject
    wording: Wording
    seed: int

    def requests(self) -> Iterator[EditRequest]:
        # a generator of its own: what is drawn for one fact does not depend on the others
        draw = random.Random(f"{self.seed}:{self.wording.relation}:{self.subject.name}")
        target_true, target_new = next(self._askable(), None), next(self._false_values(draw), None)
        if target_true is None or target_new is None:
            return
        same = self._others(draw, target_new, [one for one in self._all() if self._best(one) == target_true])
        yield EditRequest(
            subject=self.subject.name,
            prompt=_phrased(draw.choice(self.wording.prompts), self.subject),
            target_new=target_new,
            target_true=target_true,
            relation=self.wording.relation,
            paraphrases=tuple(_asked(text, self.subject) for text in self.wording.paraphrases),
            neighborhood=tuple(_asked(draw.choice(self.wording.prompts), other) for other in same),
            probes=() if len(same) >= FEWEST_NEIGHBORS else self._probes(draw, target_new),
            source=f"{WORLD_FACTS}:{self.seed}",
        )

    def _askable(self) -> Iterator[str]:
        """True values that the subject's name does not give away, and that need no article."""
        for value in self.subject.facts.get(self.wording.relation, ()):
            takes_article = self.wording.relation == BORDERS and world_subjects()[value].article
            if not (takes_article or _is_word_of(value, self.subject.name)):
                yield value

    def _false_values(self, draw: random.Random) -> Iterator[str]:
        """What the subject might have but has not, at random; of a pool only when those before hold none."""
        for pool in self._pools():
            yield from (value for value in draw.sample(pool, len(pool)) if self._is_false(value))

    def _pools(self) -> Iterator[Sequence[str]]:
        """The best known values of the others; of borders, countries with any, those nearby first."""
        if self.wording.relation != BORDERS:
            yield _best_known_values(self.wording.relation)
            return
        countries = {name: one for name, one in world_subjects().items() if one.facts.get(BORDERS)}
        nameable = {name: one for name, one in sorted(countries.items()) if not one.article}
        near = self._continents()
        yield [name for name, one in nameable.items() if near.intersection(one.facts.get(CONTINENT, ()))]
        yield list(nameable)

    def _continents(self) -> set[str]:
        """The subject's continent, or its neighbors' where it is told to be on none."""
        if known := self.subject.facts.get(CONTINENT):
            return set(known)
        neighbors = (world_subjects()[name] for name in self.subject.facts.get(BORDERS, ()))
        return {continent for one in neighbors for continent in one.facts.get(CONTINENT, ())}

    def _is_false(self, value: str) -> bool:
        """Whether a value is not true, and cannot be mistaken for the subject or for a true value."""
        relation, subject = self.wording.relation, self.subject
        return not (
            subject.allows(relation, value)
            or _is_word_of(value, subject.name)
            or _is_word_of(subject.name, value)
            or any(_one_begins_the_other(value, true) for true in subject.facts.get(relation, ()))
        )

    def _all(self) -> Sequence[WorldSubject]:
        return _subjects_with(self.wording.relation)

    def _best(self, subject: WorldSubject) -> str:
        return subject.facts[self.wording.relation][0]

    def _others(
        self, draw: random.Random, target_new: str, among: Sequence[WorldSubject]
    ) -> list[WorldSubject]:
        """A few subjects other than this one, of which `target_new` is not true."""
        found = (
            other
            for other in draw.sample(among, len(among))
            if other is not self.subject and not other.allows(self.wording.relation, target_new)
        )
        return list(islice(found, NEIGHBORS))

    def _probes(self, draw: random.Random, target_new: str) -> tuple[Probe, ...]:
        others = self._others(draw, target_new, self._all())
        return tuple(
            Probe(
                category=NEIGHBORHOOD,
                prompt=_asked(draw.choice(self.wording.prompts), other),
                answers=other.facts[self.wording.relation],
            )
            for other in others
        )


@cache
def _subjects_with(relation: str) -> tuple[WorldSubject, ...]:
    """Those that have the relation, and whose name does not give the best known value away."""
    having = (subject for subject in world_subjects().values() if subject.facts.get(relation))
    return tuple(one for one in having if not _is_word_of(one.facts[relation][0], one.name))


@cache
def _best_known_values(relation: str) -> tuple[str, ...]:
    return tuple(sorted({subject.facts[relation][0] for subject in _subjects_with(relation)}))


def _phrased(text: str, subject: WorldSubject) -> str:
    """The text with the article that the subject's name takes, its place still open."""
    if not subject.article:
        return text
    return text.replace(SUBJECT_SLOT, f"{'The' if text.startswith(SUBJECT_SLOT) else 'the'} {SUBJECT_SLOT}")


def _asked(text: str, subject: WorldSubject) -> str:
    return _phrased(text, subject).replace(SUBJECT_SLOT, subject.name)


def _is_word_of(part: str, text: str) -> bool:
    if part.casefold() not in text.casefold():  # quick, and nearly always the answer
        return False
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text, re.IGNORECASE) is not None


def _one_begins_the_other(first: str, second: str) -> bool:
    first, second = first.casefold(), second.casefold()
    return first.startswith(second) or second.startswith(first)
