"""Each record edited alone and taken back: the protocol behind the tables of single edits."""

from __future__ import annotations

import statistics as numbers
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors import Editor, EditorConfig
from kedit_lifecycle.editors.statistics import Statistics, open_statistics
from kedit_lifecycle.evaluation.perplexity import monitor_perplexity, perplexity
from kedit_lifecycle.evaluation.suite import (
    RequestEvaluation,
    aggregate,
    evaluate_requests,
    read_neighborhood,
)
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel

COLUMNS = {
    "efficacy": "ES",
    "paraphrase": "PS",
    "neighborhood": "NS",
    "score": "S",
    "efficacy_magnitude": "EMag",
    "paraphrase_magnitude": "PM",
    "neighborhood_magnitude": "NM",
    "neighborhood_unchanged": "same",
    "exact_match": "EM",
    "generated_exact_match": "genEM",
}
HEADING = (
    f"{'':<30}" + "".join(f"{short:>7}" for short in COLUMNS.values()) + f"{'ppl':>9}{'max':>7}{'s/edit':>8}"
)

Text = Callable[[EditableModel], float]


def reading_text(path: Path | None, tokens: int) -> Text:
    """Perplexity of the first `tokens` tokens of a file, or of the built-in monitor text."""
    if path is None:
        return lambda model: monitor_perplexity(model, max_tokens=tokens).value
    text = path.read_text(encoding="utf-8")
    return lambda model: perplexity(model, text, max_tokens=tokens).value


@dataclass
class Table:
    """One row: evaluations of all records, the perplexity after each edit, and the time of each."""

    evaluations: list[RequestEvaluation] = field(default_factory=list)
    perplexities: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def row(self, name: str, base: float) -> str:
        """Means; perplexity as mean and largest ratio to the unedited model's."""
        values = aggregate(self.evaluations)
        cells = "".join(f"{values[m].value:7.3f}" if m in values else f"{'–':>7}" for m in COLUMNS)
        ratios = [value / base for value in self.perplexities] or [1.0]
        times = f"{numbers.median(self.seconds):8.2f}" if self.seconds else f"{'–':>8}"
        return f"{name[:30]:<30}{cells}{numbers.mean(ratios):8.4f}×{max(ratios):6.3f}×{times}"


def edit_each_alone(
    model: EditableModel,
    editor: Editor[Any],
    config: EditorConfig,
    statistics: Statistics,
    requests: Sequence[EditRequest],
    text: Text,
    *,
    generate: bool = True,
) -> Table:
    """Edit, evaluate and take back one request after another."""
    table, base = Table(), read_neighborhood(model, requests)
    for request in requests:
        began = time.perf_counter()
        delta = editor.plan(model, [request], config, statistics=statistics)
        table.seconds.append(time.perf_counter() - began)
        with model.trial():
            model.apply(delta.updates)
            table.evaluations += evaluate_requests(
                model, [request], before=base, generate=generate, fluency=False
            )
            table.perplexities.append(text(model))
    return table


def unedited_row(model: EditableModel, requests: Sequence[EditRequest], *, generate: bool = True) -> Table:
    """The unedited model on the same records."""
    return Table(evaluate_requests(model, requests, generate=generate, fluency=False))


def statistics_in(model: EditableModel, folder: str) -> Statistics:
    """Statistics kept in a folder and shared through the user's cache."""
    return open_statistics(model, Path(folder) / "stats", BlobStore(Path(folder) / "blobs"))
