"""Collapse: from the series of per-edit measurements to the model's state, and where it began."""

from kedit_lifecycle.checks.collapse.limits import DetectorSettings, HealthLimits, MeasureLimits
from kedit_lifecycle.checks.collapse.monitor import (
    Health,
    HealthMonitor,
    State,
    collapse_check,
    health_of,
    health_series,
)

__all__ = [
    "DetectorSettings",
    "Health",
    "HealthLimits",
    "HealthMonitor",
    "MeasureLimits",
    "State",
    "collapse_check",
    "health_of",
    "health_series",
]
