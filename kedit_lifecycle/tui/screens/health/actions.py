"""What can be done on the health screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedit_lifecycle.tui.actions import Action

if TYPE_CHECKING:
    from kedit_lifecycle.tui.session import Session


def _version(session: Session) -> str | None:
    return None if session.cursor is not None else "no version is under the cursor"


def _edited(session: Session) -> str | None:
    return _version(session) or ("the unedited model has no edits to measure" if not session.cursor else None)


ACTIONS: tuple[Action, ...] = (
    Action("health.check", "g", "Check this version in full now; nothing is written", "check",
           enabled=_version, cli=lambda s: s.cli("check", s.cursor)),
    Action("health.evaluate", "e", "Measure every edit up to this version again, on its model", "evaluate",
           writes=True, enabled=_edited, cli=lambda s: s.cli("eval", "--ref", s.cursor)),
    Action("health.view", "v", "Charts, the retention matrix, or the numbers", "view", engine=False),
    Action("health.scale", "s", "Draw up to the limits, or close to the values", "scale", engine=False),
    Action("health.next-mark", "n", "Where something happened next: another state, an attempt", "next mark",
           engine=False),
    Action("health.previous-mark", "N", "Where something happened before", engine=False),
    Action("health.ledger", "enter", "Show this version in the ledger", engine=False, enabled=_version),
)  # fmt: skip

LEGEND: tuple[tuple[str, str], ...] = (
    ("╌ warn  ─ fail", "where a check warns and fails; of retention and locality these are floors"),
    ("↑ ↓", "the limit lies above or below what is drawn; s draws up to the limits"),
    ("▲ ▼", "the value lies far beyond what is drawn"),
    ("● ◐ ✗", "from here on the model was healthy, degrading, collapsed; ─ ╌ ━ it went on so"),
    ("▿", "the gate took back an edit that was tried on this version"),
    ("█ ▓ ▒ ░ ×", "of a version's facts held: all, 3/4, half, some, none; · not measured"),
)
