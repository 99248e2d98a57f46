"""The model's health over its versions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from kedit_lifecycle.tui.actions import Action
from kedit_lifecycle.tui.checking import Check, check_again
from kedit_lifecycle.tui.focus import focus
from kedit_lifecycle.tui.screens.base import KeditScreen
from kedit_lifecycle.tui.screens.health.actions import ACTIONS, LEGEND
from kedit_lifecycle.tui.screens.health.charts import HealthCharts
from kedit_lifecycle.tui.screens.health.marks import attempts_at
from kedit_lifecycle.tui.screens.health.matrix import RetentionMatrix
from kedit_lifecycle.tui.screens.health.numbers import copied, headline, numbers
from kedit_lifecycle.tui.screens.health.series import nearest
from kedit_lifecycle.tui.styles import style_sheet

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import HealthView

WIDE = 120  # cells from which on charts, matrix and numbers are seen beside each other
TALL = 38  # lines from which on they are seen below each other
_RESTED = 0.08  # seconds that the cursor rests before a version is read
_POINTS, _CELLS = 600, 120
_ATTEMPTS = 500
_VIEWS = ("charts", "matrix", "numbers")


class HealthScreen(KeditScreen):
    """What the checks measured, version by version."""

    TITLE: ClassVar[str] = "Health"
    ORDER: ClassVar[int] = 40
    ACTIONS: ClassVar[tuple[Action, ...]] = ACTIONS
    LEGEND: ClassVar[tuple[tuple[str, str], ...]] = LEGEND
    DEFAULT_CSS = style_sheet("health")

    _at: HealthView | None = None
    _now: tuple[int, list[Check]] | None = None
    _view = "charts"

    def compose(self) -> ComposeResult:
        """The state on top; charts, matrix and numbers beneath."""
        yield Static(id="health-state")
        with Container(id="health-main"):
            yield HealthCharts(id="health-charts")
            with Container(id="health-side"):
                with VerticalScroll(id="health-numbers-scroll"):
                    yield Static(id="health-numbers")
                yield RetentionMatrix(id="health-matrix")

    @property
    def charts(self) -> HealthCharts:
        """The series."""
        return self.query_one(HealthCharts)

    @property
    def matrix(self) -> RetentionMatrix:
        """The heat map."""
        return self.query_one(RetentionMatrix)

    def first_focus(self) -> Widget:
        """What is in front."""
        return self._front(self._view)

    def _front(self, name: str) -> Widget:
        ids = {"charts": "#health-charts", "matrix": "#health-matrix", "numbers": "#health-numbers-scroll"}
        return self.query_one(ids[name])

    def on_mount(self) -> None:
        """The charts come first."""
        self._show_view("charts")

    def on_resize(self, event: events.Resize) -> None:
        """One of them at a time, or all."""
        wide, tall = event.size.width >= WIDE, event.size.height >= TALL
        self.set_class(wide, "wide")
        self.set_class(tall and not wide, "tall")

    def _show_view(self, name: str) -> None:
        self._view = name
        for one in _VIEWS:
            self.set_class(one == name, f"view-{one}")

    # Reading

    async def load(self) -> None:
        """The line of HEAD, its matrix, and the version at the cursor."""
        client = self.kedit.client
        view = await client.health("HEAD", _POINTS)
        attempts = await client.audit(None, _ATTEMPTS, "attempt")
        self.settle()
        place = nearest(view.points, self.kedit.cursor)
        self.charts.put(view, place or 0, attempts_at(view.points, attempts))
        self._load_at()
        self.matrix.put(await client.retention("HEAD", _CELLS), self.kedit.cursor)

    def _load_at(self, rested: float = 0.0) -> None:
        number = self.kedit.cursor
        if self.kedit.connected and number is not None:
            self.work(self._read_at(number, rested), group="at")

    async def _read_at(self, number: int, rested: float) -> None:
        """The version at the cursor, also where it is not among those that are drawn."""
        await asyncio.sleep(rested)
        view = await self.kedit.client.health(str(number), 1)
        self.settle()
        if number != self.kedit.cursor:
            return  # a key came while this was asked for; what it led to is read next
        own = next((one for one in view.points if one.number == number), None)
        self._at = view
        points = self.charts.points
        drawn = number == 0 or any(one.number == number for one in points)
        self.charts.go(nearest(points, number) or 0, None if drawn else own)
        off = not drawn and not (await self.kedit.client.version(str(number), 1)).row.on_line
        self.query_one("#health-state", Static).update(headline(view, number, off_line=off))
        self._show_numbers()

    def _show_numbers(self) -> None:
        if self._at is not None:
            number = self.kedit.cursor
            point = next((one for one in self._at.points if one.number == number), None)
            shown = numbers(self._at, point, self._now)
            self.query_one("#health-numbers", Static).update(shown)

    # The cursor

    @on(HealthCharts.Moved)
    def _moved(self) -> None:
        self.settle()
        self.matrix.look_at(self.kedit.cursor)
        self._load_at(_RESTED)

    @on(RetentionMatrix.Moved)
    def _column(self, event: RetentionMatrix.Moved) -> None:
        self.move_cursor(event.number)
        self._follow()

    def settle(self) -> None:
        """The version that the charts point at."""
        if self.charts.moved and self.charts.points:
            self.charts.moved = False
            self.move_cursor(self.charts.points[self.charts.cursor].number)

    def cursor_moved(self) -> None:
        """Another screen looks at another version."""
        if self.shown:
            self._follow()
            self.matrix.look_at(self.kedit.cursor)
        else:
            self.stale = True

    def _follow(self) -> None:
        place = nearest(self.charts.points, self.kedit.cursor)
        self.charts.go(place or 0)
        self._load_at(_RESTED)

    def copied(self) -> str | None:
        """The numbers at the cursor."""
        point = self.charts.point
        return copied(point) if point is not None else None

    # Doing

    def act_view(self) -> None:
        """The next of charts, matrix and numbers."""
        all_seen = self.has_class("wide") or self.has_class("tall")
        now = next((one for one in _VIEWS if self._front(one).has_focus), self._view)
        name = _VIEWS[(_VIEWS.index(now if all_seen else self._view) + 1) % len(_VIEWS)]
        self._show_view(name)
        focus(self._front(name))

    def act_scale(self) -> None:
        """Up to the limits, or close."""
        self.charts.close = not self.charts.close
        self.charts.redraw()
        self.kedit.notify("as close as the values are" if self.charts.close else "up to the limits")

    def act_next_mark(self) -> None:
        """On to where something happened."""
        if not self.charts.next_mark(1):
            self.kedit.notify("nothing happened behind the cursor")

    def act_previous_mark(self) -> None:
        """Back to where something happened."""
        if not self.charts.next_mark(-1):
            self.kedit.notify("nothing happened before the cursor")

    async def act_ledger(self) -> None:
        """Show it in the ledger."""
        await self.kedit_app.show("ledger")

    def act_check(self) -> None:
        """Check it in full."""
        number = self.kedit.cursor
        if number is not None:
            self.work(self._checking(number, self.kedit.cli("check", number)), group="checking")

    async def _checking(self, number: int, command: str) -> None:
        checks = await check_again(self.kedit, number, command)
        if checks is not None:
            self._now = (number, checks)
            self._show_numbers()

    def act_evaluate(self) -> None:
        """Measure every edit again."""
        number = self.kedit.cursor
        if number is not None:
            command = self.kedit.cli("eval", "--ref", number)
            self.work(self._evaluating(number, command), group="evaluating")

    async def _evaluating(self, number: int, command: str) -> None:
        result = await self.kedit.result("evaluate", command=command, ref=str(number))
        metrics = result["summary"]["metrics"]
        told = " · ".join(f"{name} {'NaN' if one is None else f'{one:.3g}'}" for name, one in metrics.items())
        self.kedit.notify(f"v{number} measured again: {told}")
        self.reload()
