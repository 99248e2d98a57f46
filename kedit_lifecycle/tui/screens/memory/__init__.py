"""Memory: the facts that a version keeps outside the weights, and when one of them answers."""

from kedit_lifecycle.tui.screens.memory.screen import MemoryScreen

__all__ = ["MemoryScreen"]
