"""What can be done on the memory screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedit_lifecycle.tui.actions import Action

if TYPE_CHECKING:
    from kedit_lifecycle.tui.session import Session


def _entries(session: Session) -> str | None:
    seen = session.overview
    return None if seen and seen.memory_entries else "the memory at HEAD is empty"


def _at_head(session: Session) -> str | None:
    head = session.overview.head if session.overview else None
    if session.cursor not in (None, head):
        return f"only the memory at HEAD (v{head}) can be: H goes there"
    return _entries(session)


def _away(session: Session) -> str | None:
    return "this is HEAD's memory" if session.overview and session.cursor == session.overview.head else None


ACTIONS: tuple[Action, ...] = (
    Action("memory.test", "t", "Test a query: the nearest facts, their scores, who answers and what", "test",
           cli=""),
    Action("memory.mark", "space", "Mark the facts of this version, to consolidate them", "mark",
           engine=False),
    Action("memory.mark-none", "u", "Take all marks away", engine=False),
    Action("memory.consolidate", "c", "Write the marked facts, or all, into the weights", "consolidate",
           writes=True, enabled=_at_head),
    Action("memory.roc", "o", "The threshold on its ROC curve, or what was tested", "ROC", engine=False),
    Action("memory.head", "H", "The memory at HEAD", "HEAD", enabled=_away),
    Action("memory.ledger", "enter", "Show the version of this fact in the ledger", engine=False),
)  # fmt: skip

LEGEND: tuple[tuple[str, str], ...] = (
    ("*", "marked, to go into the weights; all facts of a version go together"),
    ("▸", "the fact that answered the query that was tested"),
    ("v7.1", "the second fact that version 7 put into the memory"),
    ("◆ ○", "on the ROC curve: the threshold, and the score of the query"),
    ("█████░░░░░ .97", "P(in scope), as the scope classifier says it; from the threshold on it answers"),
    ("cos", "how near the query is to the fact, by which the facts were looked up"),
)
