"""The version at the cursor in numbers: the state and its reasons, the series, and what a check found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from kedit_lifecycle.tui.checking import Check
from kedit_lifecycle.tui.screens.health.series import SERIES, Series
from kedit_lifecycle.tui.signs import state_sign, verdict_sign
from kedit_lifecycle.tui.text import inert
from kedit_lifecycle.tui.widgets.lines import joined, section

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import HealthView, SeriesPoint


def headline(view: HealthView, number: int, *, off_line: bool) -> Content:
    """One line: the version, its state, since when and why."""
    sign, style = state_sign(view.state)
    since = f" since v{view.since}" if view.since is not None else ""
    reasons = " · ".join(inert(one, 200) for one in view.reasons)
    parts: list[str | tuple[str, str]] = [
        (f" v{number} ", "bold"),
        (f"{sign} {inert(view.state, 20)}{since}", style),
    ]
    if off_line:
        parts.append((" · not on HEAD's line", "$text-muted"))
    if reasons:
        parts.append((f" · {reasons}", "$text-muted"))
    return Content.assemble(*parts)


def numbers(view: HealthView, point: SeriesPoint | None, now: tuple[int, Sequence[Check]] | None) -> Content:
    """All there is to say about the version that `view` ends with."""
    rows = list(_table(view, point)) if point is not None else []
    return joined(
        [
            *_state(view),
            *section(f"v{point.number} in numbers" if point else "in numbers", rows),
            *(section(f"v{now[0]} checked now", map(_check, now[1])) if now else []),
        ]
    )


def _state(view: HealthView) -> Iterator[Content]:
    sign, style = state_sign(view.state)
    since = f" since v{view.since}" if view.since is not None else ""
    yield Content.assemble((f"{sign} {inert(view.state, 20)}", f"bold {style}"), since)
    for reason in view.reasons:
        yield Content(f"  {inert(reason, 400)}")
    if not view.reasons and view.state != "healthy":
        yield Content.styled("  no check of the state was made here", "$text-muted")


def _table(view: HealthView, point: SeriesPoint) -> Iterator[Content]:
    yield Content.styled(f"  {'':11}{'value':>8}{'warn':>8}{'fail':>8}", "$text-muted")
    for series in SERIES:
        yield _row(series, view, point)


def _row(series: Series, view: HealthView, point: SeriesPoint) -> Content:
    value, limit = series.values([point])[0], series.limit(view)
    verdict = series.verdict(value, limit)
    sign, style = verdict_sign(verdict) if verdict else (" ", "")
    warn, fail = (limit.warn, limit.fail) if limit else (None, None)
    return Content.assemble(
        (f"{sign} ", f"bold {style}"),
        (f"{series.title:<11}", "$text-muted"),
        (f"{series.write(value):>8}", "bold"),
        f"{series.write(warn):>8}{series.write(fail):>8}",
    )


def _check(check: Check) -> Content:
    sign, style = verdict_sign(str(check["verdict"]))
    name, message = inert(str(check["check"]), 40), inert(str(check["message"]), 400)
    return Content.assemble((f"{sign} ", f"bold {style}"), f"{name:<13} ", message)


def copied(point: SeriesPoint) -> str:
    """The numbers as text for the clipboard."""
    found = [f"{one.title} {one.write(one.values([point])[0])}" for one in SERIES]
    return f"v{point.number}: {point.state or 'unknown'}, " + ", ".join(found)
