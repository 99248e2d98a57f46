"""The five series: what each is called, how its numbers are written, which of them is how bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, cast

from kedit_lifecycle.tui.text import number, percent_change

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import HealthView, Limit, SeriesPoint

Values = Sequence[float | None]


def _small(value: float | None) -> str:
    return number(value, 3) if value is not None and abs(value) < 0.1 else number(value)


@dataclass(frozen=True, slots=True)
class Series:
    """One series of `SeriesPoint`.

    Attributes:
        field: its name there.
        title: its name on the screen.
        about: what its numbers are.
        best: the value of an unedited model.
        floor: its limits are floors: less is worse.
        write: a number as text.
    """

    field: str
    title: str
    about: str
    best: float
    floor: bool
    write: Callable[[float | None], str]

    def values(self, points: Sequence[SeriesPoint]) -> list[float | None]:
        """Its values; what is no finite number was not measured."""
        found = [cast("float | None", getattr(point, self.field)) for point in points]
        return [value if value is not None and isfinite(value) else None for value in found]

    def limit(self, view: HealthView) -> Limit | None:
        """Where it warns and fails, if its check was made."""
        return next((one for one in view.limits if one.series == self.field), None)

    def verdict(self, value: float | None, limit: Limit | None) -> str:
        """pass, warn or fail; empty where nothing was measured or nothing limits it."""
        if value is None or limit is None:
            return ""
        for name, at in (("fail", limit.fail), ("warn", limit.warn)):
            if at is not None and self.beyond(value, at):
                return name
        return "pass"

    def beyond(self, value: float, limit: float) -> bool:
        """Worse than the limit; a value at it is within."""
        return value < limit - 1e-9 if self.floor else value > limit + 1e-9

    def worst(self, values: Values) -> int | None:
        """The place of the worst value, the first of equals."""
        there = [(value, place) for place, value in enumerate(values) if value is not None]
        if not there:
            return None
        worst = (min if self.floor else max)(value for value, _ in there)
        return next(place for value, place in there if value == worst)


SERIES: tuple[Series, ...] = (
    Series("perplexity", "perplexity", "vs the unedited", 1.0, False, percent_change),
    Series("drift", "drift", "of next tokens", 0.0, False, _small),
    Series("retention", "retention", "earlier edits", 1.0, True, number),
    Series("locality", "locality", "neighbors kept", 1.0, True, number),
    Series("weight_change", "‖ΔW‖/‖W‖", "largest layer", 0.0, False, _small),
)
"""From top to bottom."""


def nearest(points: Sequence[SeriesPoint], version: int | None) -> int | None:
    """The place of a version among points that rise: its own, else of the last one before it."""
    if not points:
        return None
    if version is None:
        return len(points) - 1
    before = [place for place, point in enumerate(points) if point.number <= version]
    return before[-1] if before else 0
