"""What an event of the engine means to those who watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import Event

ENDED = frozenset({"done", "refused", "failed", "cancelled"})
"""States of a job that is over."""

LOOKING = frozenset({"ask", "peek", "advise", "route", "check", "verify", "ripple"})
"""Kinds of jobs that leave the store as it is."""

PASSING = frozenset({"ask", "peek", "advise", "route"})
"""Kinds of jobs whose end is seen where they were asked for, and nowhere else."""


def job_ended(event: Event) -> bool:
    """A job is over, well or not."""
    return event.kind == "job" and event.data.get("state") in ENDED


def changes_store(event: Event) -> bool:
    """What the ledger says may be another thing now."""
    if event.kind == "engine":  # some events are gone: anything may have happened
        return bool(event.data.get("gap"))
    return event.kind == "version" or (job_ended(event) and event.data.get("kind") not in LOOKING)
