"""What each measurement is held to, and how the detectors of collapse are set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Marks = Literal["nothing", "degrading", "collapsed"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MeasureLimits(_Strict):
    """The limits of one measurement, of which higher is worse; a value at a limit is within it."""

    warn: float | None = Field(default=None, description="above it the check warns")
    fail: float | None = Field(default=None, description="above it the check fails")
    marks: Marks = Field(
        default="nothing",
        description="what one reading above `fail`, or one that is not a finite number, says of the model",
    )
    trend: bool = Field(
        default=False,
        description="whether the series is watched for a rise: several readings above `warn`, CUSUM and "
        "Page–Hinkley",
    )
    scale: Literal["linear", "log"] = Field(
        default="linear", description="log: a ratio, 1 when all is well; its logarithm is watched"
    )

    @model_validator(mode="after")
    def _sound(self) -> MeasureLimits:
        floor = 1.0 if self.scale == "log" else 0.0
        for limit in (self.warn, self.fail):
            if limit is not None and not (math.isfinite(limit) and limit >= floor):
                raise ValueError(f"a limit must be a finite number of at least {floor:g}")
        if self.warn is not None and self.fail is not None and self.warn > self.fail:
            raise ValueError(f"warn {self.warn:g} is above fail {self.fail:g}")
        if self.trend and (self.warn is None or self.warn == floor):
            raise ValueError(f"a trend is measured in units of `warn`, which must be above {floor:g}")
        return self


class DetectorSettings(_Strict):
    """How a rise is found. Readings are in units of the measurement's `warn` limit: 0 unedited, 1 at it."""

    confirm: int = Field(
        default=2, ge=1, description="readings above `warn` in a row that make a model degrading"
    )
    recovery: int = Field(
        default=2, ge=1, description="readings in a row as before the rise that clear a detector's alarm"
    )
    clip: float = Field(
        default=1.5,
        gt=0,
        description="readings are cut to ± this, so that no single one raises an alarm of CUSUM",
    )
    cusum_allowance: float = Field(
        default=0.6,
        ge=0,
        description="k: the level that may be held for ever, at which no rise counts; at a perplexity limit "
        "of 1.1 it is 1.059 × the unedited model's, so that a run that creeps to 1.05 gives no alarm",
    )
    cusum_threshold: float = Field(
        default=1.5,
        gt=0,
        description="h: alarm after four readings at the limit itself, after two far above it",
    )
    page_hinkley_delta: float = Field(
        default=0.25, ge=0, description="δ: a rise over the running mean that is no change"
    )
    page_hinkley_threshold: float = Field(
        default=4.0, gt=0, description="λ: sum of the rises beyond δ that is an alarm"
    )
    page_hinkley_min_readings: int = Field(default=10, ge=1, description="readings before the first alarm")


def _perplexity() -> MeasureLimits:
    return MeasureLimits(warn=1.1, fail=1.5, marks="collapsed", trend=True, scale="log")


def _drift() -> MeasureLimits:
    return MeasureLimits(warn=0.1, fail=0.4, marks="degrading", trend=True)


class HealthLimits(_Strict):
    """Limits of every per-edit measurement, by the check's name; a field left out keeps its default.

    A mapping given for a measurement changes only the limits it names.
    """

    perplexity: MeasureLimits = Field(
        default_factory=_perplexity,
        description="perplexity on the monitor text divided by the unedited model's. 1.5 × is called a "
        "collapse; 1.1 × is more than two hundred sound edits cost",
    )
    perplexity_step: MeasureLimits = Field(
        default_factory=lambda: MeasureLimits(warn=1.02, fail=1.05, scale="log"),
        description="perplexity divided by the parent's, per fact edited (geometric mean). Two hundred sound "
        "edits are to cost 1.1 × together; one that costs 1.05 × takes half of that alone. It is about one "
        "edit, not about the model, and marks nothing",
    )
    drift: MeasureLimits = Field(
        default_factory=_drift,
        description="mean KL(unedited ‖ edited) in nats per token of the unedited model's own samples. On "
        "these it is the growth of log perplexity: ln 1.1 = 0.095, ln 1.5 = 0.405",
    )
    retention: MeasureLimits = Field(
        default_factory=lambda: MeasureLimits(warn=0.34, fail=0.67),
        description="share of the sampled earlier edits that held when made and hold no more: above a third, "
        "above two thirds. A small sample is too noisy to tell the model's state from, so it marks nothing",
    )
    neighborhood: MeasureLimits = Field(
        default_factory=lambda: MeasureLimits(warn=0.34, fail=0.67),
        description="share of the neighborhood prompts whose next token changed: above a third, above two "
        "thirds. It is about this edit's surroundings, not about the model, and marks nothing",
    )
    weight_change: MeasureLimits = Field(
        default_factory=lambda: MeasureLimits(warn=0.5, fail=1.0),
        description="largest ‖W′ − W‖ / ‖W‖ (Frobenius) of the edited tensors since the unedited model. At 1 "
        "the edits weigh as much as all that was trained. It grows with every edit, sound or not, and marks "
        "nothing by itself",
    )
    diversity: MeasureLimits = Field(
        default_factory=lambda: MeasureLimits(warn=0.2, fail=0.5, marks="degrading", trend=True),
        description="share of the unedited model's number of distinct most probable tokens on the monitor "
        "text that is lost: half is gone when a model falls into saying the same everywhere",
    )
    degeneracy: MeasureLimits = Field(
        default_factory=lambda: MeasureLimits(warn=0.2, fail=0.5, marks="collapsed"),
        description="rise of the share of repeated trigrams in generated text over the unedited model's: "
        "loops that take up half of a text are a collapse whatever perplexity says",
    )
    efficacy: MeasureLimits = Field(
        default_factory=lambda: MeasureLimits(warn=0.0, fail=0.5),
        description="share of the edits just made that do not hold: any warns, more than half fails",
    )
    detectors: DetectorSettings = Field(default_factory=DetectorSettings, description="how a rise is found")

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, given: Any) -> Any:
        """What is given for a measurement goes over its default limits."""
        if not isinstance(given, Mapping):
            return given
        merged = dict(given)
        for name, value in given.items():
            field = cls.model_fields.get(name)
            if field is not None and isinstance(value, Mapping):
                merged[name] = field.get_default(call_default_factory=True).model_dump() | dict(value)
        return merged

    @property
    def measures(self) -> dict[str, MeasureLimits]:
        """The limits by the check's name."""
        return {name: limits for name, limits in self if isinstance(limits, MeasureLimits)}
