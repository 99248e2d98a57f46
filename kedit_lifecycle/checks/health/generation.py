"""Texts that a model writes from neutral prompts, and how far they repeat themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kedit_lifecycle.evaluation.degeneration import distinct_share, gram_entropy
from kedit_lifecycle.evaluation.metrics import mean
from kedit_lifecycle.evaluation.registry import measured
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.generation import generate

NEUTRAL_PROMPTS = (
    "The weather in the mountains",
    "When the train arrived, she",
    "A simple way to cook rice is",
    "In the last few years, many people",
)
TOP_K = 5


@dataclass(frozen=True, slots=True)
class Texts:
    """Continuations of the neutral prompts, as token ids."""

    continuations: tuple[tuple[int, ...], ...]
    tokens: int
    seed: int

    @property
    def repeated_trigrams(self) -> float:
        """Mean of 1 − distinct / all trigrams over the continuations."""
        return 1.0 - _mean([distinct_share(text, 3) for text in self.continuations])

    def metrics(self) -> list[MetricValue]:
        """Repeated trigrams, distinct bigrams, trigram entropy."""
        found = {
            "repeated_trigrams": self.repeated_trigrams,
            "distinct_2": _mean([distinct_share(text, 2) for text in self.continuations]),
            "trigram_entropy": _mean([gram_entropy(text, 3) for text in self.continuations]),
        }
        count = len(self.continuations)
        return [measured(n, v, count, tokens=self.tokens, seed=self.seed) for n, v in found.items()]


def _mean(values: Sequence[float | None]) -> float:
    known = mean([value for value in values if value is not None])
    assert known is not None  # continuations are never cut short
    return known


def write_texts(model: EditableModel, tokens: int, seed: int) -> Texts:
    """Continue each neutral prompt by `tokens` tokens, past any EOS, drawn from the 5 most probable."""
    written = generate(model, NEUTRAL_PROMPTS, tokens, seed=seed, top_k=TOP_K, stop_at_eos=False)
    return Texts(tuple(map(tuple, written)), tokens, seed)
