"""One series as a chart: its line, its limits by name, and the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kedit_lifecycle.tui.screens.health.series import Series, Values
from kedit_lifecycle.tui.widgets.braille import DOTS_ACROSS, DOTS_DOWN, Braille, placed

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import Limit

_ROOM = 0.06  # of the scale, beyond the highest and lowest of what is shown
_HUGE = 1e300  # differences of values within it are still numbers
_FAR = 3.0  # values so many times as far off as the last limit are drawn at the edge


@dataclass(frozen=True, slots=True)
class Cell:
    """One character of a chart, and what it belongs to: line, warn, fail, cursor, or nothing."""

    text: str = " "
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """What the bottom and the top of a chart stand for."""

    low: float
    high: float

    @classmethod
    def of(cls, series: Series, values: Values, limit: Limit | None, *, close: bool) -> Scale:
        """From the unedited model's value to beyond the limits; `close`: no more than the values need."""
        there = [value for value in values if value is not None]
        shown = list(there) if close and there else [*there, series.best]
        marks = [one for one in (limit.warn, limit.fail) if one is not None] if limit else []
        if not close:
            shown += marks
            reach = max((abs(one - series.best) for one in marks), default=0.0)
            if reach:
                far = _FAR * reach
                shown = [min(max(one, series.best - far), series.best + far) for one in shown]
        shown = [min(max(one, -_HUGE), _HUGE) for one in shown]
        low, high = min(shown, default=0.0), max(shown, default=1.0)
        room = (high - low) * _ROOM or (abs(high) * 0.02 or 0.02)
        return cls(low - room, high + room)

    def holds(self, value: float) -> bool:
        """It is neither above nor below."""
        return self.low <= value <= self.high


def columns_of(count: int, width: int) -> list[int]:
    """Of each of so many points, its column of dots; one alone stands in the middle."""
    dots = width * DOTS_ACROSS
    if count == 1:
        return [dots // 2]
    return [round(place * (dots - 1) / (count - 1)) for place in range(count)]


def band(
    series: Series, values: Values, limit: Limit | None, scale: Scale, size: tuple[int, int]
) -> list[list[Cell]]:
    """The cells of a chart, line by line; `size` is its width and height in cells."""
    width, height = size
    rows = [[Cell() for _ in range(width)] for _ in range(height)]
    for kind, at in (("warn", limit.warn), ("fail", limit.fail)) if limit else ():
        if at is not None and scale.holds(at):
            row = _row(at, scale, height)
            rows[row] = [Cell("╌" if kind == "warn" else "─", kind)] * width
    columns = columns_of(len(values), width)
    kinds = _kinds(series, values, limit, columns, width)
    for y, text in enumerate(_drawn(values, columns, scale, width, height)):
        for x, one in enumerate(text):
            if one != " ":
                rows[y][x] = Cell(one, kinds.get(x, "line"))
    _mark_far(rows, values, columns, scale)
    return rows


def _drawn(values: Values, columns: Sequence[int], scale: Scale, width: int, height: int) -> list[str]:
    canvas = Braille(width, height)
    before: tuple[int, int] | None = None
    for column, value in zip(columns, values, strict=True):
        if value is None:
            before = None
            continue
        here = (column, canvas.down - 1 - placed(value, scale.low, scale.high, canvas.down))
        canvas.line(*(before or here), *here)
        before = here
    return canvas.rows()


def _kinds(
    series: Series, values: Values, limit: Limit | None, columns: Sequence[int], width: int
) -> dict[int, str]:
    """Of each cell, the worst verdict of the values there, where one is beyond a limit."""
    found: dict[int, str] = {}
    for column, value in zip(columns, values, strict=True):
        verdict, cell = series.verdict(value, limit), min(column // DOTS_ACROSS, width - 1)
        if verdict == "fail" or (verdict == "warn" and found.get(cell) != "line-fail"):
            found[cell] = f"line-{verdict}"
    return found


def _mark_far(rows: list[list[Cell]], values: Values, columns: Sequence[int], scale: Scale) -> None:
    for column, value in zip(columns, values, strict=True):
        if value is not None and not scale.holds(value):
            high = value > scale.high
            rows[0 if high else -1][column // DOTS_ACROSS] = Cell("▲" if high else "▼", "line-fail")


def _row(value: float, scale: Scale, height: int) -> int:
    dots = height * DOTS_DOWN
    return (dots - 1 - placed(value, scale.low, scale.high, dots)) // DOTS_DOWN


def limit_names(series: Series, limit: Limit | None, scale: Scale, height: int) -> list[tuple[str, str]]:
    """Beside each line of a chart: the limit that is drawn there, and which it is; both where two are.

    What the scale does not reach stands at the edge with an arrow.
    """
    names = [("", "")] * height
    for kind, at in (("fail", limit.fail), ("warn", limit.warn)) if limit else ():
        if at is None:
            continue
        arrow = "" if scale.holds(at) else ("↑" if at > scale.high else "↓")
        row = _row(at, scale, height)
        text = f"{kind} {series.write(at)}{arrow}"
        free = [one for one in (row, row + 1, row - 1) if 0 <= one < height and not names[one][0]]
        if free:
            names[free[0]] = (text, kind)
        else:
            names[row] = (f"{names[row][0][:4]}·{text}"[:10], names[row][1])
    return names
