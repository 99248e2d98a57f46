"""The metrics as pure functions of scores and texts. None means: there was nothing to measure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from kedit_lifecycle.evaluation.scores import PromptScore, TargetScore

BIGRAM_WEIGHT, TRIGRAM_WEIGHT = 2 / 3, 4 / 3
_WORD_OR_MARK = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean, None of nothing."""
    return math.fsum(values) / len(values) if values else None


def _contrasts(scores: Sequence[PromptScore]) -> list[tuple[TargetScore, TargetScore]]:
    """(new, true) of the prompts that have both targets."""
    return [(score.new, score.true) for score in scores if score.true is not None]


def success(scores: Sequence[PromptScore]) -> float | None:
    """Share of prompts that prefer the new target: mean per-token NLL of new < of true.

    ES on the edit prompt, PS on paraphrases (Meng et al. 2022, section 3.3); a tie is no success.
    """
    return mean([float(new.mean_nll < true.mean_nll) for new, true in _contrasts(scores)])


def magnitude(scores: Sequence[PromptScore]) -> float | None:
    """Mean of exp(−NLL new) − exp(−NLL true), NLLs per token: EM and PM (Meng et al. 2022, section 3.3)."""
    return mean([new.token_probability - true.token_probability for new, true in _contrasts(scores)])


def preservation(scores: Sequence[PromptScore]) -> float | None:
    """Share of neighborhood prompts that still prefer the true target: NS (Meng et al. 2022, section 3.3)."""
    return mean([float(true.mean_nll < new.mean_nll) for new, true in _contrasts(scores)])


def preservation_magnitude(scores: Sequence[PromptScore]) -> float | None:
    """Mean of exp(−NLL true) − exp(−NLL new) over neighborhood prompts: NM (Meng et al. 2022)."""
    reverse = magnitude(scores)
    return None if reverse is None else -reverse


def harmonic_mean(parts: Sequence[float | None]) -> float | None:
    """The harmonic mean: 0 where a part is 0, None where one is missing. S is that of ES, PS and NS."""
    known = [part for part in parts if part is not None]
    if not parts or len(known) < len(parts):
        return None
    return 0.0 if min(known) == 0 else len(known) / math.fsum(1 / part for part in known)


def exact_match(scores: Sequence[PromptScore]) -> float | None:
    """Share of prompts at which every token of the new target is the argmax under teacher forcing."""
    return mean([float(score.new.is_argmax) for score in scores])


def unchanged_share(before: Sequence[int], after: Sequence[int]) -> float | None:
    """Share of prompts whose most probable next token is the one it was before the edit."""
    return mean([float(old == new) for old, new in zip(before, after, strict=True)])


def generated_match(text: str, target: str) -> bool:
    """Does the generated text begin with the target, and the target end where a word ends?

    White space is collapsed and stripped on both sides, case counts; "Rome" matches "Rome, the"
    and not "Romeo". `text` must be generated longer than the target, else its last word may be cut.
    """
    said, wanted = " ".join(text.split()), " ".join(target.split())
    after = said[len(wanted) : len(wanted) + 1]
    splits_word = _is_word(wanted[-1:]) and _is_word(after)
    return bool(wanted) and said.startswith(wanted) and not splits_word


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def ngram_entropy(text: str) -> float:
    """Fluency of one text in bits: the mean of 2/3 · H(bigrams) and 4/3 · H(trigrams), base 2.

    The weights and their mean as in the code of Meng et al. 2022 (GE; after Zhang et al. 2018).
    Words keep inner apostrophes and each punctuation mark is a word of its own, where the published
    code uses NLTK's tokenizer. A text too short for an n-gram has none of its entropy.
    """
    words = _WORD_OR_MARK.findall(text)
    return (BIGRAM_WEIGHT * _entropy(words, 2) + TRIGRAM_WEIGHT * _entropy(words, 3)) / 2


def _entropy(words: Sequence[str], n: int) -> float:
    counts = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    total = counts.total()
    return math.fsum(count / total * math.log2(total / count) for count in counts.values())
