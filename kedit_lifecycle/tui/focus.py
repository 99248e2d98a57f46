"""Where keys go."""

from __future__ import annotations

from textual.widget import Widget


def focus(widget: Widget, *, scroll_visible: bool = True) -> None:
    """Give a widget the focus at once: what was typed since the key that led here goes to it.

    `Widget.focus` only asks for it, behind the keys that already wait.
    """
    widget.screen.set_focus(widget, scroll_visible=scroll_visible)
