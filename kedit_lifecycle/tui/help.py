"""What `?` and the command log show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.content import Content

from kedit_lifecycle.tui.actions import GLOBAL, Action
from kedit_lifecycle.tui.keymap import key_name
from kedit_lifecycle.tui.text import inert
from kedit_lifecycle.tui.widgets.dialog import TextDialog

if TYPE_CHECKING:
    from textual.widget import Widget

    from kedit_lifecycle.tui.app import KeditApp
    from kedit_lifecycle.tui.session import Session

_KEYS = 20  # cells of the column of keys


def help_dialog(app: KeditApp) -> TextDialog:
    """The keys of the widget in focus, of the screen, and of every screen."""
    screen = app.current
    title = screen.TITLE if screen else ""
    parts: list[Content] = []
    if app.focused is not None:
        parts += _widget(app, app.focused)
    if screen is not None and screen.actions:
        parts += [
            _heading(f"On {title}"),
            *(line for action in screen.actions for line in _lines(app, action)),
        ]
    parts += [_heading("Everywhere"), *(line for action in GLOBAL for line in _lines(app, action))]
    parts.append(_line("1 … 9", "Show a screen"))
    if screen is not None and screen.LEGEND:
        parts += [_heading("Signs"), *(_line(sign, meaning) for sign, meaning in screen.LEGEND)]
    return TextDialog(f"Help · {title}", Content("\n").join(parts), "esc closes · j k scroll")


def _heading(text: str) -> Content:
    return Content.assemble("\n", (inert(text), "bold $primary"))


def _line(keys: str, text: str, style: str = "") -> Content:
    return Content.assemble((f"{keys:<{_KEYS}}", "bold $accent"), (inert(text), style))


def _lines(app: KeditApp, action: Action) -> Iterable[Content]:
    keys = " ".join(key_name(key) for key in app.keymap.keys(action))
    reason = action.reason(app.kedit)
    yield _line(keys, action.help, "$text-muted" if reason else "")
    command = action.command(app.kedit)
    if reason:
        yield Content.assemble(" " * _KEYS, (f"not now: {reason}", "$text-warning"))
    elif command:
        yield Content.assemble(" " * _KEYS, (inert(command), "$text-muted"))


def _widget(app: KeditApp, widget: Widget) -> list[Content]:
    """The bindings that a widget brings along, several keys of one action on one line."""
    keys: dict[str, list[str]] = {}
    for key, active in app.screen.active_bindings.items():
        if active.node is widget and active.binding.description:
            keys.setdefault(active.binding.description, []).append(key_name(key))
    if not keys:
        return []
    return [_heading("Where you are"), *(_line(" ".join(found[:4]), text) for text, found in keys.items())]


def command_log_dialog(session: Session) -> TextDialog:
    """What was done in this session, as command lines, newest first."""
    lines = [
        Content.assemble((f"{time:%H:%M:%S}  ", "$text-muted"), inert(command))
        for time, command in reversed(session.commands)
    ] or [Content.styled("nothing was done yet", "$text-muted")]
    return TextDialog("Done here, as command lines", Content("\n").join(lines))
