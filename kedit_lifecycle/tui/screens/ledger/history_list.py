"""The history as a list of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.message import Message

from kedit_lifecycle.tui.screens.ledger.columns import Columns, heading, row_text
from kedit_lifecycle.tui.widgets.paged_list import PagedList

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import HistoryRow

_STYLES = (
    *("row", "off", "graph", "attempt", "route", "muted", "label", "head", "target"),
    *("plain", "pass", "warn", "fail"),
)

LEGEND: tuple[tuple[str, str], ...] = (
    ("●  │○  │✗", "on HEAD's line; not on it; an attempt that the gate took back"),
    ("▸main [b] <t>", "the branch that HEAD is on, another branch, a tag"),
    ("w  m", "an editor of the weights made it; the memory answers"),
    ("↰12", "made on version 12, not on the one before"),
    ("+3  ⊘", "three more facts; later edits took its place"),
    ("ES PS NS", "efficacy, paraphrase, neighborhood score when it was made; · not measured"),
    ("ppl", "perplexity against the unedited model's"),
    ("● ◐ ✗", "the model was healthy, degrading, collapsed with it"),
    ("*", "marked, to be compared with"),
)


class HistoryList(PagedList["HistoryRow"]):
    """Versions and attempts, newest first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"history--{name}" for name in _STYLES}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, nothing="no version is like that")
        self.head = 0
        self.highest = 0
        self.marked: int | None = None
        self.filtered = False

    class Headed(Message):
        """What stands over the columns is another text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def columns(self, width: int) -> Columns:
        """The columns as wide as they are now."""
        return Columns.fitting(width, self.highest)

    def key_of(self, row: HistoryRow) -> object:
        """The event that made it."""
        return row.key

    def row_text(self, row: HistoryRow, width: int) -> Text:
        """One row in its columns."""
        return row_text(row, self.columns(width), self.head, self.marked, self.style)

    def head_place(self) -> int | None:
        """Where HEAD's row is, among the rows that are there."""
        return next((place for place, row in self.known_rows() if row.number == self.head), None)

    def heading(self) -> str:
        """What stands over the columns."""
        return heading(self.columns(self.room.width), self.total if self.filtered else None)
