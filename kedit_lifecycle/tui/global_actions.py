"""How the actions of every screen are done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from kedit_lifecycle.tui.focus import focus
from kedit_lifecycle.tui.screens import registry
from kedit_lifecycle.tui.themes import next_theme

if TYPE_CHECKING:
    from kedit_lifecycle.tui.app import KeditApp

Doer = Callable[["KeditApp"], Awaitable[None] | None]


def palette(app: KeditApp) -> None:
    """Find an action by its name."""
    app.action_command_palette()


def show_help(app: KeditApp) -> None:
    """Explain keys and actions."""
    from kedit_lifecycle.tui.help import help_dialog

    app.push_screen(help_dialog(app))


def filter_words(app: KeditApp) -> None:
    """Type words to filter by."""
    from kedit_lifecycle.tui.widgets.filter_bar import FilterBar

    app.show_filter(shown=True)
    focus(app.query_one(FilterBar))


def refresh(app: KeditApp) -> None:
    """Read everything again."""
    if app.current is not None:
        app.current.reload()


def copy(app: KeditApp) -> None:
    """Copy what the cursor is on, by the terminal's OSC 52."""
    text = app.current.copied() if app.current else None
    if not text:
        app.kedit.notify("there is nothing to copy here", "warning")
        return
    app.copy_to_clipboard(text)
    app.kedit.notify(f"copied: {text if len(text) <= 200 else text[:200] + '…'}")


def cancel(app: KeditApp) -> None:
    """Cancel the running job."""
    job, screen = app.kedit.job, app.current
    if job is not None and screen is not None:
        screen.work(_cancel(app, job.id), group="cancel")


async def _cancel(app: KeditApp, job: int) -> None:
    await app.kedit.client.cancel(job)


def start_engine(app: KeditApp) -> None:
    """Start the engine again."""
    app.start_engine()


def command_log(app: KeditApp) -> None:
    """Show what was done here as command lines."""
    from kedit_lifecycle.tui.help import command_log_dialog

    app.push_screen(command_log_dialog(app.kedit))


def theme(app: KeditApp) -> None:
    """The next theme."""
    app.theme = next_theme(app.theme)
    app.kedit.notify(f"theme {app.theme}")


def jump(app: KeditApp) -> None:
    """Show a letter on each widget that can have the focus."""
    from kedit_lifecycle.tui.widgets.jump import JumpScreen

    targets = [widget for widget in app.screen.focus_chain if widget.region]
    if targets:
        app.push_screen(JumpScreen(targets))


async def _step(app: KeditApp, by: int) -> None:
    names = [one.name for one in registry.screens()]
    if app.current is not None:
        await app.show(names[(names.index(app.current.screen_name) + by) % len(names)])


async def next_screen(app: KeditApp) -> None:
    """The next screen."""
    await _step(app, 1)


async def previous_screen(app: KeditApp) -> None:
    """The screen before."""
    await _step(app, -1)


def leave(app: KeditApp) -> None:
    """Leave; the engine goes on."""
    app.exit()


DOERS: Mapping[str, Doer] = {
    "app.palette": palette,
    "app.help": show_help,
    "app.filter": filter_words,
    "app.refresh": refresh,
    "app.copy": copy,
    "app.cancel": cancel,
    "app.start-engine": start_engine,
    "app.command-log": command_log,
    "app.theme": theme,
    "app.jump": jump,
    "app.next": next_screen,
    "app.previous": previous_screen,
    "app.quit": leave,
}
"""By the id of the action."""
