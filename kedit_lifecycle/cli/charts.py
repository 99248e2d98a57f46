"""The series of a model's health as charts, in the terminal and as a picture."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from kedit_lifecycle.cli.output import line
from kedit_lifecycle.errors import UsageError

if TYPE_CHECKING:
    from kedit_lifecycle.checks.collapse import Health, HealthLimits
    from kedit_lifecycle.checks.collapse.history import Reading

SHOWN = {
    "perplexity": "perplexity, × the unedited model's",
    "drift": "drift, nats per token",
    "retention": "earlier edits lost, share",
    "weight_change": "‖ΔW‖/‖W‖",
}
TERMINAL_HEIGHT = 11
MARKER = "braille"
MOST_COLUMNS = 120


def _points(series: list[Reading], name: str) -> tuple[list[int], list[float]]:
    """The versions at which a measure was taken, and its finite values there."""
    taken = [(v, values[name]) for v, values in series if name in values and math.isfinite(values[name])]
    return [version for version, _ in taken], [value for _, value in taken]


def draw_terminal(series: list[Reading], limits: HealthLimits) -> None:
    """One small chart under the other, as wide as the terminal; limits that are near as lines across."""
    import plotext

    width = min(shutil.get_terminal_size((80, 24)).columns, MOST_COLUMNS)
    figure = plotext.figure
    for name, title in SHOWN.items():
        versions, values = _points(series, name)
        if not versions:
            continue
        figure.clear()
        figure.theme("colorless")
        figure.plot_size(width, TERMINAL_HEIGHT)
        figure.title(title)
        own = limits.measures[name]
        near = [limit for limit in (own.warn, own.fail) if limit is not None and limit <= 1.5 * max(values)]
        for limit in near:
            figure.line(limit, "horizontal")
        figure.draw(figure.signal(versions, values, marker=MARKER).lines())
        for row in figure.build().string(colorless=True).splitlines():
            line(row.rstrip())


def draw_png(
    series: list[Reading], states: list[tuple[int, Health]], limits: HealthLimits, path: Path
) -> None:
    """The charts with their limits, and shaded where the model was not healthy.

    Raises:
        UsageError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 9), layout="constrained")
    FigureCanvasAgg(figure)
    names = [name for name in SHOWN if _points(series, name)[0]]
    for place, name in enumerate(names, start=1):
        axes = figure.add_subplot(len(names), 1, place)
        versions, values = _points(series, name)
        axes.plot(versions, values, marker=".", linewidth=1)
        own = limits.measures[name]
        for limit, style, label in ((own.warn, ":", "warn"), (own.fail, "--", "fail")):
            if limit is not None:
                axes.axhline(limit, linestyle=style, color="grey", label=label)
        for state, colour in (("degrading", "#f0c040"), ("collapsed", "#d04040")):
            for number, health in states:
                if health.state == state:
                    axes.axvspan(number - 0.5, number + 0.5, color=colour, alpha=0.25, linewidth=0)
        axes.set_title(SHOWN[name], fontsize=10, loc="left")
        axes.legend(loc="upper left", fontsize=8)
    axes.set_xlabel("version")
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
