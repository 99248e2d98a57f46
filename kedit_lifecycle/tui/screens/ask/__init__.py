"""Ask: one prompt, answered by several versions side by side."""

from kedit_lifecycle.tui.screens.ask.screen import AskScreen

__all__ = ["AskScreen"]
