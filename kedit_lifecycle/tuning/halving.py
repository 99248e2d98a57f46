"""Successive halving within a budget of time (Jamieson & Talwalkar 2016): a schedule, and nothing else.

Many candidates are tried on little, the best third of them on more, and so on. Each rung has a share
of the time; what one leaves goes to the next, and one that runs out of it is cut short, and passes on
the best of those it tried.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

DEFAULT = 0  # the candidate that every rung tries, and first
ETA = 3


class OutOfTime(Exception):  # noqa: N818 - no error: it ends a rung
    """Raised by an attempt that found its time used up; its result does not count."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the schedule: how many edits a trial has, the rung's share of the time, whose facts."""

    edits: int
    share: float
    held_out: bool = False


Attempt: TypeAlias = Callable[[int, int, Callable[[], bool]], float | None]
"""(candidate, rung, whether time is up) -> score, higher is better; None where the candidate failed."""


@dataclass(frozen=True, slots=True)
class RungOutcome:
    """What a rung meant to try, and the scores of those it did, in the order tried; None is a failure."""

    planned: tuple[int, ...]
    scores: Mapping[int, float | None]

    @property
    def complete(self) -> bool:
        """Whether all were tried."""
        return len(self.scores) == len(self.planned)

    def ranked(self) -> list[int]:
        """The candidates that did not fail, best first; of equals, the one drawn first."""
        passed = [(-score, candidate) for candidate, score in self.scores.items() if score is not None]
        return [candidate for _, candidate in sorted(passed)]


@dataclass(frozen=True, slots=True)
class Search:
    """How a search went, rung by rung."""

    rungs: tuple[RungOutcome, ...]

    @property
    def deciding(self) -> int:
        """The rung that decides: the last one completed, else the first."""
        return max((place for place, rung in enumerate(self.rungs) if rung.complete), default=0)

    @property
    def winner(self) -> int | None:
        """The best of the deciding rung that failed in none after it; None if there is no such."""
        later = self.rungs[self.deciding + 1 :]
        failed = {candidate for rung in later for candidate, score in rung.scores.items() if score is None}
        return next((one for one in self.rungs[self.deciding].ranked() if one not in failed), None)


def plan_rungs(edits: int) -> tuple[Rung, ...]:
    """A quarter and three quarters of `edits` on the tuning facts, all of them on the held-out ones."""
    return (
        Rung(math.ceil(edits / 4), share=0.35),
        Rung(math.ceil(edits * 3 / 4), share=0.4),
        Rung(edits, share=0.25, held_out=True),
    )


def successive_halving(
    candidates: int,
    rungs: Sequence[Rung],
    attempt: Attempt,
    *,
    seconds: float,
    eta: int = ETA,
    clock: Callable[[], float] = time.monotonic,
    began: float | None = None,
    on_rung: Callable[[int, int], None] = lambda rung, planned: None,
) -> Search:
    """Try candidates 0 … `candidates` − 1 by rungs for at most `seconds` since `began` (default: now).

    Candidate 0, the default, is tried first in every rung, so that the others have something to be
    compared with. No attempt begins after the rung's time, and one under way can ask. `on_rung` hears of
    each rung that begins, and how many candidates it will try.
    """
    start = clock() if began is None else began
    outcomes: list[RungOutcome] = []
    planned, share = tuple(range(candidates)), 0.0
    for place, rung in enumerate(rungs):
        share += rung.share
        end = start + seconds * min(share, 1.0)
        on_rung(place, len(planned))
        outcomes.append(_climb(place, planned, attempt, lambda end=end: clock() >= end))  # type: ignore[misc]
        planned = _survivors(outcomes[-1], eta)
        if not planned:
            break
    return Search(tuple(outcomes))


def _climb(
    place: int, planned: tuple[int, ...], attempt: Attempt, expired: Callable[[], bool]
) -> RungOutcome:
    scores: dict[int, float | None] = {}
    for candidate in planned:
        if expired():
            break
        try:
            scores[candidate] = attempt(candidate, place, expired)
        except OutOfTime:
            break
    return RungOutcome(planned, scores)


def _survivors(outcome: RungOutcome, eta: int) -> tuple[int, ...]:
    """The default, and beside it the best of `eta` of those tried; nobody where all failed."""
    ranked = outcome.ranked()
    others = [one for one in ranked if one != DEFAULT]
    return (DEFAULT, *others[: max(1, len(outcome.scores) // eta)]) if ranked else ()
