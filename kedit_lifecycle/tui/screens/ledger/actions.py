"""What can be done in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedit_lifecycle.tui.actions import Action
from kedit_lifecycle.tui.screens import registry

if TYPE_CHECKING:
    from kedit_lifecycle.tui.session import Session


def _on_version(session: Session) -> str | None:
    if session.attempt is not None:
        return "the gate took this attempt back: it is no version"
    return None if session.cursor is not None else "no version is under the cursor"


def _undo(session: Session) -> str | None:
    return None if session.overview and session.overview.can_undo else "there is nothing to undo"


def _redo(session: Session) -> str | None:
    return None if session.overview and session.overview.can_redo else "there is nothing to do again"


def _roll_back(session: Session) -> str | None:
    at_head = session.overview is not None and session.overview.head == session.cursor
    return _on_version(session) or ("HEAD is here already" if at_head else None)


def _compare(session: Session) -> str | None:
    if other(session) == session.cursor:
        return (
            "m marks another version to compare with" if session.marked is None else "this is the marked one"
        )
    return _on_version(session)


def other(session: Session) -> int | None:
    """What is compared with: the marked version, else HEAD."""
    return (
        session.marked
        if session.marked is not None
        else (session.overview.head if session.overview else None)
    )


def _screen(name: str, session: Session) -> str | None:
    there = any(one.name == name for one in registry.screens())
    return None if there else f"the screen {name} is not installed"


def _ask(session: Session) -> str | None:
    return _on_version(session) or _screen("ask", session)


ACTIONS: tuple[Action, ...] = (
    Action("ledger.new", "n", "Compose a new edit", "new", writes=True,
           enabled=lambda s: _screen("compose", s), cli="kedit edit --subject … --target …"),
    Action("ledger.undo", "z", "Undo the last edit, rollback or switch", "undo", writes=True, enabled=_undo,
           cli=lambda s: s.cli("undo")),
    Action("ledger.redo", "Z", "Do again what was undone", "redo", writes=True, enabled=_redo,
           cli=lambda s: s.cli("redo")),
    Action("ledger.roll-back", "b", "Roll back to this version; undo brings the others back", "roll back",
           writes=True, enabled=_roll_back, cli=lambda s: s.cli("rollback", s.cursor)),
    Action("ledger.compare", "c", "Compare with the marked version, or with HEAD", "compare",
           enabled=_compare, cli=lambda s: s.cli("diff", other(s), s.cursor)),
    Action("ledger.ask", "a", "Ask this version, beside the unedited model", "ask", enabled=_ask),
    Action("ledger.check", "C", "Check this version's health again", "check",
           enabled=_on_version, cli=lambda s: s.cli("check", s.cursor)),
    Action("ledger.mark", "m", "Mark this version, to compare others with it", enabled=_on_version),
)  # fmt: skip
