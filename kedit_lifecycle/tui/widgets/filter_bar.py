"""The words that a screen is filtered by."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

_TYPING = 0.2  # seconds without a key before the filter is applied


class FilterBar(Input):
    """One line; it stays in sight as long as it holds words."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "No filter", show=False),
        Binding("down", "leave", "To the list", show=False),
    ]

    class Words(Message):
        """Other words, after the last key was some time ago."""

        def __init__(self, words: str, *, leave: bool = False) -> None:
            super().__init__()
            self.words = words
            self.leave = leave  # the person is done here

    _timer: Timer | None = None

    def of(self, words: str, placeholder: str) -> None:
        """Show the words of a screen."""
        self.placeholder = placeholder
        with self.prevent(Input.Changed):
            if not self.has_focus:
                self.value = words

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell once the typing stops."""
        event.stop()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_TYPING, lambda: self._tell(leave=False))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Tell at once."""
        event.stop()
        self.action_leave()

    def _tell(self, *, leave: bool) -> None:
        if self._timer is not None:
            self._timer.stop()
        self.post_message(self.Words(self.value, leave=leave))

    def action_clear(self) -> None:
        """Show all again."""
        with self.prevent(Input.Changed):
            self.value = ""
        self._tell(leave=True)

    def action_leave(self) -> None:
        """Back to what is filtered."""
        self._tell(leave=True)
