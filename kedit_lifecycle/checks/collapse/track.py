"""One measure's readings: where they stand, and where a rise began."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kedit_lifecycle.checks.collapse.detectors import Cusum, Detector, PageHinkley
from kedit_lifecycle.checks.collapse.limits import DetectorSettings, Marks, MeasureLimits


@dataclass(frozen=True, slots=True)
class Finding:
    """What one measure says of the model, and the version at which it is estimated to have begun."""

    marks: Marks
    since: int
    reason: str


class _Watched:
    """A detector with the readings in a row that were as before the rise, which clear its alarm."""

    def __init__(self, name: str, detector: Detector, recovery: int) -> None:
        self.name, self.detector = name, detector
        self._recovery, self._calm = recovery, 0

    def update(self, value: float, at: int) -> None:
        self._calm = self._calm + 1 if self.detector.in_control(value) else 0
        self.detector.update(value, at)
        if self.detector.alarm and self._calm >= self._recovery:
            self.detector.reset()


class Track:
    """Takes one measure's readings in; `findings` is what they say now."""

    def __init__(self, name: str, limits: MeasureLimits, settings: DetectorSettings) -> None:
        self._name, self._limits, self._settings = name, limits, settings
        self._value, self._version = math.nan, -1  # of the last reading
        self._taken = False
        self._above_since: int | None = None  # first of the readings in a row that are above `warn`
        self._above = 0
        cusum = Cusum(settings.cusum_allowance, settings.cusum_threshold)
        page_hinkley = PageHinkley(
            settings.page_hinkley_delta, settings.page_hinkley_threshold, settings.page_hinkley_min_readings
        )
        self._cusum = _Watched("CUSUM", cusum, settings.recovery)
        self._watched = [self._cusum, _Watched("Page–Hinkley", page_hinkley, settings.recovery)]

    def add(self, version: int, value: float) -> None:
        """Take in the reading of a version."""
        self._version, self._value, self._taken = version, value, True
        if not self._over(self._limits.warn):
            self._above_since, self._above = None, 0
        else:
            self._above_since = version if self._above_since is None else self._above_since
            self._above += 1
        if self._limits.trend:
            for watched in self._watched:
                watched.update(self._in_units_of_warn(), version)

    def _broken(self) -> bool:
        return not math.isfinite(self._value) or (self._limits.scale == "log" and self._value <= 0)

    def _over(self, limit: float | None) -> bool:
        return self._broken() or (limit is not None and self._value > limit)

    def _in_units_of_warn(self) -> float:
        """0 where nothing changed, 1 at the `warn` limit; cut at both ends."""
        clip, warn = self._settings.clip, self._limits.warn
        assert warn is not None  # of a measure whose trend is watched
        if self._broken():
            return clip
        units = math.log(self._value) / math.log(warn) if self._limits.scale == "log" else self._value / warn
        return min(max(units, -clip), clip)

    def findings(self) -> list[Finding]:
        """The gravest first; none while all is well, or before the first reading."""
        found: list[Finding] = []
        if not self._taken:
            return found
        if self._limits.marks != "nothing" and self._over(self._limits.fail):
            found.append(Finding(self._limits.marks, self._onset(), self._too_high(self._limits.fail)))
        if self._limits.trend and self._above >= self._settings.confirm and not found:
            found.append(Finding("degrading", self._onset(), self._too_high(self._limits.warn)))
        if not self._limits.trend or self._in_units_of_warn() <= self._settings.cusum_allowance:
            return found  # whatever rose, this level may be held for ever
        return found + [self._rise(one) for one in self._watched if one.detector.alarm]

    def _onset(self) -> int:
        """Of the rise that led above a limit: CUSUM's estimate, which looks further back than the limit."""
        known = (self._cusum.detector.onset, self._above_since, self._version)
        return min(one for one in known if one is not None)

    def _too_high(self, limit: float | None) -> str:
        if self._broken():
            return f"{self._name} is {self._value} at version {self._version}"
        return f"{self._name} {self._value:.4g} above {limit:g} at version {self._version}"

    def _rise(self, watched: _Watched) -> Finding:
        onset = watched.detector.onset
        assert onset is not None  # an alarm has a beginning
        return Finding("degrading", onset, f"{self._name} rising since version {onset} ({watched.name})")
