"""What goes to the terminal. stdout is data, stderr is narration, and text from facts is never obeyed."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

WIDTH = 80  # of every table, on a terminal and in a pipe
GAP = 2  # between two columns
SMALLEST = 8  # an elastic column is never narrower
JOINERS = "\u200c\u200d"  # format characters that ordinary text needs: Persian, emoji


def inert(text: str) -> str:
    r"""The text with every character a terminal would obey, or hide, written out: `\x1b`, `\n`, `\u202e`.

    These are control characters, bidirectional and other format characters, line and paragraph
    separators, and lone surrogates.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if _acts(character) else character for character in text)


def _acts(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in JOINERS


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def line(text: str = "") -> None:
    """One line of data on stdout, made inert."""
    sys.stdout.write(inert(text) + "\n")


def paragraph(heading: str, text: str, indent: int = 10) -> None:
    """A heading and its text on stdout, wrapped to the width of a table."""
    shown = textwrap.fill(
        inert(text),
        WIDTH,
        initial_indent=heading.ljust(indent),
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )
    sys.stdout.write(shown + "\n")


def narrate(text: str) -> None:
    """One line about what is going on, on stderr, made inert."""
    sys.stderr.write(inert(text) + "\n")
    sys.stderr.flush()


def emit_json(value: Any) -> None:
    """A value as JSON on stdout, in ASCII, keys as they come; NaN and infinities become null."""
    sys.stdout.write(json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """Dataclasses, pydantic models, tuples and paths as JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; one of them may be `elastic`: it gives way when the table is too wide."""

    heading: str
    justify: Literal["left", "right"] = "left"
    elastic: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> str:
    """A table of at most 80 columns, the same bytes wherever it goes; cells are made inert."""
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[inert(str(cell)) for cell in row] for row in rows]
    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="")
    for column, width in zip(columns, _widths(columns, cells), strict=True):
        grid.add_column(
            Text(column.heading), justify=column.justify, no_wrap=True, overflow="ellipsis", width=width
        )
    for row in cells:
        grid.add_row(*map(Text, row))
    drawn = StringIO()
    console = Console(
        file=drawn, width=WIDTH, color_system=None, force_terminal=False, legacy_windows=False, _environ={}
    )
    console.print(grid)
    return "\n".join(row.rstrip() for row in drawn.getvalue().rstrip("\n").split("\n"))


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> list[int]:
    """What each column needs; the widest elastic ones give way until all fit."""
    from rich.cells import cell_len

    wanted = [
        min(WIDTH, max([len(column.heading), *(cell_len(row[place]) for row in cells)]))
        for place, column in enumerate(columns)
    ]
    elastic = [place for place, column in enumerate(columns) if column.elastic]
    while elastic and sum(wanted) + GAP * (len(columns) - 1) > WIDTH:
        widest = max(elastic, key=wanted.__getitem__)
        if wanted[widest] <= SMALLEST:
            break
        wanted[widest] -= 1
    return wanted


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout."""
    sys.stdout.write(table(columns, rows) + "\n")


def clipped(text: str, width: int) -> str:
    """The text made inert, cut to so many characters with … at the end."""
    shown = inert(text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def number(value: float | None, digits: int = 3) -> str:
    """A measure for a table: so many decimals, a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.{digits}f}" if abs(value) < 10_000 else f"{value:.3g}"
