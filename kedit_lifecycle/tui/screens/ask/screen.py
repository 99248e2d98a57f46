"""A prompt on top, beneath it a column for each version that is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from kedit_lifecycle.errors import EngineGoneError, KeditError
from kedit_lifecycle.tui.focus import focus
from kedit_lifecycle.tui.happened import changes_store
from kedit_lifecycle.tui.screens.ask.actions import actions_of
from kedit_lifecycle.tui.screens.ask.answer_text import answer_text, plain, title
from kedit_lifecycle.tui.screens.ask.history import Questions
from kedit_lifecycle.tui.screens.ask.ref_dialog import RefDialog
from kedit_lifecycle.tui.screens.base import KeditScreen
from kedit_lifecycle.tui.styles import style_sheet
from kedit_lifecycle.tui.text import inert
from kedit_lifecycle.tui.widgets.fact_input import FactInput

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import AnswerView, Event

_COLUMN = 36  # cells that a column needs to stand beside another
_BASE, _HEAD = "base", "HEAD"


class PromptLine(FactInput):
    """Enter asks; up and down go through the questions so far."""

    class Looked(Message):
        """The person looks for the question before (-1), or after (1)."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    async def action_submit(self) -> None:
        """Ask."""
        self.post_message(Input.Submitted(self, self.value))

    def action_choose(self, by: int) -> None:
        """Another question."""
        self.post_message(self.Looked(by))


