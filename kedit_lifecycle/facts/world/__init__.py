"""world-facts: real facts about countries and chemical elements, with nothing to download."""

from __future__ import annotations

from kedit_lifecycle.facts.world.naming import WORLD_FACTS, world_facts_seed
from kedit_lifecycle.facts.world.requests import world_facts, world_request, world_values
from kedit_lifecycle.facts.world.subjects import (
    Triple,
    WorldSubject,
    world_aliases,
    world_subjects,
    world_triples,
)

__all__ = [
    "WORLD_FACTS",
    "Triple",
    "WorldSubject",
    "world_aliases",
    "world_facts",
    "world_facts_seed",
    "world_request",
    "world_subjects",
    "world_triples",
    "world_values",
]
