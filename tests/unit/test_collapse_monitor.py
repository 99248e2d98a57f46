"""The state of a model over simulated series: sound, creeping, collapsing, broken, recovering."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedit_lifecycle.checks.collapse import (
    Health,
    HealthLimits,
    HealthMonitor,
    collapse_check,
    health_of,
    health_series,
)
from kedit_lifecycle.errors import UsageError

pytestmark = pytest.mark.unit

LIMITS = HealthLimits()
SEEDS = range(25)
Readings = list[tuple[int, dict[str, float]]]


def series(ratios: Sequence[float], measure: str = "perplexity") -> Readings:
    return [(version, {measure: ratio}) for version, ratio in enumerate(ratios, 1)]


def states(readings: Readings, limits: HealthLimits = LIMITS) -> list[Health]:
    return [health for _, health in health_series(readings, limits)]


def creeping(
    seed: int, deviation: float, *, edits: int = 200, end: float = 1.05, keep: float = 0.0
) -> list[float]:
    """From 1 to `end`, with noise of which `keep` is carried from one edit to the next."""
    generator, error, ratios = random.Random(seed), 0.0, []
    for edit in range(1, edits + 1):
        error = keep * error + math.sqrt(1 - keep**2) * generator.gauss(0, deviation)
        ratios.append(math.exp(math.log(end) * edit / edits + error))
    return ratios


def collapsing(seed: int, sound: int, edits: int, deviation: float = 0.005) -> list[float]:
    """`sound` edits around 1, then from 1 to 2 within `edits` more."""
    generator = random.Random(seed)
    growth = [0.0] * sound + [math.log(2) * edit / edits for edit in range(1, edits + 1)]
    return [math.exp(one + generator.gauss(0, deviation)) for one in growth]


def first(found: Sequence[bool]) -> int:
    """The version of the first that is true."""
    return found.index(True) + 1


@pytest.mark.parametrize("deviation", [0.0, 0.002, 0.005, 0.01])
@pytest.mark.parametrize("seed", SEEDS)
def test_no_alarm_on_a_sound_run_of_two_hundred_edits(seed: int, deviation: float) -> None:
    assert set(states(series(creeping(seed, deviation)))) == {Health("healthy", None, ())}


@pytest.mark.parametrize("seed", SEEDS)
def test_no_alarm_where_noise_is_carried_from_edit_to_edit(seed: int) -> None:
    assert {one.state for one in states(series(creeping(seed, 0.005, keep=0.8)))} == {"healthy"}


def test_no_alarm_on_a_sound_run_of_all_measures() -> None:
    generator = random.Random(7)
    monitor = HealthMonitor(LIMITS)
    for edit, ratio in enumerate(creeping(7, 0.005), 1):
        values = {
            "perplexity": ratio,
            "drift": 0.04 * edit / 200 + abs(generator.gauss(0, 0.005)),
            "diversity": max(0.0, generator.gauss(0.03, 0.02)),
            "retention": generator.choice([0.0, 0.0, 1 / 6, 1 / 3]),
            "neighborhood": generator.choice([0.0, 0.0, 0.1, 0.5]),
            "weight_change": 0.004 * edit,
            "efficacy": generator.choice([0.0, 0.0, 0.0, 1.0]),
        }
        if edit % 10 == 0:
            values["degeneracy"] = max(0.0, generator.gauss(0.0, 0.05))
        assert monitor.add(edit, values).state == "healthy"


@pytest.mark.parametrize("edits", [5, 20, 60, 150])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_collapse_is_called_at_once_and_seen_coming(seed: int, edits: int) -> None:
    ratios = collapsing(seed, 30, edits)
    found = states(series(ratios))
    passed = first([ratio > 1.5 for ratio in ratios])
    assert passed <= first([one.state == "collapsed" for one in found]) <= passed + 3
    noticed = first([one.state == "degrading" for one in found])
    assert noticed > 30
    if edits >= 20:
        assert passed - noticed > 0.3 * edits  # it takes 0.58 of the edits to 1.5 ×
    else:
        assert noticed < passed


@pytest.mark.parametrize("edits", [5, 20, 60])
@pytest.mark.parametrize("seed", SEEDS)
def test_since_is_where_it_began_and_not_where_it_was_noticed(seed: int, edits: int) -> None:
    found = states(series(collapsing(seed, 30, edits)))
    noticed = first([one.state != "healthy" for one in found])
    collapse = next(one for one in found if one.state == "collapsed")
    for health in (found[noticed - 1], collapse):
        assert health.since is not None
        assert 29 <= health.since < noticed
        assert health.since <= 31 + 0.2 * edits  # the rise passes the allowance at 0.08 of the edits


def test_a_jump_over_the_limit_is_a_collapse_from_that_edit_on() -> None:
    found = states(series([1.0, 1.01, 1.0, 1.8, 1.9]))
    assert [one.state for one in found] == ["healthy"] * 3 + ["collapsed"] * 2
    assert [one.since for one in found[3:]] == [4, 4]
    assert "perplexity 1.8 above 1.5 at version 4" in found[3].reasons


def test_a_single_spike_below_the_limit_is_no_alarm_and_two_are() -> None:
    assert {one.state for one in states(series([1.0] * 20 + [1.4] + [1.0] * 20))} == {"healthy"}
    found = states(series([1.0] * 20 + [1.2, 1.25] + [1.0] * 5))
    assert [one.state for one in found[20:23]] == ["healthy", "degrading", "healthy"]
    assert found[21].since == 21
    assert found[-1] == Health()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_a_perplexity_that_is_no_number_is_a_collapse(value: float) -> None:
    found = states(series([1.0, 1.0, value, 1.0, 1.0, 1.0]))
    assert [one.state for one in found] == ["healthy", "healthy", "collapsed"] + ["healthy"] * 3
    assert found[2].since == 3
    assert "perplexity is" in found[2].reasons[0]


def test_broken_readings_do_not_stay_in_the_detectors() -> None:
    found = states(series([1.0] * 10 + [math.nan] * 30 + [1.0] * 3))
    assert found[39].state == "collapsed"
    assert found[39].since == 11
    assert found[-1] == Health()


def test_a_measure_that_is_not_taken_keeps_what_it_said_last() -> None:
    readings: Readings = [
        (1, {"perplexity": 1.0, "degeneracy": 0.0}),
        (2, {"degeneracy": 0.9}),
        (3, {"perplexity": 1.0}),
        (4, {}),
        (9, {"degeneracy": 0.0}),
    ]
    found = states(readings)
    assert [one.state for one in found] == ["healthy", "collapsed", "collapsed", "collapsed", "healthy"]
    assert found[3].since == 2


@pytest.mark.parametrize("gap", [2, 5, 10])
def test_gaps_lose_no_collapse(gap: int) -> None:
    ratios = collapsing(3, 30, 60)
    readings: Readings = [
        (version, {"perplexity": ratio} if version % gap == 0 else {})
        for version, ratio in enumerate(ratios, 1)
    ]
    found = states(readings)
    taken = [version for version, ratio in enumerate(ratios, 1) if version % gap == 0 and ratio > 1.5]
    assert first([one.state == "collapsed" for one in found]) == taken[0]
    assert found[-1].since is not None
    assert found[-1].since % gap == 0


def test_a_rollback_that_drops_the_bad_versions_drops_their_state() -> None:
    ratios = collapsing(5, 40, 30)
    readings = series(ratios)
    collapsed = states(readings)[-1]
    assert collapsed.state == "collapsed"
    assert collapsed.since is not None
    left = [one for one in readings if one[0] < collapsed.since]
    assert health_of(left, LIMITS) == Health()
    after = [(one[0] + 100, one[1]) for one in series([1.0] * 50)]
    assert {one.state for one in states(left + after)} == {"healthy"}


def test_a_revert_that_is_a_new_version_is_healthy_within_two_readings() -> None:
    readings = series(collapsing(5, 40, 30) + [1.01] * 20 + [1.2] * 5)
    found = states(readings)
    assert found[69].state == "collapsed"
    assert found[70].state != "collapsed"
    assert {one.state for one in found[71:90]} == {"healthy"}
    assert found[-1].state == "degrading"
    assert found[-1].since == 91


def test_page_hinkley_finds_a_lasting_step_that_cusum_allows() -> None:
    generator = random.Random(1)
    ratios = [math.exp(generator.gauss(0, 0.003)) for _ in range(40)]
    ratios += [1.055 * math.exp(generator.gauss(0, 0.003)) for _ in range(40)]
    health = next(one for one in states(series(ratios)) if one.state != "healthy")
    assert "Page–Hinkley" in health.reasons[0]
    assert health.since == pytest.approx(41, abs=2)


def test_a_measure_that_marks_degrading_never_says_collapsed() -> None:
    found = states(series([0.0, 5.0, math.inf], "drift"))
    assert [one.state for one in found] == ["healthy", "degrading", "degrading"]


@pytest.mark.parametrize("measure", ["retention", "neighborhood", "weight_change", "efficacy"])
def test_what_is_about_an_edit_marks_nothing(measure: str) -> None:
    assert {one.state for one in states(series([1.0, 2.0, math.nan] * 10, measure))} == {"healthy"}


def test_a_collapse_names_its_own_beginning_and_then_the_other_reasons() -> None:
    readings: Readings = [(version, {"drift": 0.2, "perplexity": 1.0}) for version in range(1, 6)]
    health = health_of([*readings, (6, {"drift": 0.2, "perplexity": 1.7})], LIMITS)
    assert (health.state, health.since) == ("collapsed", 6)
    assert health.reasons[0].startswith("perplexity")
    assert any(reason.startswith("drift") for reason in health.reasons)


def test_the_first_of_several_troubles_says_since_when() -> None:
    readings: Readings = [
        (version, {"perplexity": 1.2 if version >= 9 else 1.0, "drift": 0.2 if version >= 5 else 0.0})
        for version in range(1, 13)
    ]
    health = health_of(readings, LIMITS)
    assert (health.state, health.since) == ("degrading", 5)
    assert {reason.split()[0] for reason in health.reasons} == {"perplexity", "drift"}


VALUES = st.one_of(st.floats(0.5, 3), st.sampled_from([math.nan, math.inf]))
MEASURES = st.dictionaries(st.sampled_from(sorted(LIMITS.measures)), VALUES, max_size=4)


@given(st.lists(MEASURES, max_size=30), st.integers(0, 30))
def test_state_follows_from_the_series_alone(values: list[dict[str, float]], cut: int) -> None:
    readings = list(enumerate(values, 1))
    monitor = HealthMonitor(LIMITS)
    one_by_one = [monitor.add(*reading) for reading in readings]
    assert one_by_one == states(readings)
    assert health_of(readings[:cut], LIMITS) == ([Health(), *one_by_one])[min(cut, len(readings))]
    for version, health in zip(range(1, len(readings) + 1), one_by_one, strict=True):
        assert (health.since is None) == (health.state == "healthy") == (not health.reasons)
        assert health.since is None or 1 <= health.since <= version
        json.dumps(asdict(health))


def test_versions_come_in_order() -> None:
    monitor = HealthMonitor(LIMITS)
    monitor.add(4, {})
    with pytest.raises(UsageError, match="version 4 does not come after version 4"):
        monitor.add(4, {})


def test_an_unknown_measure_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="perplexitty"):
        HealthMonitor(LIMITS).add(1, {"perplexitty": 1.0})


def test_the_state_as_a_check() -> None:
    assert collapse_check(Health()).verdict == "pass"
    assert collapse_check(Health("degrading", 4, ("perplexity rising",))).verdict == "warn"
    result = collapse_check(Health("collapsed", 7, ("perplexity 1.7 above 1.5 at version 9",)))
    assert (result.check, result.verdict) == ("collapse", "fail")
    assert result.message == "collapsed since version 7: perplexity 1.7 above 1.5 at version 9"
    assert result.detail["since"] == 7


def test_a_rise_to_a_level_that_may_be_held_for_ever_is_no_alarm() -> None:
    """Page–Hinkley sees a late creep from 0.99 to 1.055 as a rise; at that level nothing is degrading."""
    ratios = [0.99] * 80 + [0.99 + 0.065 * step / 40 for step in range(41)] + [1.055] * 80
    series = [(version, {"perplexity": ratio}) for version, ratio in enumerate(ratios, 1)]
    assert {health.state for _, health in health_series(series, HealthLimits())} == {"healthy"}
    further = [
        *series,
        *((len(series) + step, {"perplexity": 1.055 + 0.004 * step}) for step in range(1, 15)),
    ]
    states = [health.state for _, health in health_series(further, HealthLimits())]
    assert states[-1] == "degrading"
    assert states.index("degrading") < len(further) - 3  # while it is still below the limit of 1.1
