"""`GET /suggest`: what the built-in facts know that helps to write a request."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from kedit_lifecycle.engine.messages import Suggestion
from kedit_lifecycle.engine.queries.parameters import text, whole
from kedit_lifecycle.facts.relations import RELATIONS, relation_of
from kedit_lifecycle.facts.request import SUBJECT_SLOT
from kedit_lifecycle.facts.world import WorldSubject, world_request, world_subjects, world_values
from kedit_lifecycle.facts.world.wording import WORDINGS
from kedit_lifecycle.ledger.search_text import folded
from kedit_lifecycle.memory.scope.builtin import wordings_of

SUBJECTS, MOST_SUBJECTS = 10, 100
TARGETS = 20
PARAPHRASES = 5


def suggest(store: Path, parameters: Mapping[str, str]) -> Suggestion:
    """What fits a `subject` and a `prompt`, both perhaps half written, and a `relation` if one is given.

    Names are compared without case and accents; `limit` (default 10) is of the subjects. The store is not
    looked at.
    """
    del store
    name, prompt = text(parameters, "subject").strip(), text(parameters, "prompt").strip()
    declared = relation_of(text(parameters, "relation").strip() or None)
    limit = whole(parameters, "limit", SUBJECTS, least=1, most=MOST_SUBJECTS)
    subject = _names().get(folded(name))
    asked = _with_slot(prompt, name)
    found = _relation(asked, subject, declared.id if declared else None)
    if found is None:
        return Suggestion(subjects=_beginning(name, limit))
    relation, wording = found
    known = world_request(subject.name, relation) if subject else None
    return Suggestion(
        subjects=_beginning(name, limit),
        relation=relation,
        prompt=wording if wording is not None else known.prompt if known else RELATIONS[relation].prompt,
        target_true=known.target_true if known else None,
        targets=_targets(subject, relation, name),
        paraphrases=known.paraphrases if known else _paraphrases(relation, name, asked),
        neighborhood=known.neighborhood if known else (),
    )


@cache
def _names() -> Mapping[str, WorldSubject]:
    """Every subject by its names and its aliases, folded."""
    subjects = world_subjects().values()
    aliases = {folded(alias): one for one in subjects for alias in one.aliases}
    return aliases | {folded(one.name): one for one in subjects}


def _beginning(name: str, limit: int) -> tuple[str, ...]:
    """The subjects of which a name or an alias begins like this, the names first."""
    key = folded(name)
    if not key:
        return ()
    named = [one.name for one in world_subjects().values() if folded(one.name).startswith(key)]
    aliased = [one.name for alias, one in _names().items() if alias.startswith(key)]
    return tuple(dict.fromkeys([*sorted(named), *sorted(aliased)]))[:limit]


def _with_slot(prompt: str, subject: str) -> str:
    """The prompt with `{}` for the subject, and without the article that its name takes."""
    if SUBJECT_SLOT not in prompt and subject and subject in prompt:
        prompt = prompt.replace(subject, SUBJECT_SLOT, 1)
    return prompt.replace(f"the {SUBJECT_SLOT}", SUBJECT_SLOT).replace(f"The {SUBJECT_SLOT}", SUBJECT_SLOT)


def _relation(asked: str, subject: WorldSubject | None, given: str | None) -> tuple[str, str | None] | None:
    """The relation, and the prompt to complete to, None where any will do; None if nothing fits.

    A prompt as it stands comes before one that begins so; then what the subject has facts for.
    """
    if not asked:
        own = (one.relation for one in WORDINGS if subject is not None and one.relation in subject.facts)
        first = given or next(own, None)
        return (first, None) if first else None
    key = folded(asked)
    wordings = [one for one in _wordings() if given in (None, one[0]) and one[2].startswith(key)]
    wordings.sort(key=lambda one: (one[2] != key, subject is None or one[0] not in subject.facts))
    if wordings:
        return wordings[0][0], wordings[0][1]
    return (given, asked if SUBJECT_SLOT in asked else None) if given else None


@cache
def _wordings() -> tuple[tuple[str, str, str], ...]:
    """(relation, text, text folded) of every way to ask that is known."""
    return tuple((relation, one, folded(one)) for relation, one in _every_wording())


def _every_wording() -> Iterator[tuple[str, str]]:
    for wording in WORDINGS:
        yield from ((wording.relation, one) for one in (*wording.prompts, *wording.paraphrases))
    for relation in RELATIONS.values():
        yield relation.id, relation.prompt
        yield from ((relation.id, one) for one in wordings_of(relation.id))


def _paraphrases(relation: str, name: str, asked: str) -> tuple[str, ...]:
    """Other ways to ask about a name that the built-in facts do not have."""
    if not name:
        return ()
    others = [one for one in wordings_of(relation) if folded(one) != folded(asked)]
    return tuple(one.replace(SUBJECT_SLOT, name) for one in others[:PARAPHRASES])


def _targets(subject: WorldSubject | None, relation: str, name: str) -> tuple[str, ...]:
    """Some values that others have, in an order of the name's own."""
    false = [one for one in world_values(relation) if subject is None or not subject.allows(relation, one)]
    return tuple(random.Random(f"{relation}:{folded(name)}").sample(false, min(TARGETS, len(false))))
