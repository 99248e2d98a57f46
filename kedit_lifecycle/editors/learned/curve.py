"""How a training went, beside its artefact: the validations as a table and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kedit_lifecycle.blobs.folder import unwritable
from kedit_lifecycle.blobs.whole_file import replace_file

TABLE, PICTURE = "curve.tsv", "curve.png"
COLUMNS = ("step", "loss", "nll", "kl", "es", "ps", "ns")
_TOGETHER = tuple(f"{name}_together" for name in COLUMNS[2:])  # only where edits were put together
_PANELS = (
    ("what is minimised", ("loss",)),
    ("nats per token", ("nll", "kl", "nll_together", "kl_together")),
    ("share of held-out prompts", ("es", "ps", "ns", "es_together", "ps_together", "ns_together")),
)

Curve = Sequence[Mapping[str, float]]


def curve_table(curve: Curve) -> str:
    """Tab-separated, one row to a validation; a score that was not taken is empty."""
    columns = COLUMNS + tuple(name for name in _TOGETHER if any(name in point for point in curve))
    rows = ["\t".join(str(point.get(name, "")) for name in columns) for point in curve]
    return "\n".join(["\t".join(columns), *rows]) + "\n"


def draw_curve(curve: Curve, best_step: int, path: Path) -> None:
    """A PNG with the best validation marked.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 8), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, names) in enumerate(_PANELS, start=1):
        axes = figure.add_subplot(len(_PANELS), 1, place)
        for name in names:
            taken = [(point["step"], point[name]) for point in curve if name in point]
            if taken:
                axes.plot(*zip(*taken, strict=True), marker=".", linewidth=1, label=name)
        axes.axvline(best_step, color="grey", linestyle="--", linewidth=1, label="best")
        axes.set_title(title, fontsize=10, loc="left")
        axes.legend(fontsize=8)
    axes.set_xlabel("step")
    figure.savefig(path, format="png", dpi=110)


def write_curve(curve: Curve, best_step: int, folder: Path) -> None:
    """Both files, into an artefact's folder.

    Raises:
        StoreUnwritableError: a full disk or a read-only folder.
    """
    with unwritable(folder):
        replace_file(folder / TABLE, curve_table(curve).encode())
        draw_curve(curve, best_step, folder / PICTURE)
