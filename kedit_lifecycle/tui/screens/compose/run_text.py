"""An edit on its way, as text: stage, losses, checks, what the gate says, and the ways on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from textual.content import Content

from kedit_lifecycle.tui.screens.compose.draft import MEMORY
from kedit_lifecycle.tui.screens.compose.live import chance_text
from kedit_lifecycle.tui.signs import verdict_sign
from kedit_lifecycle.tui.text import clipped, inert
from kedit_lifecycle.tui.widgets.curve import curve
from kedit_lifecycle.tui.widgets.lines import joined, named, section

if TYPE_CHECKING:
    from kedit_lifecycle.tui.screens.compose.run import Run

_CURVE_HEIGHT = 4
_BAR = 20


def verdict(run: Run) -> tuple[str, str]:
    """The large line over everything, and its class: pass, warn, fail or none."""
    what = "dry run" if run.dry_run else "edit"
    if run.active:
        return f"▸ {what} {run.stage or run.state}", "none"
    if run.undone is not None:
        return f"↶ taken back: HEAD is at v{run.undone}", "none"
    if run.state == "cancelled":
        return "◌ cancelled: the model is as it was", "none"
    if run.state == "lost":
        return "? the engine went away: the ledger knows what was committed", "warn"
    if run.state == "failed":
        return "✗ it could not be made", "fail"
    if run.turned_down:
        return ("✗ the gate would not take it" if run.dry_run else "✗ not accepted: taken back"), "fail"
    warned = run.action == "warn"
    word = "the gate would accept it" if run.version is None else f"accepted as v{run.version}"
    return f"{'!' if warned else '✓'} {word}{', with warnings' * warned}", "warn" if warned else "pass"


def run_text(run: Run, width: int) -> Content:
    """Everything below the verdict."""
    rows = [*_fact(run), *_progress(run)]
    rows += [*_outcome(run), *section(_losses_title(run), _losses(run, width))]
    rows += section("checks", (_check(one, width) for one in run.checks.values()))
    rows += section("answers", _answers(run))
    rows += section("as a command", [Content.styled(inert(run.command, 4000), "$text-muted")])
    return joined(rows)


def _fact(run: Run) -> Iterator[Content]:
    question = inert(run.draft.question, 300)
    target = (inert(run.draft.target, 200), "bold $text-accent")
    yield Content.assemble(
        question, (" → ", "$text-muted"), target, (f"  {inert(run.draft.method, 40)}", "$text-muted")
    )


def _progress(run: Run) -> Iterator[Content]:
    if not run.active:
        return
    if not run.total:
        yield Content.styled(f"{inert(run.stage or run.state, 60)} …   esc cancels", "$text-muted")
        return
    filled = min(_BAR * run.done // run.total, _BAR)
    bar = (("━" * filled, "$primary"), ("─" * (_BAR - filled), "$text-disabled"))
    told = f" {run.done}/{run.total} {inert(run.stage, 60)}   esc cancels"
    yield Content.assemble(*bar, (told, "$text-muted"))


def _outcome(run: Run) -> Iterator[Content]:
    """Reasons, and what can be done now."""
    if run.active or run.undone is not None:
        return
    for reason in run.reasons:
        yield Content.assemble(("· ", "$text-muted"), inert(reason, 400))
    if run.error and run.turned_down and not run.reasons:
        yield Content(inert(run.error, 600))
    yield from _ways(run)


def _ways(run: Run) -> Iterator[Content]:
    if run.version is not None:
        yield _keys(("⏎", "see it"), ("u", "take it back"), ("esc", "the form"))
    elif run.turned_down:
        if run.hint:
            yield Content.styled(inert(run.hint, 400), "italic $text-muted")
        memory = () if run.draft.method == MEMORY else (("m", "memory"),)
        yield _keys(
            ("s", "supersede"),
            ("o", "other method"),
            *memory,
            ("esc", "the form"),
        )
    elif run.state == "done":
        yield _keys(("^s", "make it"), ("esc", "the form"))
    else:
        yield _keys(("esc", "the form"))


def _keys(*ways: tuple[str, str]) -> Content:
    parts: list[tuple[str, str] | str] = []
    for key, what in ways:
        parts += [(f"[{key}]", "bold $accent"), f" {what}   "]
    return Content.assemble(*parts)


def _losses_title(run: Run) -> str:
    there = [one for one in run.losses if one is not None]
    if not there:
        return "loss"
    again = f" · search {run.searches}" if run.searches > 1 else ""
    return f"loss {there[0]:.3g} → {there[-1]:.3g} in {len(run.losses)} steps{again}"


def _losses(run: Run, width: int) -> Iterator[Content]:
    for line in curve(run.losses, max(min(width, 60), 8), _CURVE_HEIGHT):
        yield Content.styled(line, "$primary")


def _check(one: dict[str, Any], width: int) -> Content:
    sign, style = verdict_sign(one["verdict"])
    value = one.get("value")
    told = "" if value is None else f"{value:.3g}"
    name = clipped(str(one["check"]), 14)
    return Content.assemble(
        (f"{sign} ", f"bold {style}"),
        f"{name} ",
        (f"{told:>7}  ", "$text-muted"),
        inert(str(one["message"]), 400),
    )


def _answers(run: Run) -> Iterator[Content]:
    for fact in (run.result or {}).get("facts") or ():
        for name in ("before", "after"):
            answer, chance = fact.get(name), fact.get(f"{name}_probability")
            if answer is None and chance is None:
                continue
            parts: list[str | tuple[str, str]] = [(inert((answer or "·").strip(), 160), "bold")]
            if chance is not None:
                parts.append(
                    (f"   p({inert(fact['target_new'].strip(), 24)}) {chance_text(chance)}", "$text-muted")
                )
            yield named(name, *parts)
    for warning in (run.result or {}).get("warnings") or ():
        yield Content.assemble(("! ", "$text-warning"), inert(str(warning), 400))
