"""The health of a line, and what held when it was measured again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from query_store import ask, commit, health_checks, new_store, score
from small_store import WHO, request

from kedit_lifecycle.engine.queries.health import evenly
from kedit_lifecycle.ledger.records import CheckDraft
from kedit_lifecycle.ledger.store import Store

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path / "store") as made:
        yield made


def test_series_are_what_the_checks_measured_on_the_line(store: Store) -> None:
    commit(store, "one", checks=health_checks(1.0))
    commit(store, "two", checks=health_checks(9.0))
    store.move("1", kind="rollback", **WHO)
    more = [
        CheckDraft("neighborhood", "pass", "changed", 0.25, 0.34, 0.67),
        CheckDraft("drift", "pass", "drifts", 0.05, 0.1, 0.4),
        CheckDraft("weight_change", "pass", "moved", 0.07, 0.5, 1.0),
    ]
    commit(store, "three", checks=[*more, *health_checks(1.2, "degrading", lost=(1,), since=3)])
    commit(store, "four")  # not checked
    view = ask(store, "/health")
    assert [point.number for point in view.points] == [1, 3]
    last = view.points[-1]
    assert (last.perplexity, last.drift, last.weight_change) == (1.2, 0.05, 0.07)
    assert (last.retention, last.locality, last.state) == (0.75, 0.75, "degrading")
    assert view.points[0].drift is None
    limits = {limit.series: (limit.warn, limit.fail) for limit in view.limits}
    assert limits["perplexity"] == (1.1, 1.5)
    assert limits["drift"] == (0.1, 0.4)
    assert limits["retention"] == pytest.approx((0.66, 0.33))
    assert limits["locality"] == pytest.approx((0.66, 0.33))
    assert (view.state, view.since, view.reasons) == ("degrading", 3, ("it is degrading",))
    assert [point.number for point in ask(store, "/health", ref="2").points] == [1, 2]


def test_of_a_long_line_as_many_points_as_asked_for_its_tip_among_them(store: Store) -> None:
    for number in range(1, 31):
        commit(store, f"City {number}", checks=health_checks(1 + number / 100))
    assert [point.number for point in ask(store, "/health").points] == list(range(1, 31))
    few = [point.number for point in ask(store, "/health", points=4).points]
    assert few == [1, 11, 20, 30]
    assert [point.number for point in ask(store, "/health", points=1).points] == [30]
    assert [point.number for point in ask(store, "/health", ref="HEAD~10", points=3).points] == [1, 10, 20]


def test_the_health_of_the_unedited_model_is_empty(store: Store) -> None:
    view = ask(store, "/health")
    assert (view.points, view.limits, view.state, view.since) == ((), (), "healthy", None)


@pytest.mark.parametrize(("first", "last", "most"), [(1, 0, 5), (1, 1, 1), (1, 10, 10), (3, 1_000_000, 500)])
def test_numbers_are_taken_evenly(first: int, last: int, most: int) -> None:
    taken = evenly(first, last, most)
    assert len(taken) == min(most, last - first + 1)
    assert taken == sorted(set(taken))
    if taken:
        assert taken[-1] == last
        assert taken[0] == first
    gaps = {after - before for before, after in pairwise(taken)}
    assert len(gaps) <= 2


def test_what_was_measured_again_is_a_matrix(store: Store) -> None:
    for label in ("one", "two", "three", "four"):
        commit(store, label, metrics=[score("efficacy", 0.0, 0, 0), score("efficacy", 1.0)])
    store.add_metrics(1, [score("efficacy", 0.5, 0, 3), score("paraphrase", 0.1, 0, 3)], **WHO)
    store.add_metrics(2, [score("efficacy", 0.0, 0, 4)], **WHO)
    view = ask(store, "/retention")
    assert (view.rows, view.columns) == ((1, 2), (1, 2, 3, 4))
    assert view.values == ((1.0, None, 0.5, None), (None, 1.0, None, 0.0))


def test_a_fact_holds_where_it_matches_exactly_too(store: Store) -> None:
    pair = [request("Lyon", "Rome"), request("Nice", "Oslo")]
    now = [score(metric, 1.0, place) for metric in ("efficacy", "exact_match") for place in (0, 1)]
    commit(store, "two", requests=pair, metrics=now)
    commit(store, "other")
    later = [score("efficacy", 1.0, 0, 2), score("exact_match", 0.0, 0, 2), score("exact_match", 1.0, 1, 2)]
    store.add_metrics(1, later, **WHO)
    assert ask(store, "/retention").values == ((1.0, 0.5),)


def test_what_a_retention_check_lost_is_in_the_matrix(store: Store) -> None:
    commit(store, "one")
    pair = [request("Lyon", "Rome"), request("Nice", "Rome")]
    commit(store, "two", requests=pair, metrics=[score("efficacy", 1.0)])
    commit(store, "three", checks=health_checks(1.0, lost=(1, 2)))
    view = ask(store, "/retention")
    assert (view.rows, view.columns) == ((1, 2), (2, 3))
    assert view.values == ((None, 0.0), (1.0, 0.5))


def test_a_measurement_comes_before_what_a_check_says(store: Store) -> None:
    commit(store, "one")
    commit(store, "two", checks=health_checks(1.0, lost=(1,)))
    store.add_metrics(1, [score("efficacy", 1.0, 0, 2)], **WHO)
    assert ask(store, "/retention").values == ((1.0,),)


def test_other_lines_are_not_in_the_matrix(store: Store) -> None:
    commit(store, "one")
    commit(store, "two")
    store.add_metrics(1, [score("efficacy", 0.5, 0, 2)], **WHO)
    store.move("1", kind="rollback", **WHO)
    commit(store, "three")
    store.add_metrics(1, [score("efficacy", 0.25, 0, 3)], **WHO)
    assert ask(store, "/retention").columns == (3,)
    assert ask(store, "/retention", ref="2").columns == (2,)


def test_a_large_matrix_is_thinned(store: Store) -> None:
    for number in range(12):
        commit(store, f"City {number}", metrics=[score("efficacy", 1.0)])
    for number in range(1, 12):
        store.add_metrics(number, [score("efficacy", 0.5, 0, 12)], **WHO)
    view = ask(store, "/retention", points=4)
    assert len(view.rows) == len(view.values) == 4
    assert len(view.columns) == 4
    assert (view.rows[-1], view.columns[-1]) == (11, 12)
    assert all(row[-1] == 0.5 for row in view.values)


def test_nothing_measured_again_is_an_empty_matrix(store: Store) -> None:
    assert ask(store, "/retention").values == ()
    commit(store, "one", metrics=[score("efficacy", 1.0)])
    assert ask(store, "/retention").rows == ()
