"""The terminal UI: header, tabs and footer around the screens of the registry, and the link to the engine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.command import Provider
from textual.containers import Horizontal
from textual.widgets import ContentSwitcher, Static

from kedit_lifecycle.errors import KeditError, UsageError
from kedit_lifecycle.tui.actions import GLOBAL, Action, screen_action
from kedit_lifecycle.tui.focus import focus
from kedit_lifecycle.tui.global_actions import DOERS
from kedit_lifecycle.tui.happened import changes_store, job_ended
from kedit_lifecycle.tui.keymap import Keymap
from kedit_lifecycle.tui.link import Link
from kedit_lifecycle.tui.palette import ActionProvider
from kedit_lifecycle.tui.screens import registry
from kedit_lifecycle.tui.screens.base import KeditScreen
from kedit_lifecycle.tui.session import Session, Severity
from kedit_lifecycle.tui.styles import style_sheet
from kedit_lifecycle.tui.text import inert
from kedit_lifecycle.tui.themes import DARK, THEMES
from kedit_lifecycle.tui.widgets.chrome import Banner, JobStrip, KeyLine, TabLine, TitleLine
from kedit_lifecycle.tui.widgets.filter_bar import FilterBar

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import Event

_SOON = 0.03  # seconds between a change and the header that says so
_SEEN = 5.0  # seconds that the end of a job is shown; of one that went wrong, four times as long


class KeditApp(App[None]):
    """A person at an engine.

    Args:
        where: the store's folder, or the URL of an engine.
        token: what an engine at a URL asks for.
        readonly: actions that write are turned off.
        first: the name of the screen to begin with.
        keymap: which keys do what.
        clock: what time it is.
        theme: the name of the theme to begin with.

    Raises:
        UsageError: there is no such screen, or no such theme.
    """

    TITLE = "kedit"
    CSS = style_sheet("app")
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {ActionProvider}

    def __init__(
        self,
        where: Path | str,
        *,
        token: str | None = None,
        readonly: bool = False,
        first: str = "ledger",
        keymap: Keymap | None = None,
        clock: Callable[[], datetime] = datetime.now,
        theme: str = DARK.name,
    ) -> None:
        super().__init__()
        self.kedit = Session(where, token, readonly, clock, tell=self._tell, changed=self._changed)
        self.keymap = keymap or Keymap()
        self._first = _entry(first).name
        self._bound: set[str] = set()
        self._state_waits = False
        self._link = Link(self.kedit, self._heard, self._connected)
        for one in THEMES:
            self.register_theme(one)
        self.theme = _theme(theme)

    # What is on the screen

    def compose(self) -> ComposeResult:
        """Header, tabs, the screens, and what stands beneath them."""
        yield TitleLine(id="title")
        yield TabLine(id="tabs")
        yield Banner(id="banner")
        yield ContentSwitcher(id="views")
        with Horizontal(id="filter-row"):
            yield Static("/", id="filter-sign")
            yield FilterBar(id="filter")
        yield JobStrip(id="job")
        yield KeyLine(id="keys")

    async def on_mount(self) -> None:
        """Show the first screen, and begin to look for the engine once it is painted."""
        await self.show(self._first)
        self.call_after_refresh(self._painted)
        self.set_interval(20, self.show_state)

    def _painted(self) -> None:
        self.run_worker(self._link.run(), group="link", exit_on_error=True)
        self.run_worker(self._discover, thread=True, group="discover")

    def _discover(self) -> None:
        problems = [*self.keymap.problems, *registry.discover()]
        self.call_from_thread(self._discovered, problems)

    def _discovered(self, problems: list[str]) -> None:
        problems += [f"keys.toml: there is no action {name}" for name in self.unknown_actions()]
        for problem in problems:
            self.kedit.notify(problem, "warning")
        self.show_state()

    def unknown_actions(self) -> list[str]:
        """Ids in the user's key map that neither the app nor a screen shown so far knows."""
        seen = {
            entry.name for entry in registry.screens() if not self.query(f"#{registry.widget_id(entry.name)}")
        }
        unknown = self.keymap.unknown(self.actions())
        return [name for name in unknown if name.partition(".")[0] not in seen]

    @property
    def current(self) -> KeditScreen | None:
        """The screen that is seen."""
        shown = self.query_one("#views", ContentSwitcher).visible_content
        return shown if isinstance(shown, KeditScreen) else None

    async def show(self, name: str, **given: Any) -> None:
        """Bring a screen to the front; `given` is passed to its `opened`."""
        switcher = self.query_one("#views", ContentSwitcher)
        identity = registry.widget_id(name)
        entry = _entry(name)
        if not switcher.query(f"#{identity}"):
            await switcher.add_content(entry.make(), id=identity)
        switcher.current = identity
        screen = self.current
        if screen is None:
            return
        self.kedit.nothing_filters = None if screen.FILTERS else "nothing is filtered on this screen"
        self._bind_keys()
        screen.opened(**given)
        if screen.stale:
            screen.reload()
        if not screen.has_focus_within and (first := screen.first_focus()) is not None:
            focus(first, scroll_visible=False)
        self.show_state()

    def show_state(self) -> None:
        """Show header, banner, strip and keys as things are now."""
        if not self.is_running or not self.query("#keys"):
            return
        width, screen = self.size.width, self.current
        self.query_one(TitleLine).of(self.kedit, width)
        self.query_one(TabLine).of(registry.screens(), screen.screen_name if screen else "", width)
        self.query_one(Banner).of(self.kedit)
        self.query_one(JobStrip).of(self.kedit.job, self.kedit.jobs.waiting, width)
        self.query_one(KeyLine).of(self.actions(), self.keymap, self.kedit, width)
        if screen is not None:
            self.query_one(FilterBar).of(screen.filter, screen.FILTERS)
            self.show_filter(shown=bool(screen.filter))

    def show_filter(self, *, shown: bool) -> None:
        """Show or hide the line of the filter; it stays while somebody types there."""
        row = self.query_one("#filter-row")
        row.display = shown or row.has_focus_within

    def _changed(self) -> None:
        """Show it soon, once for all that changes until then."""
        if not self._state_waits:
            self._state_waits = True
            self.set_timer(_SOON, self._show_waiting)

    def _show_waiting(self) -> None:
        self._state_waits = False
        self.show_state()

    def on_resize(self, event: events.Resize) -> None:
        """Fit the lines anew."""
        self.call_later(self.show_state)

    def _tell(self, text: str, severity: Severity) -> None:
        self.notify("\n".join(inert(line) for line in text.split("\n")), severity=severity, markup=False)

    # The engine

    def _heard(self, event: Event) -> None:
        changes = changes_store(event)
        if job_ended(event) and event.job is not None:
            seen = _SEEN if event.data.get("state") == "done" else 4 * _SEEN
            self.set_timer(seen, partial(self._forget, event.job))
        for screen in self.query(KeditScreen):
            if screen.shown:
                screen.refresh_from(event)
            elif changes:
                screen.stale = True

    def _forget(self, job: int) -> None:
        self.kedit.jobs.forget(job)
        self.show_state()

    def _connected(self) -> None:
        for screen in self.query(KeditScreen):
            screen.stale = True
        if self.current is not None:
            self.current.reload()

    def engine_gone(self, error: KeditError) -> None:
        """A call found that the engine does not answer."""
        self.kedit.lose(error)
        self._link.lost()

    def cursor_moved(self, by: KeditScreen) -> None:
        """Tell the other screens, and the footer, that the cursor is elsewhere."""
        for screen in self.query(KeditScreen):
            if screen is not by:
                screen.cursor_moved()
        self.query_one(KeyLine).of(self.actions(), self.keymap, self.kedit, self.size.width)

    # Keys and actions

    def actions(self) -> list[Action]:
        """What can be done now: the screen's own actions, then those of every screen."""
        own = self.current.actions if self.current else ()
        shows = [screen_action(one.name, one.title, place) for place, one in enumerate(registry.screens())]
        return [*own, *shows, *GLOBAL]

    def _bind_keys(self) -> None:
        """Bind every key of the actions here to one dispatcher; widgets' own bindings come first."""
        for key in {key for action in self.actions() for key in self.keymap.keys(action)} - self._bound:
            self._bound.add(key)
            self.bind(key, f"key({key!r})", show=False)

    async def action_key(self, key: str) -> None:
        """A key that no widget took."""
        action = self.keymap.find(key, self.actions())
        if action is not None:
            await self.perform(action.id)

    async def perform(self, name: str) -> bool:
        """Do an action, or say why it cannot be done; whether it was done."""
        action = next((one for one in self.actions() if one.id == name), None)
        if action is None:
            return False
        if self.current is not None:
            self.current.settle()
        reason = action.reason(self.kedit)
        if reason is not None:
            self.kedit.notify(f"{action.help}: {reason}", "warning")
            return False
        command = action.command(self.kedit)
        if command:
            self.kedit.log(command)
        await self._call(action)
        return True

    async def _call(self, action: Action) -> None:
        screen, _, verb = action.id.partition(".")
        if screen == "show":
            await self.show(verb)
            return
        found = DOERS[action.id](self) if action.id in DOERS else getattr(self.current, action.method)()
        if isawaitable(found):
            await found

    @on(FilterBar.Words)
    def _filtered(self, event: FilterBar.Words) -> None:
        screen = self.current
        if screen is None:
            return
        if event.words != screen.filter:
            self.kedit.filters[screen.screen_name] = event.words
            screen.filter_changed()
        if event.leave and (first := screen.first_focus()) is not None:
            focus(first)
            self.call_after_refresh(self.show_state)

    def start_engine(self) -> None:
        """Start the engine, if none answers."""
        self._link.start_again()


def _entry(name: str) -> registry.Entry:
    found = next((one for one in registry.screens() if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in registry.screens())
        raise UsageError(f"there is no screen {name!r}", hint=f"one of {names}")
    return found


def _theme(name: str) -> str:
    names = [one.name for one in THEMES]
    if name not in names:
        raise UsageError(f"there is no theme {name!r}", hint=f"one of {', '.join(names)}")
    return name
