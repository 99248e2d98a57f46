"""Naming one more version to ask."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static

from kedit_lifecycle.tui.focus import focus
from kedit_lifecycle.tui.text import inert
from kedit_lifecycle.tui.widgets.dialog import Dialog
from kedit_lifecycle.tui.widgets.fact_input import FactInput


class RefInput(FactInput):
    """Enter takes it."""

    async def action_submit(self) -> None:
        """Take it."""
        self.post_message(Input.Submitted(self, self.value))


class RefDialog(Dialog[str]):
    """A line for a version, branch or tag; `known` are offered."""

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__("Ask another version", "⏎ adds it · ↓ goes through branches and tags · esc closes")
        self.known = known

    def content(self) -> ComposeResult:
        """A line, and what it may be."""
        yield RefInput(placeholder="12, HEAD~2, a branch, a tag, base", id="ref")
        names = inert(" · ".join(self.known), 600)
        yield Static(Content.styled(names or "a number, HEAD~2, base", "$text-muted"))

    def on_mount(self) -> None:
        """Typing begins at once."""
        line = self.query_one(RefInput)
        line.offer(self.known)
        focus(line)

    @on(Input.Submitted)
    def _named(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip() or None)