class AskScreen(KeditScreen):
    """One prompt, several versions."""

    TITLE: ClassVar[str] = "Ask"
    ORDER: ClassVar[int] = 30
    LEGEND: ClassVar[tuple[tuple[str, str], ...]] = (
        ("↑ ↓", "the questions asked before"),
        ("·word", "a token that begins with a space"),
        ("base", "the model as it came, before any edit"),
        ("score", "how sure the memory is that its fact is meant; from the threshold on it answers"),
    )
    DEFAULT_CSS = style_sheet("ask")

    def __init__(self) -> None:
        super().__init__()
        self.actions = actions_of(self)  # they depend on this screen's prompt
        self.refs: tuple[str, ...] = (_HEAD, _BASE)
        self.questions = Questions()
        self.answers: tuple[AnswerView, ...] = ()
        self._asked = ""
        self._note = ""

    def compose(self) -> ComposeResult:
        """The prompt, who is asked, and the answers."""
        with Horizontal(id="question"):
            yield Label("prompt", markup=False)
            yield PromptLine(placeholder="The capital of France is", id="prompt")
        yield Static(id="asked", markup=False)
        with VerticalScroll(id="answers"):
            yield Container(id="columns")

    @property
    def line(self) -> PromptLine:
        """Where the prompt is typed."""
        return self.query_one(PromptLine)

    @property
    def pane(self) -> VerticalScroll:
        """Where the answers are."""
        return self.query_one("#answers", VerticalScroll)

    @property
    def asking(self) -> bool:
        """An answer is waited for."""
        return bool(self._asked) and not self.answers and not self._note

    def first_focus(self) -> Widget:
        """The prompt."""
        return self.line

    def opened(self, refs: Sequence[str] = (), prompt: str = "", **given: str) -> None:
        """Whom to ask, and what."""
        if refs:
            self.refs = tuple(dict.fromkeys(refs))
        if prompt:
            self.line.value = prompt
            self.line.cursor_position = len(prompt)
        if (refs or prompt) and self.line.value.strip() and self.kedit.connected:
            self.call_later(self.kedit_app.perform, "ask.ask")
        self._show_asked()

    async def load(self) -> None:
        """Answers stay as they were given; whoever wants others asks again."""
        self._show_asked()

    def on_resize(self, event: events.Resize) -> None:
        """Beside each other where there is room."""
        self.call_after_refresh(self._fit)

    def refresh_from(self, event: Event) -> None:
        """What HEAD answered may be another thing now."""
        if changes_store(event) and self.answers and _HEAD in self.refs:
            self._note = "the store has changed since: ⏎ asks again"
            self._show_asked()

    def copied(self) -> str | None:
        """Question and answers."""
        return plain(self._asked, self.answers) if self.answers else None

    # What the actions ask

    def why_not(self) -> str | None:
        """Why nothing can be asked."""
        return None if self.line.value.strip() else "there is no prompt yet"

    def command(self) -> str:
        """The same on the command line, which asks two versions at once."""
        names = ["0" if ref == _BASE else ref for ref in self.refs]
        lines = []
        for place in range(0, len(names), 2):
            words = ["ask", self.line.value, "--at", names[place], "--explain"]
            words += ["--compare", names[place + 1]] if place + 1 < len(names) else []
            lines.append(self.kedit.cli(*words))
        return "; ".join(lines)

    # Asking

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the prompt."""
        event.stop()
        await self.kedit_app.perform("ask.ask")

    def on_prompt_line_looked(self, event: PromptLine.Looked) -> None:
        """Up and down in the prompt."""
        event.stop()
        self.line.value = self.questions.step(event.by, self.line.value)
        self.line.cursor_position = len(self.line.value)

    def act_ask(self) -> None:
        """Let them answer."""
        prompt = self.line.value
        self.questions.add(prompt)
        self._asked, self.answers, self._note = prompt, (), ""
        self._show_asked()
        self.work(self._ask(prompt, self.refs), group="ask")

    async def _ask(self, prompt: str, refs: tuple[str, ...]) -> None:
        try:
            job = await self.answered("ask", prompt=prompt, refs=list(refs))
        except KeditError as error:
            self._asked = ""
            self._show_asked()
            if isinstance(error, EngineGoneError):
                raise
            self.kedit.error(error)
            return
        if job.state == "done":
            await self._answered(job.result)
            return
        self._note = job.error.message if job.error else f"ask: {job.state}"
        self._show_asked()

    async def _answered(self, result: object) -> None:
        from pydantic import TypeAdapter

        from kedit_lifecycle.engine.messages import AnswerView

        self.answers = TypeAdapter(tuple[AnswerView, ...]).validate_python(result)
        columns = self.query_one("#columns", Container)
        async with columns.batch():
            await columns.remove_children()
            await columns.mount_all(_column(one) for one in self.answers)
        self._show_asked()
        self._fit()
        self.pane.scroll_home(animate=False)

    def _fit(self) -> None:
        """Fit columns and their texts to the room there is."""
        count = max(len(self.answers), 1)
        room = max(self.size.width - 2, 1)
        beside = room // count >= _COLUMN
        self.set_class(beside, "wide")
        width = (room // count if beside else room) - 4
        for column, answer in zip(self.query(".answer").results(Static), self.answers, strict=False):
            column.update(answer_text(answer, width))

    def _show_asked(self) -> None:
        """Who is asked, and what there is to know about the answers."""
        parts: list[str | tuple[str, str]] = [("asks    ", "$text-muted")]
        for place, ref in enumerate(self.refs):
            parts += [(" · ", "$text-muted")] * bool(place) + [(inert(ref, 40), "bold")]
        if self.asking:
            parts.append(("   asking … esc cancels", "$text-accent"))
        elif self._note:
            parts.append((f"   {inert(self._note, 300)}", "$text-warning"))
        else:
            parts.append(("   + adds one", "$text-disabled"))
        self.query_one("#asked", Static).update(Content.assemble(*parts))
        self.kedit.changed()

    # Whom

    def act_add(self) -> None:
        """Name another one."""
        overview = self.kedit.overview
        labels = [label.name for _, label in overview.labels] if overview else []
        cursor = [str(self.kedit.cursor)] if self.kedit.cursor is not None else []
        known = [one for one in dict.fromkeys([_HEAD, _BASE, *cursor, *labels]) if one not in self.refs]
        self.app.push_screen(RefDialog(known), self._add)

    def _add(self, ref: str | None) -> None:
        if ref and ref not in self.refs:
            self.refs = (*self.refs, ref)
            self._again()

    def act_remove(self) -> None:
        """One less."""
        self.refs = self.refs[:-1]
        self._again()

    def _again(self) -> None:
        """Whom is another set now: ask them all, if something was asked."""
        self._show_asked()
        if self._asked and self.kedit.connected and not self.why_not():
            self.call_later(self.kedit_app.perform, "ask.ask")

    # Going about

    async def act_edit(self) -> None:
        """Compose one with this prompt."""
        await self.kedit_app.show("compose", prompt=self.line.value)

    def act_back(self) -> None:
        """Cancel, or leave the line, or return to it."""
        if "ask" in self.asked:
            self.work(self.kedit.client.cancel(self.asked["ask"]), group="cancel")
        elif self.line.has_focus:
            focus(self.pane)
        else:
            focus(self.line)

    def act_write(self) -> None:
        """To the prompt."""
        focus(self.line)

    async def on_key(self, event: events.Key) -> None:
        """Escape reaches no binding of the app from a field; vim keys scroll."""
        if event.key == "escape":
            event.stop()
            await self.kedit_app.perform("ask.back")
        elif self.pane.has_focus and event.key in ("j", "k"):
            event.stop()
            self.pane.scroll_relative(y=1 if event.key == "j" else -1, animate=False)


def _column(answer: AnswerView) -> Static:
    column = Static(markup=False, classes=f"answer {answer.route}")
    column.border_title = Content(title(answer))
    return column
