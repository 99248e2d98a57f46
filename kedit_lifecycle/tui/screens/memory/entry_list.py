"""The entries of a memory as a list of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text

from kedit_lifecycle.tui.text import clipped, inert
from kedit_lifecycle.tui.widgets.paged_list import PagedList

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import MemoryEntryView

_RELATION, _METHOD = 8, 7
_WIDE = 70  # cells from which on relation and method stand there too
_TARGET = 0.3  # of the room, for what is answered


def question(entry: MemoryEntryView) -> str:
    """What it answers."""
    return entry.prompt.replace("{}", entry.subject)


class EntryList(PagedList["MemoryEntryView"]):
    """Entries, oldest first. `marked` are versions: all facts of one go into the weights together."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "entries--mark",
        "entries--muted",
        "entries--target",
        "entries--hit",
    }

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, nothing="no fact in this memory is like that")
        self.marked: set[int] = set()
        self.highest = 0
        self.hit: tuple[int, int] | None = None

    def key_of(self, row: MemoryEntryView) -> object:
        """Its version and its place there."""
        return row.version, row.position

    def row_text(self, row: MemoryEntryView, width: int) -> Text:
        """Mark, version, what is asked, what is answered."""
        muted = self.style("entries--muted")
        text = Text(no_wrap=True, end="")
        hit = self.hit == (row.version, row.position)
        text.append("*" if row.version in self.marked else " ", self.style("entries--mark"))
        text.append("▸" if hit else " ", self.style("entries--hit"))
        more = f".{row.position}" if row.position else ""
        text.append(f"{clipped(f'v{row.version}{more}', self._digits)} ", muted)
        rest = width - text.cell_len - (_RELATION + _METHOD + 2 if width >= _WIDE else 0)
        target = min(cell_len(inert(row.target, 200)), max(int(rest * _TARGET), 6))
        asked = clipped(question(row), max(rest - target - 3, 0)).rstrip()
        text.append(asked)
        text.append(" → ", muted)
        text.append(clipped(row.target, target), self.style("entries--target"))
        if width >= _WIDE:
            text.append(" " * max(width - _RELATION - _METHOD - 1 - text.cell_len, 0))
            text.append(f"{clipped(row.relation or '·', _RELATION)} {clipped(row.method, _METHOD)}", muted)
        return text

    def heading(self, width: int) -> str:
        """What stands over the columns."""
        left = f"  {'v':<{self._digits}} asked → answered"
        if width < _WIDE:
            return left
        return (
            f"{clipped(left, width - _RELATION - _METHOD - 1)}{'relation':<{_RELATION}} {'method':<{_METHOD}}"
        )

    @property
    def _digits(self) -> int:
        return len(str(self.highest)) + 3
