"""Suggestions that can each be switched off, and a line to add one's own."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection

from kedit_lifecycle.tui.text import inert
from kedit_lifecycle.tui.widgets.fact_input import FactInput


class PickList(Vertical):
    """Texts with a box each; space switches one off or on. What was switched off stays off.

    Args:
        title: what they are.
        hint: what they are for.
    """

    DEFAULT_CSS = """
    PickList { height: auto; }
    PickList > Static { height: 1; }
    PickList > SelectionList {
        height: auto; max-height: 6; border: none; padding: 0; background: transparent;
        scrollbar-size-vertical: 1;
    }
    PickList > SelectionList:focus { border: none; background: $surface; }
    PickList.-empty > SelectionList { display: none; }
    """

    class Changed(Message):
        """Other texts are picked."""

    class Added(FactInput):
        """The line for one's own."""

        async def action_submit(self) -> None:
            """Take it; an empty line leads to the next field."""
            if isinstance(self.parent, PickList) and self.value.strip():
                self.parent.add(self.value.strip())
                self.value = ""
            else:
                self.action_leave(1)

    def __init__(self, title: str, hint: str, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="-empty")
        self._title, self._hint = title, hint
        self._own: list[str] = []
        self._off: set[str] = set()
        self._texts: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """Heading, boxes, and a line to add."""
        yield Static()
        yield SelectionList[str](compact=True)
        yield self.Added(placeholder="another one ⏎")

    def on_mount(self) -> None:
        """The heading."""
        self._head()

    @property
    def picked(self) -> tuple[str, ...]:
        """The texts that are switched on, in their order."""
        return tuple(one for one in self._texts if one not in self._off)

    def suggest(self, texts: Sequence[str]) -> None:
        """These are suggested now, in the place of those before; one's own stay."""
        self._show(tuple(dict.fromkeys([*self._own, *texts])))

    def add(self, text: str) -> None:
        """One more of one's own, switched on."""
        if text not in self._own:
            self._own.append(text)
        self._off.discard(text)
        self._show(tuple(dict.fromkeys([*self._own, *self._texts])))
        self.post_message(self.Changed())

    def clear(self) -> None:
        """Nothing, and nothing remembered."""
        self._own.clear()
        self._off.clear()
        self._show(())

    def _show(self, texts: tuple[str, ...]) -> None:
        boxes: SelectionList[str] = self.query_one(SelectionList)
        if texts != self._texts:
            place = boxes.highlighted
            self._texts = texts
            with self.prevent(SelectionList.SelectedChanged):
                boxes.clear_options()
                boxes.add_options(
                    Selection(Content(inert(one, 300)), one, one not in self._off) for one in texts
                )
            if place is not None and texts:
                boxes.highlighted = min(place, len(texts) - 1)
        self.set_class(not texts, "-empty")
        self._head()

    def _head(self) -> None:
        count = f" {len(self.picked)} of {len(self._texts)}" if self._texts else ""
        heading = Content.assemble(
            (f"{self._title}{count}", "$text-muted"), (f"  {self._hint}", "$text-disabled")
        )
        self.query_one(Static).update(heading)

    @on(SelectionList.SelectedChanged)
    def _switched(self, event: SelectionList.SelectedChanged[str]) -> None:
        event.stop()
        on_now = set(event.selection_list.selected)
        self._off = (self._off - set(self._texts)) | (set(self._texts) - on_now)
        self._head()
        self.post_message(self.Changed())
