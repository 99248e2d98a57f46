"""Requests to train the default scope classifier on: invented names in own wordings, and world-facts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from kedit_lifecycle.facts.request import SUBJECT_SLOT, EditRequest
from kedit_lifecycle.facts.world import world_facts
from kedit_lifecycle.memory.scope.rephrasing import rephrased

SOURCE = "kedit scope wordings"
SUBJECTS = 8  # requests by relation
NAMES = 30  # subjects of a kind; fewer than requests, so that most have several relations
PARAPHRASES, NEIGHBORS = 5, 3
WORLD = 80  # world-facts requests beside them


@cache
def _wordings() -> Mapping[str, Any]:
    text = files(__package__).joinpath("wordings.json").read_text(encoding="utf-8")
    parsed: Mapping[str, Any] = json.loads(text)
    return parsed


def unrelated_sentences() -> Sequence[str]:
    """Sentences about nothing in particular, to stand before a question."""
    sentences: Sequence[str] = _wordings()["unrelated"]
    return sentences


def wordings_of(relation: str) -> Sequence[str]:
    """Ways to ask for a declared relation (by id), `{}` for the subject; none of one without any."""
    known: Mapping[str, Any] = _wordings()["relations"].get(relation, {})
    return tuple(known.get("wordings", ()))


def builtin_requests(seed: int = 0) -> list[EditRequest]:
    """About 500 requests of every declared relation, with paraphrases and neighborhood prompts."""
    draw = random.Random(f"{SOURCE}:{seed}")
    names = {kind: _names(kind, draw) for kind in sorted(_kinds())}
    made = [
        request
        for relation, wording in _wordings()["relations"].items()
        for request in _of_relation(relation, wording, names, draw)
    ]
    return [*made, *world_facts(seed)[:WORLD]]


def _kinds() -> set[str]:
    return {wording[end] for wording in _wordings()["relations"].values() for end in ("subject", "object")}


def _names(kind: str, draw: random.Random) -> list[str]:
    lists = _wordings()["names"]
    if kind == "person":
        made = [f"{first} {last}" for first in lists["first"] for last in lists["last"]]
    elif kind == "place":
        made = [form.replace("{}", stem) for stem in lists["place_stem"] for form in lists["place_form"]]
    else:
        made = list(lists[kind])
    distinct = list(dict.fromkeys(made))
    return draw.sample(distinct, min(NAMES, len(distinct)))


def _of_relation(
    relation: str, wording: Mapping[str, Any], names: Mapping[str, Sequence[str]], draw: random.Random
) -> Iterator[EditRequest]:
    kind, people = wording["subject"], names[wording["subject"]]
    written = wording["wordings"]
    prompts = list(dict.fromkeys([*written, *(form for one in written for form in rephrased(one, kind))]))
    for subject in draw.sample(people, min(SUBJECTS, len(people))):
        prompt, *others = draw.sample(prompts, len(prompts))
        neighbors = draw.sample([name for name in people if name != subject], NEIGHBORS)
        yield EditRequest(
            subject=subject,
            prompt=prompt,
            target_new=draw.choice(names[wording["object"]]),
            relation=relation,
            paraphrases=tuple(text.replace(SUBJECT_SLOT, subject) for text in others[:PARAPHRASES]),
            neighborhood=tuple(draw.choice(prompts).replace(SUBJECT_SLOT, name) for name in neighbors),
            source=SOURCE,
        )
