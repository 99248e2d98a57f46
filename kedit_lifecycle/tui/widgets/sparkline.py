"""A series in one line of text."""

from __future__ import annotations

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
_GAP = "·"


def sparkline(
    values: Sequence[float | None], width: int, low: float | None = None, high: float | None = None
) -> str:
    """The series in at most `width` cells, oldest first.

    Args:
        values: None where nothing was measured.
        width: cells; a longer series is taken evenly, its last value among them.
        low: the value of the lowest block, default the smallest of the series.
        high: the value of the highest block, default the largest.
    """
    taken = evenly(values, width)
    there = [value for value in taken if value is not None]
    if not there:
        return ""
    low = min(there) if low is None else low
    high = max(there) if high is None else high
    return "".join(_GAP if value is None else _block(value, low, high) for value in taken)


def evenly(values: Sequence[float | None], width: int) -> list[float | None]:
    """At most `width` of the values, evenly taken, the last one always."""
    count = len(values)
    if width <= 0 or not count:
        return []
    if count <= width:
        return list(values)
    return [
        values[count - 1 - (width - 1 - place) * (count - 1) // max(width - 1, 1)] for place in range(width)
    ]


def _block(value: float, low: float, high: float) -> str:
    if high <= low:
        return BLOCKS[0] if value <= low else BLOCKS[-1]
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return BLOCKS[round(share * (len(BLOCKS) - 1))]
