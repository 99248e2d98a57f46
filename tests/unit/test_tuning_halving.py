"""The schedule of a search, on a clock that the test moves and an objective it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from kedit_lifecycle.tuning.halving import (
    OutOfTime,
    Rung,
    RungOutcome,
    Search,
    plan_rungs,
    successive_halving,
)

pytestmark = pytest.mark.unit

RUNGS = (Rung(5, 0.4), Rung(15, 0.4), Rung(20, 0.2, held_out=True))


@dataclass
class World:
    """A clock, and attempts that take `cost` seconds an edit and score what `score` says."""

    score: Callable[[int, int], float | None]
    cost: float = 1.0
    now: float = 100.0
    tried: list[tuple[int, int]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def attempt(self, candidate: int, rung: int, expired: Callable[[], bool]) -> float | None:
        for _ in range(RUNGS[rung].edits):
            if expired():
                raise OutOfTime
            self.now += self.cost
        self.tried.append((rung, candidate))
        return self.score(candidate, rung)

    def search(self, candidates: int, seconds: float) -> Search:
        return successive_halving(candidates, RUNGS, self.attempt, seconds=seconds, clock=self.clock)


def _closest_to(best: int) -> Callable[[int, int], float]:
    return lambda candidate, rung: -float(abs(candidate - best))


@pytest.mark.parametrize("best", [0, 1, 13, 26])
def test_the_best_candidate_wins(best: int) -> None:
    search = World(_closest_to(best)).search(27, 1e6)
    assert search.winner == best
    assert search.deciding == 2
    assert all(rung.complete for rung in search.rungs)


def test_each_rung_keeps_the_best_third_and_the_default_which_goes_first() -> None:
    search = World(_closest_to(20)).search(27, 1e6)
    assert [len(rung.planned) for rung in search.rungs] == [27, 10, 4]  # a third, and the default
    assert all(rung.planned[0] == 0 for rung in search.rungs)
    assert set(search.rungs[1].planned) == {0, *range(16, 25)}
    assert search.rungs[2].planned[:2] == (0, 20)


def test_the_held_out_rung_alone_decides_among_the_finalists() -> None:
    def score(candidate: int, rung: int) -> float:
        return float(candidate) if rung < 2 else -float(candidate)

    search = World(score).search(9, 1e6)
    assert search.rungs[2].planned == (0, 8)
    assert search.winner == 0


def test_a_default_that_leads_still_meets_a_challenger_on_the_held_out_facts() -> None:
    search = World(_closest_to(0)).search(5, 1e6)
    assert [rung.planned for rung in search.rungs] == [(0, 1, 2, 3, 4), (0, 1), (0, 1)]
    assert search.winner == 0


def test_of_equals_the_default_wins() -> None:
    assert World(lambda candidate, rung: 0.5).search(27, 1e6).winner == 0


@pytest.mark.parametrize("seconds", [3.0, 40.0, 100.0, 300.0, 354.0])
def test_the_budget_is_honoured(seconds: float) -> None:
    world = World(_closest_to(5))
    search = world.search(27, seconds)
    assert world.now - 100 <= seconds + world.cost
    assert not all(rung.complete for rung in search.rungs)


def test_an_unhurried_search_needs_no_more_than_its_edits() -> None:
    world = World(_closest_to(5))
    world.search(27, 1e6)
    assert world.now - 100 == 27 * 5 + 10 * 15 + 4 * 20


def test_a_rung_that_runs_out_of_its_share_passes_on_the_best_of_those_it_tried() -> None:
    world = World(_closest_to(3))
    search = world.search(27, 100)  # 40 s: 8 candidates of 5 edits
    assert len(search.rungs[0].scores) == 8
    assert not search.rungs[0].complete
    assert search.rungs[1].planned == (0, 3, 2)
    assert search.winner == 3


def test_the_last_completed_rung_decides_and_else_the_first() -> None:
    cut_last = Search(
        (
            RungOutcome((0, 1, 2), {0: 0.1, 1: 0.2, 2: 0.3}),
            RungOutcome((0, 2, 1), {0: 0.1, 2: 0.2, 1: 0.3}),
            RungOutcome((0, 1), {0: 0.9}),
        )
    )
    assert (cut_last.deciding, cut_last.winner) == (1, 1)
    cut_first = Search((RungOutcome((0, 1, 2), {0: 0.1, 1: 0.2}),))
    assert (cut_first.deciding, cut_first.winner) == (0, 1)


def test_a_candidate_that_fails_later_does_not_win_by_an_earlier_rung() -> None:
    search = Search(
        (RungOutcome((0, 1, 2), {0: 0.1, 1: 0.2, 2: 0.3}), RungOutcome((0, 2, 1), {0: 0.1, 2: None}))
    )
    assert (search.deciding, search.winner) == (0, 1)


def test_failures_are_never_kept_and_nobody_wins_where_all_fail() -> None:
    some = World(lambda candidate, rung: None if candidate % 2 else float(candidate)).search(9, 1e6)
    assert some.winner == 8
    assert not [one for one in some.rungs[1].planned if one % 2]
    none = World(lambda candidate, rung: None).search(9, 1e6)
    assert none.winner is None
    assert len(none.rungs) == 1


def test_a_failed_default_still_stands_beside_the_others() -> None:
    search = World(lambda candidate, rung: float(candidate) if candidate else None).search(9, 1e6)
    assert [rung.planned[0] for rung in search.rungs] == [0, 0, 0]
    assert search.winner == 8


def test_without_time_nothing_is_tried() -> None:
    search = World(_closest_to(0)).search(27, 0.0)
    assert search.winner is None
    assert not search.rungs[0].scores


def test_the_same_search_is_the_same() -> None:
    first, second = World(_closest_to(7)), World(_closest_to(7))
    assert first.search(27, 200) == second.search(27, 200)
    assert first.tried == second.tried


def test_time_used_before_counts() -> None:
    world = World(_closest_to(0))
    search = successive_halving(27, RUNGS, world.attempt, seconds=50, clock=world.clock, began=40.0)
    assert not search.rungs[0].scores


def test_whoever_asks_hears_of_each_rung() -> None:
    heard: list[tuple[int, int]] = []
    world = World(_closest_to(20))
    successive_halving(
        27,
        RUNGS,
        world.attempt,
        seconds=1e6,
        clock=world.clock,
        on_rung=lambda rung, planned: heard.append((rung, planned)),
    )
    assert heard == [(0, 27), (1, 10), (2, 4)]


def test_the_rungs_grow_with_the_edits_asked_for() -> None:
    assert [rung.edits for rung in plan_rungs(20)] == [5, 15, 20]
    assert [rung.edits for rung in plan_rungs(1)] == [1, 1, 1]
    assert [rung.held_out for rung in plan_rungs(20)] == [False, False, True]
    assert sum(rung.share for rung in plan_rungs(20)) == pytest.approx(1)
