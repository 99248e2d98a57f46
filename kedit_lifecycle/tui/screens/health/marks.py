"""What happened along a line: where the model's state changed, and what the gate took back."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import AuditPage, SeriesPoint

STRIP = {"healthy": "─", "degrading": "╌", "collapsed": "━"}
"""What the strip of states goes on with, behind the sign of a change."""

_RANK = {"": 0, "healthy": 1, "degrading": 2, "collapsed": 3}


def changes(points: Sequence[SeriesPoint]) -> list[tuple[int, str]]:
    """(place, state) wherever the state is another than at the last point that was judged."""
    found: list[tuple[int, str]] = []
    for place, point in enumerate(points):
        if point.state and (not found or found[-1][1] != point.state):
            found.append((place, point.state))
    return found


def strip(points: Sequence[SeriesPoint], cells: Sequence[int], width: int) -> list[tuple[str, bool]]:
    """The state of each cell, the worst of its points, and whether it changed there.

    Args:
        points: the line.
        cells: of each point, its cell.
        width: how many cells there are.
    """
    states = [""] * width
    for point, cell in zip(points, cells, strict=True):
        if _RANK.get(point.state, 0) > _RANK.get(states[cell], 0):
            states[cell] = point.state
    last = ""
    found = []
    end = cells[-1] if cells else -1
    for cell, state in enumerate(states):
        now = state or (last if cell <= end else "")
        found.append((now, bool(now) and now != last))
        last = now
    return found


def attempts_at(points: Sequence[SeriesPoint], page: AuditPage) -> dict[int, int]:
    """How many attempts were taken back at a place: of the last point at or before the version they began at.

    Those that began before the first point, the unedited model among them, count as there.
    """
    numbers = [point.number for point in points]
    found: dict[int, int] = {}
    for event in page.events:
        number = event.payload.get("number")
        if isinstance(number, int) and numbers and number <= numbers[-1]:
            place = max(bisect_right(numbers, number) - 1, 0)
            found[place] = found.get(place, 0) + 1
    return found
