"""Windows over a screen: something to read, closed with escape."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from kedit_lifecycle.tui.focus import focus
from kedit_lifecycle.tui.text import inert

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A framed window; derive and write `content`. `heading` may hold any text."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog:ansi { background: ansi_default; }
    Dialog > Vertical {
        width: 90%; max-width: 110; height: auto; max-height: 90%;
        border: round $primary; border-title-color: $foreground; border-title-style: bold;
        border-subtitle-color: $text-muted; background: $surface; padding: 0 1;
    }
    Dialog VerticalScroll { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close"),
        Binding("j,down", "scroll(1)", "Down", show=False),
        Binding("k,up", "scroll(-1)", "Up", show=False),
    ]

    def __init__(self, heading: str, footing: str = "esc closes") -> None:
        super().__init__()
        self.heading = heading
        self.footing = footing

    def compose(self) -> ComposeResult:
        """The frame and what is in it."""
        frame = Vertical()
        frame.border_title = Content(inert(self.heading))
        frame.border_subtitle = Content(inert(self.footing))
        with frame:
            yield from self.content()

    @abstractmethod
    def content(self) -> ComposeResult:
        """What stands in the frame."""

    def action_close(self) -> None:
        """Close without a result."""
        self.dismiss(None)

    def action_scroll(self, by: int) -> None:
        """Scroll what can be scrolled."""
        for found in self.query(VerticalScroll):
            found.scroll_relative(y=by, animate=False)


class TextDialog(Dialog[None]):
    """Lines to read."""

    def __init__(self, heading: str, lines: Content, footing: str = "esc closes") -> None:
        super().__init__(heading, footing)
        self.lines = lines

    def content(self) -> ComposeResult:
        """The lines, which scroll."""
        with VerticalScroll():
            yield Static(self.lines)

    def on_mount(self) -> None:
        """Keys scroll it at once."""
        focus(self.query_one(VerticalScroll))


def is_dialog(widget: Widget) -> bool:
    """Whether a screen of Textual is a window over ours."""
    return isinstance(widget, ModalScreen)
