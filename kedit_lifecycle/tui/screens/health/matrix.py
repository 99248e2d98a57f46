"""The retention matrix: whether each version's facts still held at later versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kedit_lifecycle.tui.text import clipped, number

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import RetentionView

_SHADES: tuple[tuple[float, str, str], ...] = (
    (0.999, "█", "full"), (0.75, "▓", "most"), (0.5, "▒", "half"), (1e-9, "░", "some"), (-1.0, "×", "none"),
)  # fmt: skip
_HEAD = 2  # lines over the rows: what the cursor is on, and the columns' versions


def shade(value: float | None) -> tuple[str, str]:
    """The character and the style of a share."""
    if value is None:
        return "·", "missing"
    return next((sign, name) for least, sign, name in _SHADES if value >= least)


class RetentionMatrix(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows are versions whose facts were asked again, columns the versions at which they were."""

    DEFAULT_CSS = """
    RetentionMatrix { height: 1fr; width: 1fr; scrollbar-size: 1 1; overflow: auto auto; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"matrix--{name}"
        for name in ("head", "muted", "cursor", "full", "most", "half", "some", "none", "missing")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(0, -1)", "Measured at the version before", show=False),
        Binding("right", "step(0, 1)", "Measured at the version after", show=False),
        Binding("up,k", "step(-1, 0)", "Facts of the version before", show=False),
        Binding("down,j", "step(1, 0)", "Facts of the version after", show=False),
        Binding("pageup", "step(-10, 0)", "Ten up", show=False),
        Binding("pagedown", "step(10, 0)", "Ten down", show=False),
        Binding("home,0", "edge(0)", "The first column", show=False),
        Binding("end,dollar_sign", "edge(-1)", "The last column", show=False),
    ]

    class Moved(Message):
        """The cursor is at another column: `number` is its version."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.view: RetentionView | None = None
        self.row = 0
        self.column = 0

    def put(self, view: RetentionView, version: int | None) -> None:
        """Another matrix."""
        self.view = view
        self.row = max(min(self.row, len(view.rows) - 1), 0)
        self._fit()
        self.look_at(version)

    def look_at(self, version: int | None) -> None:
        """Go to the column of a version, or the last before it."""
        if self.view and self.view.columns:
            before = [
                place for place, one in enumerate(self.view.columns) if version is None or one <= version
            ]
            self._go(self.row, before[-1] if before else 0)
        self.refresh()

    @property
    def value(self) -> float | None:
        """The share at the cursor."""
        return self.view.values[self.row][self.column] if self.view and self._there else None

    @property
    def _there(self) -> bool:
        return bool(self.view and self.view.rows and self.view.columns)

    @property
    def _cell(self) -> int:
        """Cells of a column."""
        columns = self.view.columns if self.view else ()
        return max(len(str(max(columns, default=0))) + 1, 3)

    @property
    def _label(self) -> int:
        rows = self.view.rows if self.view else ()
        return max(len(str(max(rows, default=0))) + 3, 5)

    def _fit(self) -> None:
        if self.view is not None:
            width = self._label + self._cell * len(self.view.columns)
            self.virtual_size = Size(width, _HEAD + len(self.view.rows))

    def _go(self, row: int, column: int) -> None:
        assert self.view is not None
        self.row = max(min(row, len(self.view.rows) - 1), 0)
        self.column = max(min(column, len(self.view.columns) - 1), 0)
        room = self.scrollable_content_region.size
        x, y = self.column * self._cell, self.row
        left = min(max(self.scroll_offset.x, x + self._cell - max(room.width - self._label, 1)), x)
        top = min(max(self.scroll_offset.y, y + 1 - max(room.height - _HEAD, 1)), y)
        self.scroll_to(left, top, animate=False, force=True, immediate=True)
        self.refresh()

    def _move(self, row: int, column: int) -> None:
        if self._there:
            before = self.column
            self._go(row, column)
            if self.view is not None and self.column != before:
                self.post_message(self.Moved(self.view.columns[self.column]))

    def action_step(self, down: int, right: int) -> None:
        """So many rows and columns on."""
        self._move(self.row + down, self.column + right)

    def action_edge(self, place: int) -> None:
        """The first column, or the last."""
        self._move(self.row, len(self.view.columns) - 1 if place < 0 and self.view else 0)

    def on_click(self, event: events.Click) -> None:
        """Go to the cell that was clicked."""
        x, y = event.x - self._label + self.scroll_offset.x, event.y - _HEAD + self.scroll_offset.y
        if event.x >= self._label and event.y >= _HEAD:
            self._move(y, x // self._cell)

    def on_resize(self, event: events.Resize) -> None:
        """Fit anew."""
        self._fit()

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        """All lines move."""
        super().watch_scroll_x(old_value, new_value)
        self.refresh(Region(0, 0, self.size.width, self.size.height))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"matrix--{name}", partial=True)

    def render_line(self, y: int) -> Strip:
        """One line of the window; the labels stay where they are."""
        width = self.scrollable_content_region.width
        segments = self._line(y, width).render(self.app.console, end="")
        strip = Strip(Segment.apply_style(segments, self.rich_style))
        return strip.adjust_cell_length(width, self.rich_style)

    def _line(self, y: int, width: int) -> Text:
        if self.view is None:
            return Text(" …" if y == 0 else "", self._style("muted"))
        if not self._there:
            told = (" retention: no fact was asked again yet", " e measures every edit again at the cursor")
            return Text(clipped(told[y], width) if y < len(told) else "", self._style("muted"))
        if y < _HEAD:
            return self._here(width) if y == 0 else self._columns(width)
        row = y - _HEAD + self.scroll_offset.y
        return self._row(row, width) if row < len(self.view.rows) else Text("")

    def _here(self, width: int) -> Text:
        assert self.view is not None
        row, column = self.view.rows[self.row], self.view.columns[self.column]
        what = "not measured" if self.value is None else f"{number(self.value)} held"
        return Text(clipped(f" facts of v{row} at v{column}: {what}", width), self._style("head"), end="")

    def _visible(self, width: int) -> range:
        """The columns that are seen, at least in part."""
        assert self.view is not None
        first = self.scroll_offset.x // self._cell
        return range(first, min(first + (width - self._label) // self._cell + 2, len(self.view.columns)))

    def _columns(self, width: int) -> Text:
        assert self.view is not None
        line = Text(clipped("  at", self._label), self._style("muted"), no_wrap=True, end="")
        for column in self._visible(width):
            style = self._style("head" if column == self.column else "muted")
            line.append(f"{self.view.columns[column]:>{self._cell - 1}} ", style)
        return line

    def _row(self, row: int, width: int) -> Text:
        assert self.view is not None
        label = clipped(f" v{self.view.rows[row]}", self._label)
        line = Text(label, self._style("head" if row == self.row else "muted"), no_wrap=True, end="")
        for column in self._visible(width):
            sign, name = shade(self.view.values[row][column])
            here = row == self.row and column == self.column
            block = sign * (self._cell - 1) if sign not in "·×" else f"{sign:>{self._cell - 1}}"
            line.append(block, self._style("cursor" if here else name))
            line.append(" ")
        return line
