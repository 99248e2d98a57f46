"""What the engine says of a draft while it is written, as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from kedit_lifecycle.tui.signs import verdict_sign
from kedit_lifecycle.tui.text import inert, number
from kedit_lifecycle.tui.widgets.lines import joined, named

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import Advice, ConflictView, Overview, Peek
    from kedit_lifecycle.tui.screens.compose.draft import Draft

ABOUT = {
    "auto": "weights first; the memory for long texts, what replaces an edit, and worn weights",
    "rome": "one fact into one layer's weights",
    "memit": "into several layers' weights; many facts at once",
    "emmet": "into several layers' weights, each fact exactly",
    "alphaedit": "into several layers, kept off what the model knows",
    "ft": "plain fine-tuning: the baseline, and rough",
    "ft-l": "fine-tuning held close to the old weights",
    "mend": "a trained network turns gradients into the change",
    "knowledge-editor": "a trained network makes the change",
    "serac": "into the memory: no weight is touched",
}
"""What the built-in methods do, in a line."""


@dataclass
class Live:
    """The answers so far; None: not asked, or not answered yet."""

    peek: Peek | None = None
    peeking: bool = False
    trouble: str = ""
    conflicts: tuple[ConflictView, ...] | None = None
    conflict_trouble: str = ""
    advice: Advice | None = None


def chance_text(chance: float) -> str:
    """A probability; a small one by its power of ten."""
    return number(chance, 3) if chance >= 0.001 or not chance else f"{chance:.1e}"


def live_text(live: Live, draft: Draft, overview: Overview | None, command: str) -> Content:
    """Present answer, conflicts, the method, and the command line."""
    rows = [*_peek(live, draft), *_conflicts(live), *_method(draft, overview, live.advice)]
    if draft.subject or draft.target:
        rows.append(named("command", (inert(command, 4000), "$text-muted")))
    return joined(rows)


def _peek(live: Live, draft: Draft) -> Iterator[Content]:
    if live.trouble:
        yield named("answer now", (inert(live.trouble, 300), "$text-warning"))
    elif live.peek is None:
        waiting = "asking …" if live.peeking else "once there are a subject and a prompt"
        yield named("answer now", (waiting, "$text-muted"))
    else:
        yield _answer(live.peek, live.peeking)
        if live.peek.target_probability is not None and draft.target:
            told = chance_text(live.peek.target_probability)
            yield named("P(target)", (told, "bold"), (f"   {inert(draft.target.strip(), 80)}", "$text-muted"))


def _answer(peek: Peek, again: bool) -> Content:
    chance = "" if peek.answer_probability is None else f"  {number(peek.answer_probability)}"
    by = f"   {peek.route} v{peek.version}{' …' * again}"
    answer = (inert(peek.answer.strip() or "·", 200), "bold")
    return named("answer now", answer, (chance, "$text-muted"), (by, "$text-muted"))


def _conflicts(live: Live) -> Iterator[Content]:
    if live.conflict_trouble:
        yield named("conflicts", (inert(live.conflict_trouble, 300), "$text-warning"))
    elif live.conflicts is None:
        yield named("conflicts", ("once there is a target too", "$text-muted"))
    elif not live.conflicts:
        yield named("conflicts", ("✓ ", "$text-success"), "none")
    for place, one in enumerate(live.conflicts or ()):
        sign, style = verdict_sign(one.verdict)
        where = f"v{one.version} " if one.version is not None else ""
        kind = (f"{sign} {inert(one.kind, 40)} ", f"bold {style}")
        yield named("" if place else "conflicts", kind, (where, "$text-muted"), inert(one.message, 400))


def _method(draft: Draft, overview: Overview | None, advice: Advice | None) -> Iterator[Content]:
    method = draft.method
    about = ABOUT.get(method, "a method of this engine's own, if it has it")
    yield named("method", (f"{inert(method, 40)} ", "bold"), (about, "$text-muted"))
    if advice is not None:
        first, *others = (inert(one, 40) for one in dict.fromkeys(advice.methods))
        then = f", else {', '.join(others)}" * bool(others)
        told = inert("; ".join(advice.reasons), 400)
        yield named("router", (first, "bold"), (then, "$text-muted"), f": {told}")
    worn = overview is not None and overview.state in ("degrading", "collapsed")
    if overview is not None and worn and method not in ("serac", "auto"):
        told = f"the model is {overview.state}: the memory (serac), or auto, spares its weights"
        yield named("", ("! ", "$text-warning"), told)
