"""The model's state, folded over the series of per-edit measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from kedit_lifecycle.checks.collapse.limits import HealthLimits
from kedit_lifecycle.checks.collapse.track import Finding, Track
from kedit_lifecycle.checks.result import CheckResult, Verdict
from kedit_lifecycle.errors import UsageError

State = Literal["healthy", "degrading", "collapsed"]
Series = Iterable[tuple[int, Mapping[str, float]]]
"""(version, values by measure), in order; a measure that was not taken at a version is left out."""

_VERDICTS: dict[State, Verdict] = {"healthy": "pass", "degrading": "warn", "collapsed": "fail"}


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the model, and why.

    `since` is the version at which the change is estimated to have begun, which is before the one at
    which it was noticed; None of a healthy model. Where measures are not taken at each version, it is
    the first that shows the change.
    """

    state: State = "healthy"
    since: int | None = None
    reasons: tuple[str, ...] = ()


class HealthMonitor:
    """Takes the series in, one version after another.

    All that it knows follows from the readings it was given, in their order: a monitor that is given
    the same series is in the same state. After a rollback, give a new one the series that is left.
    """

    def __init__(self, limits: HealthLimits) -> None:
        self._tracks = {
            name: Track(name, own, limits.detectors)
            for name, own in limits.measures.items()
            if own.trend or own.marks != "nothing"
        }
        self._known = frozenset(limits.measures)
        self._version: int | None = None
        self.health = Health()

    @property
    def version(self) -> int | None:
        """The version whose values were taken in last."""
        return self._version

    def add(self, version: int, values: Mapping[str, float]) -> Health:
        """The state at `version`. Measures that were not taken keep what they last said.

        Raises:
            UsageError: for a version that is not behind the one before it, or an unknown measure.
        """
        if self._version is not None and version <= self._version:
            raise UsageError(f"version {version} does not come after version {self._version}")
        unknown = sorted(set(values) - self._known)
        if unknown:
            known = ", ".join(sorted(self._known))
            raise UsageError(f"there is no measure {unknown[0]!r}", hint=f"one of {known}")
        self._version = version
        for name, track in self._tracks.items():
            if name in values:
                track.add(version, values[name])
        self.health = _health([one for track in self._tracks.values() for one in track.findings()])
        return self.health


def _health(findings: list[Finding]) -> Health:
    if not findings:
        return Health()
    state: State = "collapsed" if any(one.marks == "collapsed" for one in findings) else "degrading"
    decisive = [one for one in findings if one.marks == state]
    reasons = [one.reason for one in decisive] + [one.reason for one in findings if one.marks != state]
    return Health(state, min(one.since for one in decisive), tuple(reasons))


def health_series(series: Series, limits: HealthLimits) -> list[tuple[int, Health]]:
    """(version, its state) of every version of a series."""
    monitor = HealthMonitor(limits)
    return [(version, monitor.add(version, values)) for version, values in series]


def health_of(series: Series, limits: HealthLimits) -> Health:
    """The state at the end of a series; healthy of an empty one."""
    states = health_series(series, limits)
    return states[-1][1] if states else Health()


def collapse_check(health: Health) -> CheckResult:
    """The state as a check: degrading warns, collapsed fails."""
    message: str = health.state
    if health.since is not None:
        message += f" since version {health.since}: {'; '.join(health.reasons)}"
    detail = {"state": health.state, "since": health.since, "reasons": list(health.reasons)}
    return CheckResult("collapse", _VERDICTS[health.state], message, detail=detail)
