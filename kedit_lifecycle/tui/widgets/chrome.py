"""The lines around every screen: title, tabs, banner, job strip and keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

from textual import events
from textual.content import Content
from textual.style import Style
from textual.widgets import Static

from kedit_lifecycle.tui.actions import Action
from kedit_lifecycle.tui.keymap import Keymap
from kedit_lifecycle.tui.signs import JOBS, state_sign
from kedit_lifecycle.tui.text import clipped, inert

if TYPE_CHECKING:
    from kedit_lifecycle.tui.app import KeditApp
    from kedit_lifecycle.tui.job_watch import JobLine
    from kedit_lifecycle.tui.screens.registry import Entry
    from kedit_lifecycle.tui.session import Session

_SEPARATOR = (" · ", "$text-muted")
_ENGINE = {
    "connecting": ("…", "connecting", "$text-muted"),
    "starting": ("◌", "starting", "$text-warning"),
    "on": ("●", "", "$text-success"),
    "gone": ("✗", "gone", "$text-error"),
}
_CLICKED = "kedit"
_LAST = 3  # labels that are always there
_BAR = 16  # cells of the job's progress bar

Part = tuple[str, str]


class Line(Static):
    """A line of text that is set as a whole; drawn again only when it is another."""

    _shown: Content | None = None

    def show(self, *parts: str | Content | Part) -> None:
        """Show these parts beside each other."""
        content = Content.assemble(*parts)
        if self._shown is None or not self._shown.is_same(content):
            self._shown = content
            self.update(content, layout=False)

    async def on_click(self, event: events.Click) -> None:
        """Do the action of the text that was clicked."""
        action = event.style.meta.get(_CLICKED)
        if action:
            await cast("KeditApp", self.app).perform(action)


def clickable(text: str, action: str, style: str = "") -> Content:
    """Text that does an action of the app when it is clicked."""
    return _over(Content.styled(text, style), action)


def _over(content: Content, action: str) -> Content:
    return content.stylize(Style.from_meta({_CLICKED: action}))


class TitleLine(Line):
    """`kedit · model · branch · ● healthy · 214 versions · engine ●   12:04`."""

    def of(self, session: Session, width: int) -> None:
        """Show the state of a session; what does not fit is left out from the least important on."""
        clock = session.clock().strftime("%H:%M")
        pieces = _title_pieces(session)
        for left_out in ("", "versions", "model"):
            pieces.pop(left_out, None)
            title = Content.assemble(" ", *_joined(list(pieces.values())))
            if title.cell_length + len(clock) + 2 <= width:
                break
        room = max(width - title.cell_length - len(clock) - 1, 1)
        self.show(title, " " * room, (clock, "$text-muted"))


def _title_pieces(session: Session) -> dict[str, Content]:
    pieces = {"": Content(""), "kedit": Content.styled("kedit", "bold $primary")}
    if session.overview is not None:
        seen = session.overview
        sign, style = state_sign(seen.state)
        pieces["model"] = Content(inert(PurePath(seen.model).name or seen.model, 40))
        pieces["branch"] = Content(inert(seen.branch, 24) if seen.branch else f"detached at v{seen.head}")
        pieces["state"] = Content.assemble((sign, style), " ", (seen.state or "unknown", style))
        pieces["versions"] = Content(f"{seen.versions:,} version{'s' * (seen.versions != 1)}")
    sign, word, style = _ENGINE[session.link]
    pieces["engine"] = Content.assemble("engine ", (sign, style), f" {word}" if word else "")
    if session.readonly:
        pieces["readonly"] = Content.styled("read-only", "$text-warning")
    pieces.pop("", None)
    return pieces


def _joined(pieces: Sequence[Content]) -> list[Content | Part]:
    found: list[Content | Part] = []
    for place, piece in enumerate(pieces):
        found += [_SEPARATOR, piece] if place else [piece]
    return found


class TabLine(Line):
    """The screens with their digits; the one that is seen stands out by more than its colour."""

    def of(self, entries: Iterable[Entry], current: str, width: int) -> None:
        """Show these screens."""
        entries = list(entries)
        wide = sum(len(one.title) + 5 for one in entries) <= width
        parts: list[Content | Part | str] = [" "]
        for place, entry in enumerate(entries):
            title = inert(entry.title, 24)
            text = f"{place + 1} {title}" if place < 9 and wide else title
            style = "bold underline $primary" if entry.name == current else "$text-muted"
            parts += [clickable(text, f"show.{entry.name}", style), "   " if wide else "  "]
        self.show(*parts)


class Banner(Line):
    """What is wrong with the engine, and what to do; hidden while nothing is."""

    def of(self, session: Session) -> None:
        """Show the trouble of a session."""
        self.display = session.link == "starting" or session.trouble is not None
        if session.link == "starting":
            self.show((" ◌ ", "$text-warning"), "starting the engine …")
        elif session.trouble is not None:
            what = "S starts it again" if session.local else session.trouble.hint
            parts: list[str | Part] = [(" ✗ ", "bold $text-error"), inert(str(session.trouble), 300)]
            self.show(
                *parts, (f" · {inert(what, 200)}", "bold"), (" · the store is as it was", "$text-muted")
            )


class JobStrip(Line):
    """The running job, or the one that ended last."""

    def of(self, job: JobLine | None, waiting: int, width: int) -> None:
        """Show a job."""
        self.display = job is not None
        if job is None:
            return
        sign, style = JOBS.get(job.state, ("?", "$text-muted"))
        parts: list[str | Part | Content] = [(f" {sign} ", style), (job.kind, "bold"), f" {job.state}"]
        if not job.ended:
            parts += [" ", *_progress(job), clickable("  x cancel", "app.cancel", "$text-muted")]
        if waiting:
            parts.append((f" · {waiting} waiting", "$text-muted"))
        if job.error:
            parts.append((f" · {inert(job.error, 300)}", style))
        used = Content.assemble(*parts).cell_length
        room = width - used - 3
        if job.command and room > 12:
            parts.append((f" · {clipped(job.command, room).rstrip()}", "$text-muted"))
        self.show(*parts)


def _progress(job: JobLine) -> list[str | Part]:
    if not job.total:
        return [inert(job.stage, 40)]
    filled = min(_BAR * job.done // job.total, _BAR)
    bar = [("━" * filled, "$primary"), ("─" * (_BAR - filled), "$text-disabled")]
    return [*bar, f" {job.done}/{job.total} ", (inert(job.stage, 40), "$text-muted")]


class KeyLine(Line):
    """The keys that do something here, those that cannot now struck out; a click does the same."""

    def of(self, actions: Iterable[Action], keymap: Keymap, session: Session, width: int) -> None:
        """Show those that have a label. Where room is short, what cannot be done now goes first."""
        items = [
            (_key(action, keymap, session), action.reason(session) is None)
            for action in actions
            if action.label
        ]
        while len(items) > _LAST and sum(item.cell_length + 2 for item, _ in items) > width:
            places = range(len(items) - _LAST)
            items.pop(next((place for place in reversed(places) if not items[place][1]), places[-1]))
        parts: list[str | Content] = [" "]
        for item, _ in items:
            parts += [item, "  "]
        self.show(*parts)


def _key(action: Action, keymap: Keymap, session: Session) -> Content:
    off = action.reason(session) is not None
    key = Content.styled(keymap.shown(action), "$text-disabled" if off else "bold $accent")
    label = Content.styled(f" {action.label}", "$text-disabled strike" if off else "$foreground")
    return _over(key + label, action.id)
