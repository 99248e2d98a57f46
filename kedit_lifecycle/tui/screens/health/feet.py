"""What stands beneath the charts: the states, what was taken back, and the versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from kedit_lifecycle.tui.screens.health.band import columns_of
from kedit_lifecycle.tui.screens.health.marks import STRIP, strip
from kedit_lifecycle.tui.signs import state_sign
from kedit_lifecycle.tui.text import clipped
from kedit_lifecycle.tui.widgets.braille import DOTS_ACROSS

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import SeriesPoint

LEFT, RIGHT = 22, 11  # cells beside the charts: what a series is, and its limits
FEET = 3
"""Lines beneath the charts."""

TAKEN_BACK = "▿"


@dataclass(frozen=True, slots=True)
class Feet:
    """Three lines under charts of `width` cells; `point` is what is known of the version at the cursor."""

    points: Sequence[SeriesPoint]
    point: SeriesPoint | None
    cursor: int
    attempts: Mapping[int, int]
    width: int
    style: Callable[[str], Style]

    def lines(self) -> Iterator[Text]:
        """The lines."""
        columns = columns_of(len(self.points), self.width)
        cells = [min(column // DOTS_ACROSS, self.width - 1) for column in columns]
        at = cells[self.cursor]
        yield self._states(cells, at)
        yield self._attempts(cells, at)
        yield self._axis(at)

    def _states(self, cells: Sequence[int], at: int) -> Text:
        state = (self.point.state if self.point else "") or "unknown"
        line = Text(no_wrap=True, end="")
        kind = f"state-{state}" if state in STRIP else "muted"
        line.append(" state ", self.style("muted"))
        line.append(clipped(f"{state_sign(state)[0]} {state}", LEFT - 7), self.style(kind))
        for x, (now, new) in enumerate(strip(self.points, cells, self.width)):
            text = state_sign(now)[0] if new else STRIP.get(now, " ")
            style = "cursor" if x == at else f"state-{now}" if now in STRIP else "muted"
            line.append(text, self.style(style))
        line.append(clipped(" state", RIGHT), self.style("muted"))
        return line

    def _attempts(self, cells: Sequence[int], at: int) -> Text:
        count = sum(self.attempts.values())
        here = self.attempts.get(self.cursor, 0)
        told = f" taken back {count:,}" + (f", {here} here" if here else "")
        line = Text(clipped(told, LEFT), self.style("muted"), no_wrap=True, end="")
        marked = {cells[place] for place in self.attempts if place < len(cells)}
        for x in range(self.width):
            style = self.style("cursor" if x == at else "fail")
            line.append(TAKEN_BACK if x in marked else (" " if x != at else "│"), style)
        line.append(clipped(" rejected", RIGHT), self.style("muted"))
        return line

    def _axis(self, at: int) -> Text:
        first, last = f"v{self.points[0].number}", f"v{self.points[-1].number}"
        name = f"v{self.point.number}" if self.point else ""
        axis = [" "] * self.width
        ends = ((first, 0), (last, self.width - len(last))) if len(self.points) > 1 else ()
        for text, place in ends:
            axis[max(place, 0) : max(place, 0) + len(text)] = text
        begin = max(min(at - len(name) // 2, self.width - len(name)), 0)
        clear = range(max(begin - 1, 0), min(begin + len(name) + 1, self.width))
        for x in clear:
            axis[x] = " "
        line = Text(clipped(f" at the cursor {name}", LEFT), self.style("name"), no_wrap=True, end="")
        text = "".join(axis[: self.width])
        line.append(text[:begin], self.style("muted"))
        line.append(name, self.style("cursor"))
        line.append(text[begin + len(name) :], self.style("muted"))
        line.append(clipped(" version", RIGHT), self.style("muted"))
        return line
