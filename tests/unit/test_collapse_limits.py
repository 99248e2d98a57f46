"""Limits that could not mean anything are refused; part of them may be given."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kedit_lifecycle.checks.collapse import HealthLimits, MeasureLimits

pytestmark = pytest.mark.unit


def test_a_collapse_is_one_and_a_half_times_the_unedited_perplexity() -> None:
    own = HealthLimits().perplexity
    assert (own.warn, own.fail, own.marks, own.scale) == (1.1, 1.5, "collapsed", "log")


def test_every_measure_has_limits_and_says_why() -> None:
    assert set(HealthLimits().measures) == set(HealthLimits.model_fields) - {"detectors"}
    for name, own in HealthLimits().measures.items():
        assert own.warn is not None
        assert own.fail is not None
        assert own.warn < own.fail
        assert len(HealthLimits.model_fields[name].description or "") > 40


def test_what_is_given_goes_over_the_defaults() -> None:
    limits = HealthLimits.model_validate({"perplexity": {"fail": 2.0}, "detectors": {"confirm": 4}})
    assert limits.perplexity == HealthLimits().perplexity.model_copy(update={"fail": 2.0})
    assert limits.detectors.confirm == 4
    assert limits.detectors.recovery == HealthLimits().detectors.recovery
    assert limits.drift == HealthLimits().drift


def test_limits_survive_json() -> None:
    limits = HealthLimits.model_validate({"drift": {"warn": None, "trend": False}})
    assert HealthLimits.model_validate_json(limits.model_dump_json()) == limits
    assert limits.drift.warn is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"perplexity": {"warn": 0.9}}, "at least 1"),
        ({"perplexity": {"warn": 1.6}}, "above fail"),
        ({"perplexity": {"warn": None}}, "units of `warn`"),
        ({"drift": {"warn": 0.0}}, "above 0"),
        ({"drift": {"fail": float("nan")}}, "finite"),
        ({"perplexity": {"wanr": 1.2}}, "wanr"),
        ({"perplexitty": {"warn": 1.2}}, "perplexitty"),
        ({"detectors": {"confirm": 0}}, "confirm"),
    ],
)
def test_limits_that_mean_nothing_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HealthLimits.model_validate(given)


def test_limits_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        MeasureLimits(warn=1.0).warn = 2.0


def test_a_single_reading_is_cut_below_the_threshold_of_cusum() -> None:
    settings = HealthLimits().detectors
    assert settings.clip - settings.cusum_allowance < settings.cusum_threshold
