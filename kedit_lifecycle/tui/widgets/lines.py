"""Lines of a detail pane: headings, names with values, and paragraphs with a hanging indent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content

from kedit_lifecycle.tui.text import inert

NAME = 11  # cells of the column of names

Part = str | tuple[str, str] | Content


def section(title: str, rows: Iterable[Content]) -> list[Content]:
    """A heading and its rows, with an empty line before; nothing if there are no rows."""
    found = list(rows)
    return [Content(""), Content.styled(title, "bold $primary"), *found] if found else []


def named(name: str, *parts: Part) -> Content:
    """A name in its column, and what stands beside it."""
    return Content.assemble((f"{inert(name, 60):<{NAME}} ", "$text-muted"), *parts)


def outside(text: str, style: str = "") -> Content:
    """Text from outside, inert."""
    return Content.styled(inert(text), style) if style else Content(inert(text))


def joined(rows: Sequence[Content]) -> Content:
    """The rows as one text."""
    return Content("\n").join(rows)
