"""Does an edit hold? Asked of those just made, and again of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kedit_lifecycle.checks.health.sampling import EarlierEdit
from kedit_lifecycle.evaluation import metrics
from kedit_lifecycle.evaluation.metrics import mean
from kedit_lifecycle.evaluation.registry import measured
from kedit_lifecycle.evaluation.scores import MetricValue, PromptScore
from kedit_lifecycle.evaluation.scoring import Reading, Scorer, score_of
from kedit_lifecycle.facts.request import EditRequest


def holds(score: PromptScore) -> bool:
    """Whether an edit holds, by the score of its edit prompt.

    Every token of the new target is the argmax under teacher forcing (exact match); and where the
    request has a true target, the new one has the lower mean NLL per token (ES).
    """
    return score.new.is_argmax and metrics.success([score]) in (None, 1.0)


def score_edit_prompts(scorer: Scorer, requests: Sequence[EditRequest]) -> list[PromptScore]:
    """Score the new and the true targets of all requests at their edit prompts, in one pass.

    Raises:
        BadRecordError: for a prompt or target the tokenizer or the model cannot take.
    """
    new = [scorer.target_reading(request.question, request.target_new) for request in requests]
    true = [_true_reading(scorer, request) for request in requests]
    asked = [*new, *(reading for reading in true if reading is not None)]
    answers = scorer.read(asked)
    scores = iter(score_of(*pair) for pair in zip(asked[len(new) :], answers[len(new) :], strict=True))
    return [
        PromptScore(score_of(reading, answer), None if other is None else next(scores))
        for reading, answer, other in zip(new, answers, true, strict=False)
    ]


def _true_reading(scorer: Scorer, request: EditRequest) -> Reading | None:
    if request.target_true is None:
        return None
    return scorer.target_reading(request.question, request.target_true)


@dataclass(frozen=True, slots=True)
class Retention:
    """Earlier edits with their scores on the model as it is now."""

    asked: tuple[EarlierEdit, ...]
    scores: tuple[PromptScore, ...]

    @property
    def known(self) -> int:
        """How many of those asked are known to have held when they were made."""
        return sum(one.held is True for one in self.asked)

    @property
    def lost(self) -> list[EarlierEdit]:
        """Those that held when they were made and hold no more."""
        pairs = zip(self.asked, self.scores, strict=True)
        return [one for one, score in pairs if one.held is True and not holds(score)]

    @property
    def forgotten(self) -> float | None:
        """Their share; None if none is known to have held."""
        return len(self.lost) / self.known if self.known else None

    def metrics(self) -> list[MetricValue]:
        """Efficacy and exact match now, and the share forgotten, as far as there is something to count."""
        contrasts = [score for score in self.scores if score.true is not None]
        found = [
            ("retention", mean([float(metrics.success([s]) == 1.0) for s in contrasts]), len(contrasts)),
            ("retention_exact_match", metrics.exact_match(self.scores), len(self.scores)),
            ("forgotten", self.forgotten, self.known),
        ]
        return [measured(name, value, count) for name, value, count in found if value is not None]


def ask_again(scorer: Scorer, earlier: Sequence[EarlierEdit]) -> Retention:
    """Score earlier edits on the model as it is now."""
    return Retention(tuple(earlier), tuple(score_edit_prompts(scorer, [one.request for one in earlier])))
