"""A series drawn over several lines of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kedit_lifecycle.tui.widgets.sparkline import BLOCKS, evenly

_FULL = BLOCKS[-1]
_WIDEST = 3  # cells of a column
_RANGE = 8.0  # highest by lowest from which on logarithms show more


def curve(values: Sequence[float | None], width: int, height: int) -> list[str]:
    """The series as columns, from the top line down; at most `width` cells wide, a short series wider each.

    Values that span much are drawn by their logarithms. Where one is None or no number, nothing stands.
    """
    taken = [one if one is not None and math.isfinite(one) else None for one in evenly(values, width)]
    there = [one for one in taken if one is not None]
    if not there or height <= 0:
        return []
    low, high = min(there), max(there)
    if low > 0 and high / low > _RANGE:
        taken = [None if one is None else math.log(one) for one in taken]
        low, high = math.log(low), math.log(high)
    eighths = [None if one is None else _eighths(one, low, high, height) for one in taken]
    each = max(min(width // len(eighths), _WIDEST), 1)
    return ["".join(_cell(one, line) * each for one in eighths) for line in reversed(range(height))]


def _eighths(value: float, low: float, high: float, height: int) -> int:
    """How high a column is, at least one eighth of a line."""
    share = (value - low) / (high - low) if high > low else 0.0
    return 1 + round(share * (height * len(BLOCKS) - 1))


def _cell(eighths: int | None, line: int) -> str:
    if eighths is None:
        return " "
    left = eighths - line * len(BLOCKS)
    return _FULL if left >= len(BLOCKS) else BLOCKS[left - 1] if left > 0 else " "


def bar(share: float, width: int) -> str:
    """A share of 1 as a bar of at most `width` cells, in eighths of a cell."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    part = " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    return "█" * (eighths // 8) + part
