"""What can be done while composing. They ask the screen what stands in the form and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedit_lifecycle.tui.actions import Action

if TYPE_CHECKING:
    from kedit_lifecycle.tui.screens.compose.screen import ComposeScreen
    from kedit_lifecycle.tui.session import Session


def actions_of(screen: ComposeScreen) -> tuple[Action, ...]:
    """The actions of one Compose screen."""

    def command(session: Session, *, dry_run: bool = False) -> str:
        return screen.command(dry_run=dry_run)

    return (
        Action("compose.try", "ctrl+t", "Dry run: make and measure the edit, write nothing", "dry run",
               cli=lambda s: command(s, dry_run=True), enabled=lambda s: _try(screen, s)),
        Action("compose.make", "ctrl+s", "Make the edit; the gate accepts it or takes it back",
               "make the edit", writes=True, cli=command, enabled=lambda s: screen.why_not()),
        Action("compose.back", "escape", "Cancel the running edit; else to the form, or out of its fields",
               "back", engine=False),
        Action("compose.see", "enter", "See the version that was made in the ledger", engine=False,
               enabled=lambda s: None if screen.made is not None else "no version was made here"),
        Action("compose.undo", "u", "Take the edit back that was made here", writes=True,
               cli=lambda s: s.cli("undo"), enabled=lambda s: _undo(screen, s)),
        Action("compose.supersede", "s", "Make it in the place of the earlier edits that it contradicts",
               writes=True, cli=lambda s: screen.command(supersede=True, again=True),
               enabled=lambda s: _again(screen)),
        Action("compose.memory", "m", "Put the fact into the memory instead", writes=True,
               cli=lambda s: screen.command(memory=True, again=True), enabled=lambda s: _again(screen)),
        Action("compose.method", "o", "Choose another method", engine=False),
        Action("compose.write", "i", "Into the fields", engine=False),
        Action("compose.clear", "ctrl+n", "Empty the form", "empty", engine=False),
    )  # fmt: skip


def _try(screen: ComposeScreen, session: Session) -> str | None:
    if session.info is not None and session.info.readonly:
        return "the engine is read-only"
    return screen.why_not()


def _again(screen: ComposeScreen) -> str | None:
    run = screen.run
    if run is None or not run.turned_down:
        return "nothing was turned down here"
    return None


def _undo(screen: ComposeScreen, session: Session) -> str | None:
    if screen.made is None:
        return "nothing was made here"
    if session.overview is not None and session.overview.head > screen.made:
        return f"HEAD is past v{screen.made}: roll back in the ledger"
    return None
