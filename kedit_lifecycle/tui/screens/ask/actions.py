"""What can be done while asking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedit_lifecycle.tui.actions import Action

if TYPE_CHECKING:
    from kedit_lifecycle.tui.screens.ask.screen import AskScreen


def actions_of(screen: AskScreen) -> tuple[Action, ...]:
    """The actions of one Ask screen."""
    return (
        Action("ask.ask", "enter", "Let the versions answer the prompt", "ask",
               cli=lambda s: screen.command(), enabled=lambda s: screen.why_not()),
        Action("ask.add", "plus,ctrl+n", "Ask another version too", "add", engine=False),
        Action("ask.remove", "minus,ctrl+r", "Do not ask the version that was added last", "less",
               engine=False, enabled=lambda s: _remove(screen)),
        Action("ask.edit", "e", "Compose an edit of this prompt", writes=True, engine=False),
        Action("ask.back", "escape", "Cancel the question; else leave the line, so that keys are actions",
               "back", engine=False),
        Action("ask.write", "i", "Into the prompt", engine=False),
    )  # fmt: skip


def _remove(screen: AskScreen) -> str | None:
    return None if len(screen.refs) > 1 else "one version is asked at least"
