"""The events of the chain as a list of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text

from kedit_lifecycle.tui.text import clipped
from kedit_lifecycle.tui.widgets.paged_list import PagedList

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import AuditView

_KIND, _AUTHOR, _HASH = 10, 10, 8
_WIDE = 110  # cells from which on the hash stands there too


class EventList(PagedList["AuditView"]):
    """Events, newest first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"events--muted", "events--kind"}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, nothing="no event is of this kind")
        self.highest = 0

    def key_of(self, row: AuditView) -> object:
        """Its place in the chain."""
        return row.seq

    def row_text(self, row: AuditView, width: int) -> Text:
        """Number, time, author, kind, what happened, command."""
        muted = self.style("events--muted")
        day, clock = row.time[:10], row.time[11:19]
        text = Text(no_wrap=True, end="")
        text.append(f" {row.seq:>{self._digits}} ", muted)
        text.append(f"{day} {clock} ", muted)
        text.append(clipped(row.author, _AUTHOR) + " ")
        text.append(clipped(row.kind, _KIND) + " ", self.style("events--kind"))
        rest = width - text.cell_len - (_HASH + 1 if width >= _WIDE else 0)
        what = rest if rest < 44 else rest // 2
        text.append(clipped(row.summary, what))
        if what < rest:
            text.append(" " + clipped(row.command, rest - what - 1), muted)
        if width >= _WIDE:
            text.append(" " + row.hash[:_HASH], muted)
        return text

    def heading(self) -> str:
        """What stands over the columns."""
        return (
            f" {'#':>{self._digits}} {'time (UTC)':<19} {'author':<{_AUTHOR}} {'kind':<{_KIND}} what happened"
        )

    @property
    def _digits(self) -> int:
        return max(len(str(self.highest)), 2)
