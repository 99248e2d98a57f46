"""The line under the history: perplexity, retention and weight change as they went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from kedit_lifecycle.tui.text import number, percent_change
from kedit_lifecycle.tui.widgets.sparkline import sparkline

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import HealthView

POINTS = 120
_NAMES = ("perplexity", "retention", "‖ΔW‖/‖W‖")


def trends(view: HealthView, width: int) -> Content:
    """The three series beside each other, each with its last value."""
    points = view.points
    series: list[tuple[str, list[float | None], str, float | None, float | None]] = [
        (
            _NAMES[0],
            perplexity := [one.perplexity for one in points],
            percent_change(_last(perplexity)),
            None,
            None,
        ),
        (_NAMES[1], retention := [one.retention for one in points], number(_last(retention)), 0.0, 1.0),
        (_NAMES[2], change := [one.weight_change for one in points], _small(_last(change)), 0.0, None),
    ]
    if not any(value is not None for _, values, *_ in series for value in values):
        return Content.styled(" perplexity, retention and ‖ΔW‖ were not measured yet", "$text-muted")
    room = max((width - sum(len(name) + 10 for name in _NAMES)) // len(series), 3)
    parts: list[str | tuple[str, str]] = []
    for name, values, last, low, high in series:
        line = sparkline(values, room, low, high)
        parts += [(f" {name} ", "$text-muted"), (line, "$primary"), f" {last}  "]
    return Content.assemble(*parts)


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _small(value: float | None) -> str:
    return number(value, 3) if value is not None and value < 0.1 else number(value)
