"""The series of measurements that the ledger keeps of a line of history."""

from __future__ import annotations

from collections.abc import Iterable

from kedit_lifecycle.checks.collapse.limits import HealthLimits
from kedit_lifecycle.checks.collapse.monitor import HealthMonitor
from kedit_lifecycle.ledger.line import line_checks
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import CheckDraft, VersionRow

Reading = tuple[int, dict[str, float]]
"""A version's number, and what its checks measured, by their names."""


def recorded_series(reader: LedgerReader, version: VersionRow, limits: HealthLimits) -> list[Reading]:
    """What the checks up to a version measured, oldest first, as far as there are limits for it."""
    return series_of(line_checks(reader, version), limits)


def series_of(checks: Iterable[tuple[int, CheckDraft]], limits: HealthLimits) -> list[Reading]:
    """The readings of checks that are given with their version's number, in order."""
    series: dict[int, dict[str, float]] = {}
    for number, check in checks:
        values = series.setdefault(number, {})
        if check.value is not None and check.check in limits.measures:
            values[check.check] = check.value
    return [(number, values) for number, values in series.items() if values]


def recorded_monitor(reader: LedgerReader, version: VersionRow, limits: HealthLimits) -> HealthMonitor:
    """A monitor that has seen the series up to a version."""
    monitor = HealthMonitor(limits)
    for number, values in recorded_series(reader, version, limits):
        monitor.add(number, values)
    return monitor
