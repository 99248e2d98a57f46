"""The audit chain: every event with author, time and command, and whether it holds."""

from kedit_lifecycle.tui.screens.audit.screen import AuditScreen

__all__ = ["AuditScreen"]
