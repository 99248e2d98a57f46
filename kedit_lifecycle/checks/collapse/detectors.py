"""Online change detectors for one series: CUSUM and Page–Hinkley. Both watch for an increase."""

from __future__ import annotations

from typing import Protocol


class Detector(Protocol):
    """Takes a series in, one reading after another; `at` is whatever names the reading's place."""

    @property
    def alarm(self) -> bool:
        """Whether the statistic is over its threshold."""

    @property
    def onset(self) -> int | None:
        """Where the increase is estimated to have begun; None while there is none."""

    def update(self, value: float, at: int) -> None:
        """Take in one reading."""

    def in_control(self, value: float) -> bool:
        """Whether a reading alone looks like those before the increase."""

    def reset(self) -> None:
        """Forget everything."""


class Cusum:
    """Tabular one-sided CUSUM: S ← max(0, S + x − μ₀ − k), alarm while S > h (Page 1954).

    S is the largest sum of x − μ₀ − k over the readings up to now; the excursion's first reading is the
    maximum-likelihood estimate of where the mean rose (Page 1954; Montgomery, Statistical Quality
    Control, section 9.1).
    """

    def __init__(self, allowance: float, threshold: float, target: float = 0.0) -> None:
        self._level = target + allowance
        self._threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.statistic = 0.0
        self._onset: int | None = None

    @property
    def alarm(self) -> bool:
        """Whether S > h."""
        return self.statistic > self._threshold

    @property
    def onset(self) -> int | None:
        """The first reading since S was last zero."""
        return self._onset

    def update(self, value: float, at: int) -> None:
        """Take in one finite reading."""
        self.statistic = max(0.0, self.statistic + value - self._level)
        if self.statistic == 0.0:
            self._onset = None
        elif self._onset is None:
            self._onset = at

    def in_control(self, value: float) -> bool:
        """Whether x ≤ μ₀ + k, which makes S smaller."""
        return value <= self._level


class PageHinkley:
    """Page–Hinkley test for an increase over the series' own running mean (Page 1954; Hinkley 1971).

    m ← α m + (x − x̄ − δ), with x̄ the mean of the readings up to and with x; alarm while m − min m > λ,
    from `min_readings` on. The increase began behind the minimum.
    """

    def __init__(self, delta: float, threshold: float, min_readings: int, alpha: float = 0.9999) -> None:
        self._delta, self._threshold, self._alpha = delta, threshold, alpha
        self._min_readings = min_readings
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._count, self._mean = 0, 0.0
        self._sum, self._minimum = 0.0, float("inf")
        self._level = float("inf")  # the mean at the minimum, δ above it
        self._onset: int | None = None

    @property
    def statistic(self) -> float:
        """M − min m; 0 before the first reading."""
        return self._sum - self._minimum if self._count else 0.0

    @property
    def alarm(self) -> bool:
        """Whether m − min m > λ."""
        return self._count >= self._min_readings and self.statistic > self._threshold

    @property
    def onset(self) -> int | None:
        """The first reading behind the minimum of m."""
        return self._onset

    def update(self, value: float, at: int) -> None:
        """Take in one finite reading."""
        self._count += 1
        self._mean += (value - self._mean) / self._count
        self._sum = self._alpha * self._sum + value - self._mean - self._delta
        if self._sum < self._minimum:
            self._minimum, self._level, self._onset = self._sum, self._mean + self._delta, None
        elif self._onset is None:
            self._onset = at

    def in_control(self, value: float) -> bool:
        """Whether x is within δ of the mean that the series had before the increase."""
        return value <= self._level
