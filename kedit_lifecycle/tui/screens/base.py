"""What every screen is built on."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.worker import Worker

from kedit_lifecycle.errors import EngineGoneError, KeditError
from kedit_lifecycle.tui.actions import Action
from kedit_lifecycle.tui.happened import changes_store

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import Event, Job
    from kedit_lifecycle.tui.app import KeditApp
    from kedit_lifecycle.tui.session import Session

_SETTLED = 0.25  # seconds without another change before a screen reads again


class KeditScreen(Vertical):
    """One screen of the terminal UI, a plug-in of `screens.registry`.

    Header, tabs, filter, job strip and footer are the app's; a screen composes what is between them. Derive,
    set the class variables, `compose`, and write `load`. For each action in `ACTIONS`, a method `act_...`.
    """

    TITLE: ClassVar[str] = ""
    ORDER: ClassVar[int] = 100
    ACTIONS: ClassVar[tuple[Action, ...]] = ()
    FILTERS: ClassVar[str] = ""
    """What `/` filters here, as its placeholder; empty: nothing."""

    LEGEND: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Signs and what they mean, for the help."""

    DEFAULT_CSS = """
    KeditScreen { height: 1fr; width: 1fr; }
    """

    stale = True
    """What is shown is older than the store."""

    def __init__(self) -> None:
        super().__init__()
        self.actions = self.ACTIONS
        """What can be done here; a screen whose actions depend on its own state sets its own."""
        self._doing: dict[str, Coroutine[Any, Any, Any]] = {}
        self.asked: dict[str, int] = {}
        """By kind, the job that `answered` waits for."""

    @property
    def kedit(self) -> Session:
        """What the screens share: client, cursor, filters, notices."""
        return self.kedit_app.kedit

    @property
    def kedit_app(self) -> KeditApp:
        """The app: `show` another screen, `perform` an action."""
        return cast("KeditApp", self.app)

    @property
    def screen_name(self) -> str:
        """Its name in the registry."""
        return (self.id or "").removeprefix("screen-")

    @property
    def shown(self) -> bool:
        """It is the screen that is seen."""
        return self.kedit_app.current is self

    @property
    def filter(self) -> str:
        """The words that only what holds them is shown of."""
        return self.kedit.filters.get(self.screen_name, "")

    # To be written by a screen

    async def load(self) -> None:
        """Read all that is shown from the engine: when first seen, after `r`, after an engine came back."""

    def opened(self, **given: Any) -> None:
        """It was brought to the front, with what `KeditApp.show` was given; before `load`."""

    def refresh_from(self, event: Event) -> None:
        """An event of the engine, while this screen is seen.

        By default everything is read again, once, shortly after a version came or a job ended.
        """
        if changes_store(event):
            self.reload_soon()

    def cursor_moved(self) -> None:
        """`kedit.cursor` is another version now, by whichever screen; not called on the one that moved it."""

    def settle(self) -> None:
        """Put what the person points at into the session; called before each action.

        Keys may come faster than messages: an action is always about what the last key led to.
        """

    def filter_changed(self) -> None:
        """`filter` is new. By default everything is read again."""
        self.reload()

    def copied(self) -> str | None:
        """What `y` copies; None: nothing is there to copy."""
        return None

    def first_focus(self) -> Widget | None:
        """What has the focus when it is shown first; by default the first widget that can."""
        return next((widget for widget in self.query("*") if widget.focusable), None)

    # For a screen to use

    def move_cursor(self, number: int | None, attempt: int | None = None) -> None:
        """The person looks at this version now, or at an attempt; other screens hear of it."""
        if (number, attempt) != (self.kedit.cursor, self.kedit.attempt):
            self.kedit.cursor, self.kedit.attempt = number, attempt
            self.kedit_app.cursor_moved(self)

    async def answered(self, kind: str, **arguments: Any) -> Job:
        """The job of this kind once it has ended; the one that was asked for before is cancelled.

        Raises:
            KeditError: the engine does not take it, or does not answer.
        """
        await self.unask(kind)
        try:
            job = await self.kedit.submit(kind, **arguments)
            # where a newer one of a group cuts this off, it stays, and the newer one cancels it
            self.asked[kind] = job.id
            job = await self.kedit.client.wait(job.id)
        except KeditError:
            self.asked.pop(kind, None)
            raise
        self.asked.pop(kind, None)
        return job

    async def unask(self, kind: str) -> None:
        """Nobody waits for the job of this kind any more."""
        before = self.asked.pop(kind, None)
        if before is not None:
            await self.kedit.client.cancel(before)

    def work(self, doing: Coroutine[Any, Any, Any], group: str = "work") -> Worker[Any]:
        """Do something that waits for the engine; errors are shown. A newer one of a group ends the older."""
        before = self._doing.get(group)
        self._doing[group] = doing
        worker: Worker[None] = self.run_worker(
            partial(self._telling, doing),
            group=group,
            exclusive=True,
        )
        if before is not None and getcoroutinestate(before) == CORO_CREATED:
            before.close()  # it was overtaken before it began
        return worker

    async def _telling(self, doing: Coroutine[Any, Any, None]) -> None:
        try:
            await doing
        except EngineGoneError as error:
            self.kedit_app.engine_gone(error)
        except KeditError as error:
            self.kedit.error(error)
        except NoMatches:
            if self.is_attached and self.app.is_running:
                raise  # else the answer came while the screen was being taken away

    def reload(self) -> None:
        """Read everything again, now; later if no engine answers or the screen is not seen."""
        if not self.kedit.connected or not self.shown:
            self.stale = True
            return
        self.stale = False
        self.work(self.load(), group="load")

    def reload_soon(self) -> None:
        """Read everything again once no more changes come."""
        self.stale = True
        self.set_timer(_SETTLED, self._reload_if_stale)

    def _reload_if_stale(self) -> None:
        if self.stale and self.shown:
            self.reload()
