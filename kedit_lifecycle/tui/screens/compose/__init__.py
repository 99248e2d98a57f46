"""Compose: an edit being written, made, checked, and accepted or taken back."""

from kedit_lifecycle.tui.screens.compose.screen import ComposeScreen

__all__ = ["ComposeScreen"]
