"""What a test of the memory, or a consolidation, came to; as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textual.content import Content

from kedit_lifecycle.tui.signs import verdict_sign
from kedit_lifecycle.tui.text import inert, number
from kedit_lifecycle.tui.widgets.lines import joined

Said = Mapping[str, Any]
_BAR = 10  # cells of a score's bar
_CANDIDATES = 8
_ANSWER = 400
_GOOD = {"commit": "pass", "warn": "warn"}


def bar(score: float, threshold: float | None) -> tuple[str, str]:
    """A score as a bar, and the style of its side of the threshold."""
    full = round(min(max(score, 0.0), 1.0) * _BAR)
    inside = threshold is not None and score >= threshold
    return "█" * full + "░" * (_BAR - full), "$text-success" if inside else "$text-muted"


def tested_text(query: str, route: Said, answer: Said | None) -> Content:
    """Who would answer, what, and the nearest entries with their scores."""
    return joined([*_verdict(query, route), *_answered(answer), *_candidates(route)])


def _verdict(query: str, route: Said) -> Iterator[Content]:
    score, threshold = route.get("score"), route.get("threshold")
    memory = route.get("route") == "memory"
    sign, style = ("✓", "$text-success") if memory else ("○", "$text-muted")
    who = "the memory answers" if memory else f"the {_model(route)} answers"
    parts: list[str | tuple[str, str]] = [(f"{sign} {who}", f"bold {style}")]
    if score is not None and threshold is not None:
        beside = "≥" if score >= threshold else "<"
        parts.append(f"  {number(score, 3)} {beside} {number(threshold, 3)}")
    yield Content.assemble(*parts)
    yield Content.assemble(("asked     ", "$text-muted"), inert(query, _ANSWER))
    if route.get("note"):
        yield Content.styled(f"! {inert(str(route['note']), _ANSWER)}", "$text-warning")


def _model(route: Said) -> str:
    return "edited model" if route.get("route") == "weights" else "unedited model"


def _answered(answer: Said | None) -> Iterator[Content]:
    if answer is None:
        yield Content.styled("answered  …", "$text-muted")
        return
    text = inert(str(answer["text"]).strip() or "·", _ANSWER)
    yield Content.assemble(("answered  ", "$text-muted"), (text, "bold"))
    if answer.get("why"):
        by = f" (v{answer['by_version']})" if answer.get("by_version") is not None else ""
        yield Content.assemble(("because   ", "$text-muted"), inert(str(answer["why"]), _ANSWER), by)


def _candidates(route: Said) -> Iterator[Content]:
    found: Sequence[Said] = route.get("candidates") or ()
    if found:
        yield Content.styled(f"{'nearest':<{_BAR + 6}} cos   fact", "bold $primary")
    for one in found[:_CANDIDATES]:
        entry = one["entry"]
        drawn, style = bar(one["score"], route.get("threshold"))
        asked = inert(str(entry["prompt"]).replace("{}", str(entry["subject"])), 200)
        yield Content.assemble(
            (drawn, style),
            f" {number(one['score'], 3):>4} {number(one['similarity']):>4}  ",
            (f"v{entry['version']} ", "$text-muted"),
            asked,
            (" → ", "$text-muted"),
            (inert(str(entry["target"]), 200), "bold"),
        )
    if len(found) > _CANDIDATES:
        yield Content.styled(f"… {len(found) - _CANDIDATES} more", "$text-muted")


def gate_text(result: Said, *, dry_run: bool) -> Content:
    """The gate's verdict on facts that went, or should have gone, into the weights."""
    return joined([*_gate(result, dry_run=dry_run), *map(_check, result.get("checks") or ())])


def _gate(result: Said, *, dry_run: bool) -> Iterator[Content]:
    action, version = str(result.get("action") or "·"), result.get("version")
    sign, style = verdict_sign(_GOOD.get(action, "fail"))
    facts = len(result.get("facts") or ())
    if dry_run:
        where = "nothing was kept: a dry run"
    elif version is not None:
        where = f"{facts} facts are in the weights now: v{version}"
    else:
        where = f"the memory keeps them; the attempt is event {result.get('attempt')}"
    yield Content.assemble((f"{sign} {inert(action, 40)}", f"bold {style}"), f" · {where}")
    for reason in result.get("reasons") or ():
        yield Content(f"  {inert(str(reason), _ANSWER)}")
    if result.get("hint"):
        yield Content.styled(f"  {inert(str(result['hint']), _ANSWER)}", "$text-muted")
    for warning in result.get("warnings") or ():
        yield Content.assemble(("! ", "$text-warning"), inert(str(warning), _ANSWER))


def _check(check: Said) -> Content:
    sign, style = verdict_sign(str(check["verdict"]))
    name, message = inert(str(check["check"]), 40), inert(str(check["message"]), _ANSWER)
    return Content.assemble((f"{sign} ", f"bold {style}"), f"{name:<13} ", message)
