"""Health: what the checks measured along the history, and which facts still hold."""

from kedit_lifecycle.tui.screens.health.screen import HealthScreen

__all__ = ["HealthScreen"]
