"""One version's answer as text: what it says, its next tokens as bars, who answered and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.content import Content

from kedit_lifecycle.tui.text import clipped, inert, number
from kedit_lifecycle.tui.widgets.curve import bar
from kedit_lifecycle.tui.widgets.lines import joined

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import AnswerView

_TOKEN = 14  # cells of the column of tokens
_LEAST_BAR = 4
_BY = {"base": "the unedited model", "weights": "the edited weights", "memory": "the memory"}


def title(answer: AnswerView) -> str:
    """`HEAD · v3 · memory`."""
    version = f"v{answer.version}"
    label = version if answer.label == str(answer.version) else inert(answer.label, 40)
    names = dict.fromkeys([label, version, answer.route])
    return " · ".join(names)


def answer_text(answer: AnswerView, width: int) -> Content:
    """All of it in so many cells."""
    rows = [Content.styled(inert(answer.text.strip()) or "·", "bold"), Content("")]
    rows += _top(answer, width)
    rows += [Content(""), *_why(answer)]
    return joined(rows)


def _top(answer: AnswerView, width: int) -> Iterator[Content]:
    room = max(width - _TOKEN - 7, _LEAST_BAR)
    for place, token in enumerate(answer.top):
        shown = clipped(token.text.replace(" ", "·", 1) if token.text.startswith(" ") else token.text, _TOKEN)
        filled = bar(token.probability, room)
        chance = f"{token.probability:.3f}"
        style = "bold" if place == 0 else ""
        yield Content.assemble((shown, style), (f" {chance} ", "$text-muted"), (filled, "$primary"))


def _why(answer: AnswerView) -> Iterator[Content]:
    yield Content.assemble(("by ", "$text-muted"), (_BY.get(answer.route, answer.route), "bold"))
    if answer.by_version is not None:
        yield Content.assemble((f"v{answer.by_version} ", "$text-accent"), inert(answer.by_fact, 400))
    if answer.score is not None:
        sign = "≥" if answer.threshold is not None and answer.score >= answer.threshold else "<"
        limit = f" {sign} threshold {number(answer.threshold, 3)}" if answer.threshold is not None else ""
        yield Content.assemble(
            ("score ", "$text-muted"), (number(answer.score, 3), "bold"), (limit, "$text-muted")
        )
    if answer.why:
        yield Content.styled(inert(answer.why, 400), "$text-muted")


def plain(prompt: str, answers: tuple[AnswerView, ...]) -> str:
    """Question and answers, to be copied."""
    lines = [prompt, *(f"{title(one)}: {one.text.strip()}" for one in answers)]
    return "\n".join(lines)
