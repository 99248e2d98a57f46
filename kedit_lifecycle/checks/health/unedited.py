"""What the checks compare with: the unedited model, read once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from kedit_lifecycle.checks.health.budget import CheckBudget
from kedit_lifecycle.checks.health.generation import Texts, write_texts
from kedit_lifecycle.evaluation.degeneration import repeated_predictions
from kedit_lifecycle.evaluation.drift import DriftReference
from kedit_lifecycle.evaluation.perplexity import TextReading, monitor_text, read_text
from kedit_lifecycle.evaluation.registry import measured
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import CachedLower


class Unedited:
    """Reads the unedited model when it is first asked for, whatever is edited then."""

    def __init__(
        self, model: EditableModel, samples: Sequence[Sequence[int]], budget: CheckBudget, lower: CachedLower
    ) -> None:
        self._model, self._samples, self._budget, self._lower = model, samples, budget, lower

    @cached_property
    def monitor(self) -> TextReading:
        """The monitor text."""
        with self._model.unedited():
            return read_monitor(self._model, self._budget, self._lower)

    @cached_property
    def drift(self) -> DriftReference:
        """The unedited model on its own samples."""
        cut = [sample[: self._budget.drift_length] for sample in self._samples]
        with self._model.unedited():
            return DriftReference.build(
                self._model, cut, max_positions=self._budget.drift_positions, hidden=self._lower
            )

    @cached_property
    def texts(self) -> Texts:
        """What it writes from the neutral prompts."""
        with self._model.unedited():
            return write_texts(self._model, self._budget.generated_tokens, self._budget.seed)


def read_monitor(model: EditableModel, budget: CheckBudget, lower: CachedLower) -> TextReading:
    """The first tokens of the monitor text, as many as the budget has."""
    return read_text(model, monitor_text(), max_tokens=budget.monitor_tokens, hidden=lower)


def prediction_metrics(reading: TextReading) -> list[MetricValue]:
    """How varied the most probable tokens are at the positions of a text."""
    count = len(reading.predicted)
    repeated = repeated_predictions(reading.ids, reading.predicted)
    assert repeated is not None  # a text has at least one position
    return [
        measured("distinct_predictions", distinct_predictions(reading), count, **reading.settings),
        measured("repeated_predictions", repeated, count, **reading.settings),
    ]


def distinct_predictions(reading: TextReading) -> float:
    """Distinct most probable tokens divided by the positions."""
    return len(set(reading.predicted)) / len(reading.predicted)
