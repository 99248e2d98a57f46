"""How degenerate a model's predictions and texts are, as pure functions of token ids (no torch)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from kedit_lifecycle.evaluation.metrics import mean

REPETITION_SPAN = 128  # ℓ of rep/ℓ; part of "welleck/rep@1"


def repeated_predictions(ids: Sequence[int], predicted: Sequence[int]) -> float | None:
    """rep/ℓ: share of the most probable next tokens that stand among the ℓ = 128 tokens before them.

    `predicted[t]` is the most probable token in the place of `ids[t + 1]`. Welleck et al. 2020, Neural
    Text Generation With Unlikelihood Training, section 6, "token-level repetition".
    """
    before = (ids[max(0, t + 1 - REPETITION_SPAN) : t + 1] for t in range(len(predicted)))
    return mean([float(token in span) for token, span in zip(predicted, before, strict=True)])


def distinct_share(tokens: Sequence[int], n: int) -> float | None:
    """Distinct n-grams divided by all n-grams of a text; None of one too short.

    Distinct-n after Li et al. 2016 (there divided by the number of words). 1 − this is seq-rep-n of
    Welleck et al. 2020, section 6.
    """
    grams = _grams(tokens, n)
    return len(set(grams)) / len(grams) if grams else None


def gram_entropy(tokens: Sequence[int], n: int) -> float | None:
    """Entropy in bits of a text's distribution of n-grams; None of one too short. Zhang et al. 2018."""
    counts = Counter(_grams(tokens, n))
    total = counts.total()
    if not total:
        return None
    return math.fsum(count / total * math.log2(total / count) for count in counts.values())


def _grams(tokens: Sequence[int], n: int) -> list[tuple[int, ...]]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
