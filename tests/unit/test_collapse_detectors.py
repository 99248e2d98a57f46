"""CUSUM against its definition, Page–Hinkley against river, and both against known change points."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedit_lifecycle.checks.collapse.detectors import Cusum, Detector, PageHinkley

pytestmark = pytest.mark.unit

READINGS = st.lists(st.floats(-3, 3, allow_nan=False), max_size=40)


def noise(seed: int, count: int, mean: float = 0.0, deviation: float = 0.1) -> list[float]:
    generator = random.Random(seed)
    return [generator.gauss(mean, deviation) for _ in range(count)]


def feed(detector: Detector, values: list[float]) -> int | None:
    """The place of the reading that raised the alarm."""
    for at, value in enumerate(values):
        detector.update(value, at)
        if detector.alarm:
            return at
    return None


@given(READINGS, st.floats(0, 1), st.floats(-1, 1))
def test_cusum_is_the_largest_sum_up_to_now(values: list[float], allowance: float, target: float) -> None:
    cusum = Cusum(allowance, threshold=2.0, target=target)
    for at, value in enumerate(values):
        cusum.update(value, at)
        sums = [sum(x - target - allowance for x in values[j : at + 1]) for j in range(at + 1)]
        assert cusum.statistic == pytest.approx(max(0.0, *sums), abs=1e-9)
        assert cusum.alarm == (cusum.statistic > 2.0)


def test_cusum_says_where_the_rise_began() -> None:
    cusum = Cusum(allowance=0.5, threshold=2.0)
    assert feed(cusum, [0.0, 0.9, 0.0, 0.0, 1.5, 1.5, 1.5]) == 6
    assert cusum.onset == 4


def test_cusum_has_no_onset_while_its_sum_is_zero() -> None:
    cusum = Cusum(allowance=0.5, threshold=2.0)
    assert feed(cusum, [0.0, 1.0, 0.0]) is None
    assert cusum.onset is None


@pytest.mark.parametrize("make", [lambda: Cusum(0.5, 3.0), lambda: PageHinkley(0.25, 3.0, 10)])
def test_a_rise_is_found_and_dated(make: Any) -> None:
    for seed in range(20):
        detector = make()
        alarm = feed(detector, noise(seed, 60) + noise(seed + 100, 30, mean=1.0))
        assert alarm is not None
        assert 60 <= alarm < 75
        assert detector.onset == pytest.approx(60, abs=2)


@pytest.mark.parametrize("make", [lambda: Cusum(0.5, 3.0), lambda: PageHinkley(0.25, 3.0, 10)])
def test_noise_and_a_fall_raise_no_alarm(make: Any) -> None:
    for seed in range(20):
        assert feed(make(), noise(seed, 300)) is None
        assert feed(make(), noise(seed, 50) + noise(seed, 50, mean=-2.0)) is None


@pytest.mark.parametrize("make", [lambda: Cusum(0.5, 3.0), lambda: PageHinkley(0.25, 3.0, 10)])
def test_after_a_reset_a_detector_is_as_new(make: Any) -> None:
    used, new = make(), make()
    feed(used, noise(1, 20, mean=5.0))
    used.reset()
    for at, value in enumerate(noise(2, 50, mean=0.4)):
        used.update(value, at)
        new.update(value, at)
        assert (used.statistic, used.onset, used.alarm) == (new.statistic, new.onset, new.alarm)


def test_page_hinkley_keeps_the_level_before_the_rise() -> None:
    detector = PageHinkley(0.25, 3.0, 10)
    feed(detector, noise(3, 50, mean=1.0, deviation=0.05) + [2.0] * 10)
    assert detector.alarm
    assert detector.in_control(1.0)
    assert not detector.in_control(1.6)


@pytest.mark.parametrize(
    ("delta", "threshold", "least", "alpha"),
    [(0.005, 50.0, 30, 0.9999), (0.25, 4.0, 10, 0.9999), (0.0, 1.0, 1, 1.0), (0.1, 2.0, 5, 0.9)],
)
def test_page_hinkley_agrees_with_river(delta: float, threshold: float, least: int, alpha: float) -> None:
    """river starts anew with the reading after an alarm; the statistic is compared at every reading."""
    river: Any = pytest.importorskip("river.drift", reason="the oracle, a dev dependency, is not installed")
    alarms = 0
    for seed in range(10):
        theirs = river.PageHinkley(
            min_instances=least, delta=delta, threshold=threshold, alpha=alpha, mode="up"
        )
        ours = PageHinkley(delta, threshold, least, alpha)
        values = noise(seed, 80, deviation=0.5) + noise(seed + 50, 80, 2.0, 0.5) + noise(seed, 40, 5.0)
        for at, value in enumerate(values):
            if ours.alarm:
                alarms += 1
                ours.reset()
            ours.update(value, at)
            theirs.update(value)
            assert ours.statistic == pytest.approx(theirs._sum_increase - theirs._min_increase, abs=1e-9)
            assert ours.alarm == theirs.drift_detected
    assert alarms > 0
