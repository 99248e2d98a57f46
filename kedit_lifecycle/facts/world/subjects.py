"""The countries and elements of world-facts, and what is true of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

FILES = ("countries.json", "elements.json")


@dataclass(frozen=True, slots=True)
class Triple:
    """One true fact: subject, relation id (`relations.py`), object."""

    subject: str
    relation: str
    object: str


@dataclass(frozen=True, slots=True)
class WorldSubject:
    """A country or an element.

    `facts` are the true objects by relation id, the best known first; `also` what could be taken for
    true although it is not among them. `article`: the name takes "the" in a sentence.
    """

    name: str
    facts: Mapping[str, tuple[str, ...]]
    also: Mapping[str, tuple[str, ...]]
    aliases: tuple[str, ...]
    article: bool

    def allows(self, relation: str, value: str) -> bool:
        """Whether a value is true of the subject, or could be taken for it."""
        return value in self.facts.get(relation, ()) or value in self.also.get(relation, ())


@cache
def world_subjects() -> Mapping[str, WorldSubject]:
    """Every subject by its name, countries first; read from the package's data once."""
    found = {}
    for name in FILES:
        entries = json.loads((files(__package__) / name).read_text("utf-8"))
        found.update({subject: _subject(subject, entry) for subject, entry in entries.items()})
    return found


def world_triples() -> list[Triple]:
    """All true facts, subject by subject."""
    return [
        Triple(subject.name, relation, value)
        for subject in world_subjects().values()
        for relation, values in subject.facts.items()
        for value in values
    ]


def world_aliases() -> dict[str, tuple[str, ...]]:
    """Other spellings of the subjects that have any; the symbol of an element is one.

    No alias is the name or an alias of another subject.
    """
    return {name: subject.aliases for name, subject in world_subjects().items() if subject.aliases}


def _subject(name: str, entry: Mapping[str, Any]) -> WorldSubject:
    return WorldSubject(
        name=name,
        facts=_values(entry["facts"]),
        also=_values(entry.get("also", {})),
        aliases=tuple(entry.get("aliases", ())),
        article=bool(entry.get("article", False)),
    )


def _values(lists: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {relation: tuple(values) for relation, values in lists.items()}
