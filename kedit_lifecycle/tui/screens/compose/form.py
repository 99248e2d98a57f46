"""The fields of an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label, Static

from kedit_lifecycle.tui.screens.compose.draft import DEFAULT_METHOD, DEFAULT_POLICY, Draft
from kedit_lifecycle.tui.text import inert
from kedit_lifecycle.tui.widgets.fact_input import SLOT, FactInput
from kedit_lifecycle.tui.widgets.pick_list import PickList

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import Suggestion

METHODS = (
    "rome", "auto", "memit", "serac", "emmet", "alphaedit", "ft", "ft-l", "mend", "knowledge-editor",
)  # fmt: skip
"""Built-in methods, to choose among; another one's name can be typed."""

POLICIES = ("guarded", "strict", "observe")
_ROWS: tuple[tuple[tuple[str, str, str], ...], ...] = (
    (("subject", "subject", "what the fact is about"),),
    (("prompt", "prompt", "e.g. The capital of {} is"),),
    (("target", "new target", "what it shall say"), ("target_true", "instead of", "what is true")),
    (("relation", "relation", "e.g. P36"), ("settings", "settings", "e.g. steps=20 layer=5")),
    (("method", "method", DEFAULT_METHOD), ("policy", "policy", DEFAULT_POLICY)),
    (("message", "message", "why"),),
)
_TEXTS = ("subject", "prompt", "target", "target_true", "relation", "method", "policy", "settings", "message")


class Form(VerticalScroll, can_focus=False):
    """The fields; `draft` is what stands in them."""

    class Changed(Message):
        """Something else stands in them."""

    def compose(self) -> ComposeResult:
        """A line for each field or two, then the prompts that are asked too."""
        for row in _ROWS:
            with Horizontal(classes="fields"):
                for name, label, placeholder in row:
                    yield Label(label, classes="field-name", markup=False)
                    yield FactInput(placeholder=placeholder, id=f"field-{name.replace('_', '-')}")
            if row[0][0] == "prompt":
                yield Static(id="fit")
        yield PickList("paraphrases", "should show it too", id="paraphrases")
        yield PickList("neighborhood", "should stay as it is", id="neighborhood")

    def on_mount(self) -> None:
        """The choices that are always there."""
        self.field("method").value = DEFAULT_METHOD
        self.field("policy").value = DEFAULT_POLICY
        self.field("method").offer(METHODS)
        self.field("policy").offer(POLICIES)
        self._fit()

    def field(self, name: str) -> FactInput:
        """One field."""
        return self.query_one(f"#field-{name.replace('_', '-')}", FactInput)

    def picks(self, name: str) -> PickList:
        """`paraphrases` or `neighborhood`."""
        return self.query_one(f"#{name}", PickList)

    @property
    def draft(self) -> Draft:
        """What stands in the fields now."""
        texts = {name: self.field(name).value for name in _TEXTS}
        kept = ("message", "prompt", "target", "settings")
        texts = {name: value if name in kept else value.strip() for name, value in texts.items()}
        return Draft(
            **texts,
            paraphrases=self.picks("paraphrases").picked,
            neighborhood=self.picks("neighborhood").picked,
        )

    def fill(self, **values: str) -> None:
        """Put these into the fields."""
        for name, value in values.items():
            self.field(name).value = value

    def clear(self) -> None:
        """Empty but for method and policy."""
        self.fill(**{name: "" for name in _TEXTS if name not in ("method", "policy")})
        for name in ("paraphrases", "neighborhood"):
            self.picks(name).clear()

    def suggest(self, found: Suggestion) -> None:
        """Offer what is known; nothing that was typed is touched."""
        self.field("subject").offer(found.subjects, "what the fact is about")
        self.field("prompt").offer([found.prompt or ""], "e.g. The capital of {} is")
        self.field("target").offer(found.targets, "what it shall say")
        self.field("target_true").offer([found.target_true or ""], "what is true")
        self.field("relation").offer([found.relation or ""], "e.g. P36")
        self.picks("paraphrases").suggest(found.paraphrases)
        self.picks("neighborhood").suggest(found.neighborhood)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if isinstance(event.input, PickList.Added):
            return
        self._fit()
        self.post_message(self.Changed())

    @on(PickList.Changed)
    def _picked(self, event: PickList.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())

    def _fit(self) -> None:
        """Mark the subject in the prompt, and say at once where it is not there."""
        draft = self.draft
        self.field("prompt").mark(draft.subject)
        line = self.query_one("#fit", Static)
        if draft.misfit:
            line.update(Content.assemble(("✗ ", "$text-error"), (draft.misfit, "$text-error")))
        elif draft.question:
            before, _, after = draft.prompt.partition(SLOT if SLOT in draft.prompt else draft.subject)
            parts = (
                inert(before, 400),
                (inert(draft.subject, 200), "bold underline $text-accent"),
                inert(after, 400),
            )
            line.update(Content.assemble(("asks ", "$text-muted"), *parts))
        else:
            line.update(Content.styled("{} stands for the subject, or spell it out", "$text-disabled"))
