"""Jump mode: a letter on each widget that can have the focus; the letter goes there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Label

from kedit_lifecycle.tui.focus import focus

LETTERS = "asdfghjklqwertyuiopzxcvbnm"


class JumpScreen(ModalScreen[None]):
    """Over the screen, until a key is pressed."""

    DEFAULT_CSS = """
    JumpScreen { background: $background 20%; layers: letters; }
    JumpScreen Label {
        layer: letters; position: absolute; width: auto; height: 1; padding: 0 1;
        background: $accent; color: $background; text-style: bold;
    }
    JumpScreen:ansi Label { text-style: bold reverse; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Stay", show=False)]

    def __init__(self, targets: Sequence[Widget]) -> None:
        super().__init__()
        self.targets = dict(zip(LETTERS, targets, strict=False))

    def compose(self) -> ComposeResult:
        """A label on each."""
        for letter, widget in self.targets.items():
            label = Label(letter, markup=False)
            label.styles.offset = (widget.region.x, widget.region.y)
            yield label

    def on_key(self, event: events.Key) -> None:
        """Go to the widget of the letter, or stay."""
        event.stop()
        self.dismiss(None)
        if event.character in self.targets:
            focus(self.targets[event.character])

    def action_leave(self) -> None:
        """Stay where the focus was."""
        self.dismiss(None)
