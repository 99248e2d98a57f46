"""What a conflict or a round trip left behind, from probabilities.

Definitions: Li et al., ICLR 2024, "Unveiling the Pitfalls of Knowledge Editing for Large Language Models":
Conflict Score and Conflict Magnitude (section 3, ConflictEdit), Distortion, Ignore Rate and Failure Rate
(section 4, RoundEdit); where the paper leaves a choice, their published code (`experiments/summarize.py`)
decides. The probability of a fact is the mean over its prompts of exp(mean log P of the target's tokens).
None means: there was nothing to measure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kedit_lifecycle.evaluation.metrics import mean
from kedit_lifecycle.facts.request import SUBJECT_SLOT, EditRequest

if TYPE_CHECKING:
    from kedit_lifecycle.evaluation.scoring import Scorer

LARGEST_GAIN = -1.0  # of a Conflict Magnitude: a fact that gained more than its own probability counts so
FAILURE_LIMIT = 0.5  # an Ignore Rate above it is a failure

ConflictForm = Literal["reverse", "composite"]


@dataclass(frozen=True, slots=True)
class StatedFact:
    """A fact as whole prompts and the target that follows them."""

    prompts: tuple[str, ...]
    target: str


def conflict_score(probabilities: Sequence[tuple[float, float]]) -> float | None:
    """CS: the share of pairs in which the new fact is likelier than the old one, both after both edits.

    `probabilities` are (P(k_n), P(k_o)) of one pair of edits each. CS_exp has k_n as the second edit states
    it (`explicit_new`), CS_imp as it reads in the first edit's relation (`implicit_new`). A tie is none.
    """
    return mean([float(new > old) for new, old in probabilities])


def conflict_magnitude(probabilities: Sequence[tuple[float, float]]) -> float | None:
    """CM: how much of the old fact's probability the second edit took, (P_m(k_o) − P'(k_o)) / P_m(k_o).

    `probabilities` are (after the first edit, after both). No pair counts less than −1, as in the published
    code; a pair whose old fact had no probability has none to lose and is left out.
    """
    return mean([max((first - both) / first, LARGEST_GAIN) for first, both in probabilities if first > 0])


def distortion(before: Sequence[float], after: Sequence[float]) -> float | None:
    """D of one round trip: Jensen–Shannon divergence, in nats, over a subject's true objects.

    The objects' probabilities before the first edit and after the edit back, in one order, each set
    normalised to 1. In [0, ln 2]. The published code divides by the number of objects besides: its
    `batchmean` takes a vector of objects for a batch.
    """
    total_before, total_after = math.fsum(before), math.fsum(after)
    if total_before <= 0 or total_after <= 0:
        return None
    p = [value / total_before for value in before]
    q = [value / total_after for value in after]
    middle = [(one + other) / 2 for one, other in zip(p, q, strict=True)]
    return (_divergence(p, middle) + _divergence(q, middle)) / 2


def _divergence(p: Sequence[float], q: Sequence[float]) -> float:
    """KL(p ‖ q) in nats."""
    return math.fsum(one * math.log(one / other) for one, other in zip(p, q, strict=True) if one > 0)


def ignore_rate(before: Sequence[float], after: Sequence[float]) -> float | None:
    """IR of one round trip: the share of the other true objects that became less likely.

    The probabilities leave out the object that was edited back.
    """
    return mean([float(first > last) for first, last in zip(before, after, strict=True)])


def failure_rate(ignore_rates: Sequence[float]) -> float | None:
    """FR: the share of round trips whose Ignore Rate is above one half."""
    return mean([float(rate > FAILURE_LIMIT) for rate in ignore_rates])


def stated(request: EditRequest) -> StatedFact:
    """What a request says after its edit, asked by its prompt and its paraphrases: k_o of a first edit."""
    return StatedFact((request.question, *request.paraphrases), request.target_new)


def explicit_new(second: EditRequest) -> StatedFact:
    """k_n of CS_exp: the second edit's own words."""
    return stated(second)


def implicit_new(first: EditRequest, second: EditRequest, form: ConflictForm) -> StatedFact:
    """k_n of CS_imp: what the second edit says, asked in the first edit's relation.

    Reverse, s1 —r1→ o2 against o2 —r2→ s2: s2 —r1→ o2. Composite, m —r1→ o2 against what follows from it
    with o3: m —r1→ o3.
    """
    if form == "composite":
        return StatedFact(stated(first).prompts, second.target_new)
    subject = second.target_new
    prompts = (
        first.prompt.replace(SUBJECT_SLOT, subject),
        *(text.replace(first.subject, subject) for text in first.paraphrases),
    )
    return StatedFact(prompts, first.target_new)


def fact_probabilities(scorer: Scorer, facts: Sequence[StatedFact]) -> list[float]:
    """The probability of each fact in the scorer's model, all prompts in one call.

    Raises:
        BadRecordError: for a prompt or target of no tokens, or one too long for the model.
    """
    pairs = [(prompt, fact.target) for fact in facts for prompt in fact.prompts]
    scores = iter(scorer.score_targets(pairs))
    return [
        math.fsum(next(scores).token_probability for _ in fact.prompts) / len(fact.prompts) for fact in facts
    ]
