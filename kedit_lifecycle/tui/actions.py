"""What can be done: one description that keys, footer, help and command palette all read.

A screen lists its actions in `ACTIONS`; the method that does one is named `act_` and the last part of its id
(`ledger.roll-back` is `act_roll_back`). `KeditApp.perform` is the only way there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedit_lifecycle.tui.session import Session

Reason = Callable[["Session"], str | None]
"""Why something cannot be done now; None if it can."""


def always(session: Session) -> str | None:
    """It can always be done."""
    return None


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a person can do.

    Attributes:
        id: screen and verb, `ledger.undo`.
        keys: Textual's key names, several separated by commas; a user's key map may say otherwise.
        help: a sentence for help and palette.
        label: the word in the footer; empty: not there.
        cli: the same on the command line, as text; empty: there is no such command, or the method logs
            it itself once it knows all of it.
        enabled: why it cannot be done now, or None.
        writes: it changes the store, so `--readonly` turns it off.
        engine: it needs an engine that answers.
        palette: it is worth finding in the command palette.
    """

    id: str
    keys: str
    help: str
    label: str = ""
    cli: str | Callable[[Session], str] = ""
    enabled: Reason = always
    writes: bool = False
    engine: bool = True
    palette: bool = True

    @property
    def method(self) -> str:
        """The name of the method that does it."""
        return "act_" + self.id.rpartition(".")[2].replace("-", "_")

    def reason(self, session: Session) -> str | None:
        """Why it cannot be done now; None if it can."""
        if self.writes and session.readonly:
            return "this session is read-only"
        if self.engine and not session.connected:
            return "no engine answers (S starts it)"
        return self.enabled(session)

    def command(self, session: Session) -> str:
        """The same on the command line; empty where there is no such command."""
        return self.cli if isinstance(self.cli, str) else self.cli(session)


GLOBAL: tuple[Action, ...] = (
    Action("app.filter", "slash", "Show only what holds these words", "filter", engine=False,
           enabled=lambda s: s.nothing_filters),
    Action("app.refresh", "r", "Read everything on this screen again"),
    Action("app.copy", "y", "Copy what the cursor is on to the clipboard", engine=False),
    Action("app.cancel", "x", "Cancel the running job at a safe point", enabled=lambda s: s.nothing_runs()),
    Action("app.start-engine", "S", "Start the engine again", engine=False, cli=lambda s: s.start_command(),
           enabled=lambda s: s.engine_is_there()),
    Action("app.command-log", "l", "What was done here, as command lines", engine=False),
    Action("app.theme", "d", "The next theme: dark, light, ansi, high contrast", engine=False),
    Action("app.jump", "f,ctrl+o", "Jump: letters on all that has a focus", engine=False, palette=False),
    Action("app.next", "right_square_bracket", "The next screen", engine=False, palette=False),
    Action("app.previous", "left_square_bracket", "The screen before", engine=False, palette=False),
    Action("app.quit", "q", "Leave; the engine and its jobs go on", engine=False),
    Action("app.palette", "colon", "Do anything by its name", "command", engine=False, palette=False),
    Action("app.help", "question_mark,f1", "The keys, and what they do", "help", engine=False),
)  # fmt: skip
"""What can be done on every screen, behind what the screen itself says."""


def screen_action(name: str, title: str, place: int) -> Action:
    """The action that shows a screen; the first nine are on the digits."""
    key = str(place + 1) if place < 9 else ""
    return Action(f"show.{name}", key, f"Show the screen {title}", engine=False)
