"""The scope threshold on its ROC curve."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from textual.content import Content

from kedit_lifecycle.tui.text import inert, number
from kedit_lifecycle.tui.widgets.braille import DOTS_ACROSS, DOTS_DOWN, Braille, placed

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import MemoryView

Point = tuple[float, float, float]  # threshold, false positive rate, true positive rate
AXIS = 5  # cells of the numbers beside the curve
_WIDE = 44  # cells from which on the axis says it in full
_MARK, _QUERY = "◆", "○"
_LEAST_ACROSS, _FAR = 0.1, 4.0  # the curve is drawn up to so many times the threshold's false positive rate


def at_threshold(roc: Sequence[Point], threshold: float) -> Point | None:
    """The rates of a threshold: those of the lowest threshold of the curve that is not below it."""
    reached = [point for point in roc if point[0] >= threshold - 1e-9]
    return min(reached, key=lambda point: point[0]) if reached else (threshold, 0.0, 0.0) if roc else None


def reach(roc: Sequence[Point], threshold: float | None) -> float:
    """The false positive rate that the curve is drawn up to."""
    point = at_threshold(roc, threshold) if threshold is not None else None
    return min(max(_FAR * point[1], _LEAST_ACROSS), 1.0) if point else 1.0


def curve(view: MemoryView, score: float | None, width: int, height: int) -> list[Content]:
    """The curve with the threshold, and a query's score, on it; without the axes' numbers, `height` lines."""
    width = max(width - AXIS, 4)
    right = reach(view.roc, view.threshold)
    canvas = Braille(width, height)
    places = [_place(point, right, canvas) for point in view.roc if point[1] <= right]
    for before, here in pairwise(places):
        canvas.line(*before, *here)
    marks = {}
    for sign, at in ((_QUERY, score), (_MARK, view.threshold)):
        point = at_threshold(view.roc, at) if at is not None else None
        if point is not None and point[1] <= right:
            x, y = _place(point, right, canvas)
            marks[y // DOTS_DOWN, x // DOTS_ACROSS] = sign
    names = {0: "1.0", height - 1: ".00"} | ({height // 2: ".50"} if height % 2 else {})
    return [_line(row, y, names.get(y, ""), marks) for y, row in enumerate(canvas.rows())]


def _place(point: Point, right: float, canvas: Braille) -> tuple[int, int]:
    x = placed(point[1], 0.0, right, canvas.across)
    return x, canvas.down - 1 - placed(point[2], 0.0, 1.0, canvas.down)


def _line(row: str, y: int, name: str, marks: dict[tuple[int, int], str]) -> Content:
    parts: list[tuple[str, str]] = [(f"{name:>{AXIS - 1}}", "$text-muted"), ("│", "$text-muted")]
    for x, one in enumerate(row):
        sign = marks.get((y, x))
        parts.append((sign, "bold $text-accent") if sign else (one, "$primary"))
    return Content.assemble(*parts)


def picture(view: MemoryView, score: float | None, width: int, height: int) -> Content:
    """The curve, its axes, and in words what the threshold means; `height` lines in all."""
    if not view.roc or view.threshold is None:
        return Content.styled("the classifier's recipe keeps no ROC curve", "$text-muted")
    rows = curve(view, score, width, max(height - 4, 3))
    right = number(reach(view.roc, view.threshold))
    name = "answered though not meant" if width >= _WIDE else "false answers"
    across = f"{'':{AXIS}}0{name:^{max(width - AXIS - len(right) - 1, 0)}}{right}"
    return Content("\n").join([*rows, Content.styled(across[:width], "$text-muted"), *meaning(view, score)])


def meaning(view: MemoryView, score: float | None) -> list[Content]:
    """What the threshold means, on the held-out pairs that it was chosen by."""
    assert view.threshold is not None
    point = at_threshold(view.roc, view.threshold)
    if point is None:
        return []
    told = Content.assemble(
        (f"{_MARK} ", "bold $text-accent"),
        f"{number(view.threshold, 3)} answers {point[2]:.1%} of meant",
    )
    rows = [told, Content(f"  and {point[1]:.1%} of other queries")]
    if score is not None:
        side = "in scope" if score >= view.threshold else "out of scope"
        rows.append(
            Content.assemble((f"{_QUERY} ", "bold $text-accent"), f"query {number(score, 3)}, {side}")
        )
    return rows


def summary(view: MemoryView, number_of: int, head: int | None, marked: int) -> Content:
    """The line over the list; so many versions are marked."""
    facts = "1 fact" if view.total == 1 else f"{view.total:,} facts"
    away = f" (HEAD: v{head})" if head is not None and head != number_of else ""
    parts: list[str | tuple[str, str]] = [(f" v{number_of}", "bold"), f"{away} · ", (facts, "bold")]
    if marked:
        parts.append((f" · {marked:,} version{'s' * (marked > 1)} marked", "$text-accent"))
    else:
        parts.append((f" in memory · scope {inert(view.classifier[:8], 8)}", "$text-muted"))
    if view.threshold is not None:
        parts.append((f" · answers from {number(view.threshold, 3)} on", "$text-muted"))
    return Content.assemble(*parts)
