"""The series of a model's health as charts, in the terminal and as a picture."""

from __future__ import annotations

import math
import shutil
import sys
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
DASHED_FROM = 2  # versions: of one alone there is no line to draw


def _points(series: list[Reading], name: str) -> tuple[list[int], list[float]]:
    """The versions at which a measure was taken, and its finite values there."""
    taken = [(v, values[name]) for v, values in series if name in values and math.isfinite(values[name])]
    return [version for version, _ in taken], [value for _, value in taken]


def draw_terminal(series: list[Reading], limits: HealthLimits) -> None:
    """One small chart under the other, as wide as the terminal; without colours off a terminal."""
    import plotext

    width = min(shutil.get_terminal_size((80, 24)).columns, 120)
    for name, title in SHOWN.items():
        versions, values = _points(series, name)
        if not versions:
            continue
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.plot_size(width, TERMINAL_HEIGHT)
        plotext.plot(versions, values, marker=MARKER)
        for limit in (limits.measures[name].warn, limits.measures[name].fail):
            if limit is not None and limit <= 1.5 * max(values):
                plotext.horizontal_line(limit)
        plotext.title(title)
        text = plotext.build()
        for row in (text if sys.stdout.isatty() else plotext.uncolorize(text)).splitlines():
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
