"""The name that stands for world-facts where a file is expected: `world-facts`, or `world-facts:3`."""

from __future__ import annotations

from pathlib import Path

from kedit_lifecycle.errors import UsageError

WORLD_FACTS = "world-facts"


def world_facts_seed(path: Path | str) -> int | None:
    """The seed that the name asks for, 0 unless given; None where the path is a file's, or any other.

    Raises:
        UsageError: what follows `world-facts:` is no number.
    """
    name, colon, seed = str(path).partition(":")
    if name != WORLD_FACTS or Path(path).exists():
        return None
    if not colon:
        return 0
    if not (seed.isascii() and seed.isdigit() and len(seed) < 20):
        raise UsageError(
            f"{WORLD_FACTS}: the seed must be a number, not {seed!r}", hint=f"for example {WORLD_FACTS}:3"
        )
    return int(seed)
