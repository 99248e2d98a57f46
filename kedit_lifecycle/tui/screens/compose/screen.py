"""The form on the left, what the engine says of it on the right; or above and below."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from kedit_lifecycle.errors import EngineGoneError, KeditError
from kedit_lifecycle.tui.focus import focus
from kedit_lifecycle.tui.screens.base import KeditScreen
from kedit_lifecycle.tui.screens.compose.actions import actions_of
from kedit_lifecycle.tui.screens.compose.draft import MEMORY, Draft
from kedit_lifecycle.tui.screens.compose.form import Form
from kedit_lifecycle.tui.screens.compose.live import Live, live_text
from kedit_lifecycle.tui.screens.compose.run import Run
from kedit_lifecycle.tui.screens.compose.run_text import run_text, verdict
from kedit_lifecycle.tui.styles import style_sheet
from kedit_lifecycle.tui.text import inert

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import Event

WIDE = 120  # cells from which on form and findings stand beside each other
_TYPING = 0.4  # seconds without a key before the engine is asked


class ComposeScreen(KeditScreen):
    """An edit being written, then made."""

    TITLE: ClassVar[str] = "Compose"
    ORDER: ClassVar[int] = 20
    LEGEND: ClassVar[tuple[tuple[str, str], ...]] = (
        ("{}", "stands for the subject in the prompt"),
        ("↓ ↑", "go through what is suggested for a field; → takes the grey text"),
        ("⏎ tab", "the next field; space switches a suggested prompt off"),
        ("settings", "NAME=VALUE of the method, as --set"),
    )
    DEFAULT_CSS = style_sheet("compose")

    def __init__(self) -> None:
        super().__init__()
        self.actions = actions_of(self)  # they depend on this screen's form
        self.run: Run | None = None
        self.live = Live()
        self._looked: tuple[str, ...] | None = None
        self._typing: Timer | None = None

    def compose(self) -> ComposeResult:
        """Form and findings."""
        with Container(id="compose"):
            yield Form()
            with VerticalScroll(id="watch"):
                yield Static(id="verdict", markup=False)
                yield Static(id="findings", markup=False)

    @property
    def form(self) -> Form:
        """The fields."""
        return self.query_one(Form)

    @property
    def watch_pane(self) -> VerticalScroll:
        """Where findings and runs are shown."""
        return self.query_one("#watch", VerticalScroll)

    def first_focus(self) -> Widget:
        """The subject."""
        return self.watch_pane if self.run is not None else self.form.field("subject")

    def opened(self, **given: str) -> None:
        """Fields may be given by name."""
        if given:
            self._close()
            self.form.fill(**given)

    def on_resize(self, event: events.Resize) -> None:
        """Beside each other, or one below the other."""
        self.set_class(event.size.width >= WIDE, "wide")
        self.call_after_refresh(self.show_findings)

    async def load(self) -> None:
        """Ask again about what stands in the form."""
        self._looked = None
        self._look()
        self.show_findings()

    def copied(self) -> str | None:
        """The edit as a command line."""
        return self.run.command if self.run is not None else self.command()

    # What the actions ask

    @property
    def made(self) -> int | None:
        """The version that was made here and not taken back."""
        return self.run.version if self.run is not None and self.run.undone is None else None

    def why_not(self) -> str | None:
        """Why the edit cannot be made now."""
        if self.run is not None and self.run.active:
            return "an edit runs (esc cancels it)"
        return self.form.draft.problem

    def command(
        self, *, dry_run: bool = False, supersede: bool = False, memory: bool = False, again: bool = False
    ) -> str:
        """The command line of what stands in the form, or `again` of what was tried last."""
        draft = self.run.draft if again and self.run is not None else self.form.draft
        draft = _into_memory(draft) if memory else draft
        return self.kedit.cli(*draft.words(dry_run=dry_run, supersede=supersede))

    # While it is written

    @on(Form.Changed)
    def _changed(self, event: Form.Changed) -> None:
        event.stop()
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(_TYPING, self._look)
        self.show_findings()
        self.kedit.changed()

    def _look(self) -> None:
        """Ask the engine about what stands in the form, if that is something else than before."""
        draft = self.form.draft
        if draft.fact == self._looked or not self.kedit.connected:
            return
        self._looked = draft.fact
        self.work(self._suggest(draft), group="suggest")
        self.work(self._conflicts(draft), group="conflicts")
        self.work(self._peek(draft), group="peek")
        self.work(self._advise(draft), group="advise")

    def _still(self, draft: Draft) -> bool:
        """An answer about this draft is about what stands in the form now."""
        return self.is_attached and self.form.draft.fact == draft.fact

    async def _suggest(self, draft: Draft) -> None:
        found = await self.kedit.client.suggest(draft.subject, draft.prompt, draft.relation or None)
        if self._still(draft):
            self.form.suggest(found)
            self.show_findings()

    async def _conflicts(self, draft: Draft) -> None:
        found, trouble = None, ""
        if draft.question and draft.target.strip():
            try:
                found = tuple(await self.kedit.client.conflicts(**draft.named))
            except EngineGoneError:
                raise
            except KeditError as error:
                trouble = str(error)
        if self._still(draft):
            self.live.conflicts, self.live.conflict_trouble = found, trouble
            self.show_findings()

    async def _advise(self, draft: Draft) -> None:
        """Weights or memory? What `auto` would choose; a fact that is no fact yet needs no advice."""
        from kedit_lifecycle.engine.messages import Advice

        advice = None
        if draft.question and draft.target.strip():
            job = await self.answered("advise", **draft.named)
            advice = Advice.model_validate(job.result) if job.state == "done" else None
        if self._still(draft):
            self.live.advice = advice
            self.show_findings()

    async def _peek(self, draft: Draft) -> None:
        """The model's present answer. One that nobody waits for any more is taken out of the queue."""
        await self.unask("peek")
        self.live.peeking = bool(draft.question)
        if not draft.question:
            self.live.peek, self.live.trouble = None, ""
            self.show_findings()
            return
        self.show_findings()
        try:
            result, trouble = await self._peek_result(draft)
        except EngineGoneError:
            raise
        except KeditError as error:
            result, trouble = None, str(error)
        if self._still(draft):
            self._peeked(result, trouble)

    async def _peek_result(self, draft: Draft) -> tuple[object, str]:
        job = await self.answered("peek", prompt=draft.question, target=draft.target.strip())
        return job.result, job.error.message if job.error else ""

    def _peeked(self, result: object, trouble: str) -> None:
        from kedit_lifecycle.engine.messages import Peek

        self.live.peeking = False
        self.live.trouble = trouble
        self.live.peek = Peek.model_validate(result) if result is not None else None
        self.show_findings()

    # What is shown

    def show_findings(self) -> None:
        """Show the run, or what is known of the draft."""
        if not self.is_attached or not self.query("#findings"):
            return
        findings = self.query_one("#findings", Static)
        self.set_class(self.run is not None, "running")
        if self.run is None:
            text = live_text(self.live, self.form.draft, self.kedit.overview, self.command())
            findings.update(text)
            return
        line, kind = verdict(self.run)
        large = self.query_one("#verdict", Static)
        large.update(Content(inert(line, 300)))
        large.set_classes(kind)
        findings.update(run_text(self.run, self.watch_pane.size.width - 4))

    def refresh_from(self, event: Event) -> None:
        """What the engine tells of the edit that is being made."""
        super().refresh_from(event)
        if self.run is not None and self.run.hear(event):
            self.show_findings()

    # Making it

    def act_try(self) -> None:
        """Make, measure, take back."""
        self._begin(self.form.draft, dry_run=True)

    def act_make(self) -> None:
        """For good."""
        self._begin(self.form.draft)

    def act_supersede(self) -> None:
        """The same once more, in the place of others."""
        if self.run is not None:
            self._begin(self.run.draft, supersede=True)

    def act_memory(self) -> None:
        """The same into the memory."""
        if self.run is not None:
            draft = _into_memory(self.run.draft)
            self.form.fill(method=draft.method, settings=draft.settings)
            self._begin(draft)

    def _begin(self, draft: Draft, *, dry_run: bool = False, supersede: bool = False) -> None:
        command = self.kedit.cli(*draft.words(dry_run=dry_run, supersede=supersede))
        self.run = Run(draft, command, dry_run)
        self.show_findings()
        focus(self.watch_pane)
        self.watch_pane.scroll_home(animate=False)
        arguments = draft.arguments(dry_run=dry_run, supersede=supersede)
        self.work(self._make(self.run, arguments), group="make")

    async def _make(self, run: Run, arguments: dict[str, object]) -> None:
        try:
            job = await self.kedit.submit("edit", command=run.command, **arguments)
            run.taken(job.id)
            self.show_findings()
            run.ended(await self.kedit.client.wait(job.id))
        except EngineGoneError:
            run.state = "lost"
            raise
        except KeditError as error:
            run.state, run.error, run.hint = "failed", str(error), error.hint
        finally:
            self.show_findings()
            self.kedit.changed()

    def act_undo(self) -> None:
        """Take it back."""
        if self.run is not None:
            self.work(self._undo(self.run), group="undo")

    async def _undo(self, run: Run) -> None:
        moved = await self.kedit.result("undo", command=self.kedit.cli("undo"))
        run.undone = int(moved["number"])
        self.show_findings()
        self.kedit.changed()

    async def act_see(self) -> None:
        """In the ledger."""
        number = self.made
        if number is not None:
            self.move_cursor(number)
            await self.kedit_app.show("ledger")

    # Going about

    def act_back(self) -> None:
        """Cancel; or close what became of it; or leave the fields, so that keys are actions."""
        if self.run is not None and self.run.active:
            self.work(self._cancel(self.run), group="cancel")
        elif self.run is not None:
            self._close()
            focus(self.form.field("subject"))
        elif isinstance(self.screen.focused, Input):
            focus(self.watch_pane)
        else:
            focus(self.form.field("subject"))

    async def _cancel(self, run: Run) -> None:
        if run.job is not None:
            await self.kedit.client.cancel(run.job)

    def _close(self) -> None:
        self.run = None
        self.show_findings()
        self.kedit.changed()

    def act_method(self) -> None:
        """To the method."""
        self._into("method")

    def act_write(self) -> None:
        """To the first field."""
        self._into("subject")

    def _into(self, field: str) -> None:
        if self.run is not None and self.run.active:
            self.kedit.notify("an edit runs (esc cancels it)", "warning")
            return
        self._close()
        focus(self.form.field(field))

    def act_clear(self) -> None:
        """Nothing in it."""
        self._into("subject")
        self.form.clear()

    async def on_key(self, event: events.Key) -> None:
        """Escape and enter reach no binding of the app where a widget of Textual's knows them."""
        keys = {"escape": "compose.back"} | ({"enter": "compose.see"} if self.watch_pane.has_focus else {})
        if event.key in keys and (event.key == "escape" or self.made is not None):
            event.stop()
            await self.kedit_app.perform(keys[event.key])
        elif self.watch_pane.has_focus and event.key in ("j", "k"):
            event.stop()
            self.watch_pane.scroll_relative(y=1 if event.key == "j" else -1, animate=False)


def _into_memory(draft: Draft) -> Draft:
    """The same for the memory; settings of another method mean nothing there."""
    return replace(draft, method=MEMORY, settings="")
