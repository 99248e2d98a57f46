"""world-facts: real facts about countries and chemical elements, with nothing to download."""

from __future__ import annotations

from kedit_lifecycle.facts.world.naming import WORLD_FACTS, world_facts_seed
from kedit_lifecycle.facts.world.requests import world_facts
from kedit_lifecycle.facts.world.subjects import Triple, world_aliases, world_triples

__all__ = ["WORLD_FACTS", "Triple", "world_aliases", "world_facts", "world_facts_seed", "world_triples"]
