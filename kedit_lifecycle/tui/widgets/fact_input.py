"""A line to type in that shows any text harmlessly, marks the subject, and offers choices."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.suggester import Suggester
from textual.widgets import Input

from kedit_lifecycle.tui.text import inert

SLOT = "{}"
_UNSHOWN = "\ufffd"
_MOST_MARKS = 4  # combining marks on one letter; more would run into the lines above and below


def one_for_one(text: str) -> str:
    """As `inert`, but each character becomes exactly one, so that places in both are the same."""
    if text.isascii() and text.isprintable():
        return text
    shown, marks = [], 0
    for character in text:
        marks = marks + 1 if _is_mark(character) else 0
        shown.append(_shown(character) if marks <= _MOST_MARKS else _UNSHOWN)
    if shown and _is_mark(shown[0]):
        shown[0] = _UNSHOWN
    return "".join(shown)


@lru_cache(maxsize=4096)
def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me") and len(inert("a" + character)) == 2


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    if _is_mark(character):
        return character
    shown = inert(character)
    return shown if len(shown) == 1 else _UNSHOWN


class _Choices(Suggester):
    """The first choice that begins with what is typed, as ghost text."""

    def __init__(self, owner: FactInput) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._owner = owner

    async def get_suggestion(self, value: str) -> str | None:
        """The rest is shown as it is, so only text that is harmless as it is will do."""
        found = (one for one in self._owner.choices if one.startswith(value) and one != value)
        return next((one for one in found if inert(one) == one), None)


class FactInput(Input):
    """One line. Up and down go through `choices` where there are any, else to the field before or after.

    `subject` is marked in it: where it stands, or where `{}` does.
    """

    DEFAULT_CSS = """
    FactInput { height: 1; border: none; padding: 0; background: $surface; }
    FactInput:focus { border: none; background: $boost; }
    FactInput > .fact--subject { color: $text-accent; text-style: bold underline; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"fact--subject"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "choose(1)", "The next choice, or field", show=False, priority=True),
        Binding("up", "choose(-1)", "The choice, or field, before", show=False, priority=True),
        Binding("tab", "leave(1)", "The next field", show=False, priority=True),
        Binding("shift+tab", "leave(-1)", "The field before", show=False, priority=True),
        Binding("enter", "submit", "The next field", show=False, priority=True),
    ]
    """With priority, since a key is otherwise given to who has the focus before the one ahead of it has moved
    that: of a tab and a letter typed quickly, the letter would stay in the field that is left."""

    def __init__(self, value: str = "", *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(value, placeholder=placeholder, id=id, select_on_focus=False, compact=True)
        self.choices: tuple[str, ...] = ()
        self.subject = ""
        self.suggester = _Choices(self)

    def offer(self, choices: Sequence[str], empty: str = "") -> None:
        """Let the person choose among these; the first one is named while nothing is typed."""
        self.choices = tuple(dict.fromkeys(one for one in choices if one))
        self.placeholder = f"↓ {inert(self.choices[0], 200)}" if self.choices else empty

    def mark(self, subject: str) -> None:
        """Mark this subject."""
        self.subject = subject
        self.refresh()

    def action_choose(self, by: int) -> None:
        """Another choice, or another field."""
        if not self.choices:
            self.action_leave(by)
            return
        if self.value in self.choices:
            self.value = self.choices[(self.choices.index(self.value) + by) % len(self.choices)]
        else:
            self.value = self.choices[0 if by > 0 else -1]
        self.cursor_position = len(self.value)

    def action_leave(self, by: int) -> None:
        """To the next field, or the one before."""
        if by > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    async def action_submit(self) -> None:
        """Enter: the next field."""
        self.action_leave(1)

    # Input shows its value as it is; what follows puts one harmless character in the place of each

    @property
    def _value(self) -> Text:
        text = Text(one_for_one(self.value), no_wrap=True, overflow="ignore", end="")
        style = self.get_component_rich_style("fact--subject", partial=True)
        for start, end in subject_spans(self.value, self.subject):
            text.stylize(style, start, end)
        return text

    def _position_to_cell(self, position: int) -> int:
        return cell_len(one_for_one(self.value)[:position])

    def _cell_offset_to_index(self, offset: int) -> int:
        shown = one_for_one(self.value)
        offset += self.scroll_offset.x
        cells = 0
        for index, character in enumerate(shown):
            cells += cell_len(character)
            if offset < cells:
                return index
        return len(shown)

    def _on_paste(self, event: events.Paste) -> None:
        """Of several lines one, rather than the first one only."""
        event.stop()
        event.prevent_default()
        self._put(event.text)

    def action_paste(self) -> None:
        """Paste what was copied here."""
        self._put(self.app.clipboard)

    def _put(self, text: str) -> None:
        self.replace(" ".join(text.splitlines()), *self.selection)


def subject_spans(prompt: str, subject: str) -> list[tuple[int, int]]:
    """Where the subject stands: at `{}`, else the first time that it is spelled out."""
    if not subject:
        return []
    if SLOT in prompt:
        place = prompt.index(SLOT)
        return [(place, place + len(SLOT))]
    place = prompt.find(subject)
    return [(place, place + len(subject))] if place >= 0 else []
