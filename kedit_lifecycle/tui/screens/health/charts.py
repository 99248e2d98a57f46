"""The five series under each other, over the same versions, with one cursor through all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from kedit_lifecycle.tui.screens.health.band import Scale, band, columns_of, limit_names
from kedit_lifecycle.tui.screens.health.feet import FEET, LEFT, RIGHT, Feet
from kedit_lifecycle.tui.screens.health.marks import changes
from kedit_lifecycle.tui.screens.health.series import SERIES, Series
from kedit_lifecycle.tui.signs import verdict_sign
from kedit_lifecycle.tui.text import clipped
from kedit_lifecycle.tui.widgets.braille import DOTS_ACROSS

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import HealthView, SeriesPoint

_NAMES = (
    *("name", "muted", "line", "line-warn", "line-fail", "warn", "fail", "cursor", "pass"),
    *("state-healthy", "state-degrading", "state-collapsed"),
)


class HealthCharts(Widget, can_focus=True):
    """Left and right move the cursor from version to version."""

    DEFAULT_CSS = "HealthCharts { height: 1fr; width: 1fr; }"
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"charts--{name}" for name in _NAMES}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1)", "The version before", show=False),
        Binding("right", "step(1)", "The version after", show=False),
        Binding("pageup,ctrl+b,shift+left", "leap(-1)", "A tenth of the line back", show=False),
        Binding("pagedown,ctrl+f,shift+right", "leap(1)", "A tenth of the line on", show=False),
        Binding("home,0", "edge(0)", "The first version", show=False),
        Binding("end,dollar_sign", "edge(-1)", "The last version", show=False),
    ]

    class Moved(Message):
        """The person moved the cursor to another version."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.view: HealthView | None = None
        self.cursor = 0
        self.close = False
        self.attempts: Mapping[int, int] = {}
        self.here: SeriesPoint | None = None
        self.moved = False
        self._lines: list[Text] | None = None

    # What is shown

    @property
    def points(self) -> Sequence[SeriesPoint]:
        """The versions that are drawn, oldest first."""
        return self.view.points if self.view else ()

    @property
    def point(self) -> SeriesPoint | None:
        """What is known of the version at the cursor: what was read of it, else what is drawn."""
        if self.here is not None:
            return self.here
        return self.points[self.cursor] if self.points else None

    def put(self, view: HealthView, cursor: int, attempts: Mapping[int, int]) -> None:
        """Another line."""
        self.view, self.attempts, self.here = view, attempts, None
        self.go(cursor)

    def go(self, place: int, here: SeriesPoint | None = None) -> None:
        """Show the cursor at this point, with the numbers of a version that may lie behind it."""
        self.cursor = max(min(place, len(self.points) - 1), 0)
        self.here = here
        self.redraw()

    def redraw(self) -> None:
        """Something is another thing now."""
        self._lines = None
        self.refresh()

    def marks(self) -> list[int]:
        """The places where something happened: another state, an attempt taken back."""
        return sorted({place for place, _ in changes(self.points)[1:]} | set(self.attempts))

    # Moving

    def _move(self, place: int) -> None:
        place = max(min(place, len(self.points) - 1), 0)
        if self.points and (place != self.cursor or self.here is not None):
            self.go(place)
            self.moved = True  # until somebody took note
            self.post_message(self.Moved())

    def action_step(self, by: int) -> None:
        """A version back or on."""
        self._move(self.cursor + by)

    def action_leap(self, by: int) -> None:
        """A tenth of the line, at least two."""
        self._move(self.cursor + by * max(len(self.points) // 10, 2))

    def action_edge(self, place: int) -> None:
        """The first version, or the last."""
        self._move(len(self.points) - 1 if place < 0 else 0)

    def next_mark(self, by: int) -> bool:
        """The next place where something happened, before (-1) or behind (1); whether there is one."""
        ahead = [one for one in self.marks() if (one - self.cursor) * by > 0]
        if ahead:
            self._move(min(ahead) if by > 0 else max(ahead))
        return bool(ahead)

    def on_click(self, event: events.Click) -> None:
        """Go to the version that was clicked."""
        wanted = (event.x - LEFT) * DOTS_ACROSS
        columns = columns_of(len(self.points), self._width) if self.points else []
        if 0 <= event.x - LEFT < self._width and columns:
            self._move(min(range(len(columns)), key=lambda place: abs(columns[place] - wanted)))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Back."""
        event.stop()
        self.action_step(-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """On."""
        event.stop()
        self.action_step(1)

    def on_resize(self, event: events.Resize) -> None:
        """Draw for the new size."""
        self.redraw()

    def notify_style_update(self) -> None:
        """Draw in the new colours."""
        super().notify_style_update()
        self.redraw()

    def watch_has_focus(self, has_focus: bool) -> None:
        """The cursor looks otherwise without the focus."""
        super().watch_has_focus(has_focus)
        self.redraw()

    # Painting

    @property
    def _width(self) -> int:
        return max(self.size.width - LEFT - RIGHT, 4)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"charts--{name}", partial=True)

    def render_line(self, y: int) -> Strip:
        """One line."""
        if self._lines is None:
            self._lines = list(self._all())
        line = self._lines[y] if y < len(self._lines) else Text("")
        segments = line.render(self.app.console, end="")
        return Strip(Segment.apply_style(segments, self.rich_style)).adjust_cell_length(
            self.size.width, self.rich_style
        )

    def _all(self) -> Iterator[Text]:
        if self.view is None:
            yield Text(" …", self._style("muted"))
            return
        if not self.points:
            yield Text(" Nothing to draw yet: there is no edit on this line.", self._style("muted"))
            yield Text(" What the checks measure with each edit is drawn here.", self._style("muted"))
            return
        rest = max(self.size.height - FEET, len(SERIES))
        for place, series in enumerate(SERIES):
            height = rest // len(SERIES) + (1 if place < rest % len(SERIES) else 0)
            yield from self._band(series, height)
        yield from Feet(self.points, self.point, self.cursor, self.attempts, self._width, self._style).lines()

    def _band(self, series: Series, height: int) -> Iterator[Text]:
        assert self.view is not None
        values, limit = series.values(self.points), series.limit(self.view)
        scale = Scale.of(series, values, limit, close=self.close)
        rows = band(series, values, limit, scale, (self._width, height))
        names = limit_names(series, limit, scale, height)
        lefts = list(self._left(series))
        for y, row in enumerate(rows):
            line = Text(no_wrap=True, end="")
            line.append_text(lefts[y] if y < len(lefts) else Text(" " * LEFT))
            for x, cell in enumerate(row):
                self._append(line, x, cell.text, cell.kind)
            text, kind = names[y]
            line.append(clipped(f" {text}", RIGHT), self._style(kind or "muted"))
            yield line

    def _append(self, line: Text, x: int, text: str, kind: str) -> None:
        if x == self._cursor_cell:
            style = self._style("cursor")
            line.append("│" if kind in ("", "warn", "fail") else text, style)
        else:
            line.append(text, self._style(kind) if kind else "")

    @property
    def _cursor_cell(self) -> int:
        columns = columns_of(len(self.points), self._width)
        return columns[self.cursor] // DOTS_ACROSS

    def _left(self, series: Series) -> Iterator[Text]:
        """Beside a chart: the name, the value at the cursor with its verdict, and the worst of all."""
        assert self.view is not None
        values, limit = series.values(self.points), series.limit(self.view)
        value = series.values([self.point])[0] if self.point else None
        verdict = series.verdict(value, limit)
        sign, name = (verdict_sign(verdict)[0], verdict) if verdict else (" ", "muted")
        first = Text(no_wrap=True)
        first.append(clipped(f" {series.title}", LEFT - 11), self._style("name"))
        first.append(f"{series.write(value):>7} ", self._style("name"))
        first.append(f"{sign}  ", self._style(name if verdict != "pass" else "pass"))
        yield first
        yield Text(clipped(f" {series.about}", LEFT), self._style("muted"))
        worst = series.worst(values)
        told = "not measured" if worst is None else f"worst v{self.points[worst].number}"
        text = "" if worst is None else f"{series.write(values[worst]):>7}"
        yield Text(clipped(f" {told}", LEFT - len(text) - 4) + text + " " * 4, self._style("muted"))
