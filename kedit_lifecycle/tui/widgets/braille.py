"""Drawing in a terminal: eight dots to a cell, as braille."""

from __future__ import annotations

from collections.abc import Iterator

DOTS_ACROSS, DOTS_DOWN = 2, 4  # of one cell
_EMPTY = 0x2800
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Braille:
    """A canvas of `width` × `height` cells; dots are counted from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.width = max(width, 0)
        self.height = max(height, 0)
        self._cells = [[0] * self.width for _ in range(self.height)]

    @property
    def across(self) -> int:
        """Dots from left to right."""
        return self.width * DOTS_ACROSS

    @property
    def down(self) -> int:
        """Dots from top to bottom."""
        return self.height * DOTS_DOWN

    def dot(self, x: int, y: int) -> None:
        """One dot; none where it lies outside."""
        if 0 <= x < self.across and 0 <= y < self.down:
            row, column = y // DOTS_DOWN, x // DOTS_ACROSS
            self._cells[row][column] |= _BITS[y % DOTS_DOWN][x % DOTS_ACROSS]

    def line(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """A straight line, both ends with it."""
        for x, y in _between(x0, y0, x1, y1):
            self.dot(x, y)

    def rows(self) -> list[str]:
        """The lines of text; a space where there is no dot."""
        return ["".join(chr(_EMPTY + bits) if bits else " " for bits in row) for row in self._cells]


def _between(x0: int, y0: int, x1: int, y1: int) -> Iterator[tuple[int, int]]:
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    for step in range(steps + 1):
        yield round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)


def placed(value: float, low: float, high: float, dots: int) -> int:
    """Which of so many dots a value is at, counted from `low`; what lies outside is at the edge."""
    if dots <= 1 or high <= low:
        return 0
    share = (min(max(value, low), high) - low) / (high - low)
    return round(share * (dots - 1))
