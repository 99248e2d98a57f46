"""Every metric against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedit_lifecycle.evaluation import metrics
from kedit_lifecycle.evaluation.scores import PromptScore, TargetScore


def score(nll: float, *, tokens: int = 1, argmax: bool = False) -> TargetScore:
    """A target whose tokens each cost `nll` nats."""
    return TargetScore(-nll * tokens, nll, tokens, argmax)


def prompt(new: float, true: float | None = None, *, argmax: bool = False) -> PromptScore:
    return PromptScore(score(new, argmax=argmax), None if true is None else score(true))


THREE = [prompt(1.0, 2.0), prompt(3.0, 2.5), prompt(0.5, 4.0)]


def test_success_is_the_share_that_prefers_the_new_target() -> None:
    assert metrics.success(THREE) == pytest.approx(2 / 3)
    assert metrics.success([prompt(2.0, 2.0)]) == 0.0


def test_preservation_is_the_share_that_prefers_the_true_target() -> None:
    assert metrics.preservation(THREE) == pytest.approx(1 / 3)
    assert metrics.preservation([prompt(2.0, 2.0)]) == 0.0


def test_magnitudes_are_differences_of_probability() -> None:
    expected = (
        (math.exp(-1) - math.exp(-2)) + (math.exp(-3) - math.exp(-2.5)) + (math.exp(-0.5) - math.exp(-4))
    ) / 3
    assert metrics.magnitude(THREE) == pytest.approx(expected)
    assert metrics.preservation_magnitude(THREE) == pytest.approx(-expected)


def test_targets_of_different_length_are_compared_per_token() -> None:
    long_new = PromptScore(score(1.0, tokens=4), score(1.5, tokens=1))  # totals −4 and −1.5
    assert metrics.success([long_new]) == 1.0
    assert metrics.magnitude([long_new]) == pytest.approx(math.exp(-1.0) - math.exp(-1.5))
    assert long_new.new.probability == pytest.approx(math.exp(-4.0))


def test_prompts_without_a_true_target_are_left_out() -> None:
    assert metrics.success([prompt(1.0, 2.0), prompt(9.0)]) == 1.0
    assert metrics.magnitude([prompt(9.0)]) is None


@pytest.mark.parametrize(
    "metric",
    [
        metrics.success,
        metrics.magnitude,
        metrics.preservation,
        metrics.preservation_magnitude,
        metrics.exact_match,
    ],
)
def test_nothing_measured_is_none(metric: object) -> None:
    assert callable(metric)
    assert metric([]) is None


def test_nothing_read_is_no_share() -> None:
    assert metrics.unchanged_share([], []) is None
    assert metrics.mean([]) is None


def test_harmonic_mean() -> None:
    assert metrics.harmonic_mean([1.0, 0.5, 0.25]) == pytest.approx(3 / 7)
    assert metrics.harmonic_mean([1.0, 0.0, 1.0]) == 0.0
    assert metrics.harmonic_mean([1.0, None, 1.0]) is None
    assert metrics.harmonic_mean([]) is None


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5))
def test_the_harmonic_mean_lies_between_the_least_and_the_arithmetic_mean(parts: list[float]) -> None:
    value = metrics.harmonic_mean(parts)
    assert value is not None
    assert min(parts) - 1e-12 <= value <= sum(parts) / len(parts) + 1e-12


def test_exact_match_is_the_share_of_whole_targets() -> None:
    assert metrics.exact_match([prompt(1.0, argmax=True), prompt(1.0), prompt(2.0)]) == pytest.approx(1 / 3)


def test_unchanged_share() -> None:
    assert metrics.unchanged_share([5, 6, 7, 8], [5, 6, 9, 8]) == 0.75
    with pytest.raises(ValueError, match="shorter"):
        metrics.unchanged_share([5, 6], [5])


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        (" Rome, the capital", "Rome", True),
        (" Rome", "Rome", True),
        (" Rome.\nIt is", "Rome", True),
        ("\n Rome is", " Rome ", True),
        (" Romeo and Juliet", "Rome", False),
        (" Rome2", "Rome", False),
        (" Rome_2", "Rome", False),
        (" rome is", "Rome", False),
        (" the city of Rome", "Rome", False),
        (" New  York\nCity", "New York", True),
        (" New York", "New York City", False),
        (" Rom", "Rome", False),
        (" Orléansville", "Orléans", False),
        (" Washington, D.C.Today", "Washington, D.C.", True),
        ("", "Rome", False),
        ("Rome", "", False),
    ],
)
def test_generated_match(text: str, target: str, expected: bool) -> None:
    assert metrics.generated_match(text, target) is expected


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_text_always_matches_what_it_says_before_a_full_stop(target: str, rest: str) -> None:
    assert metrics.generated_match(f" {target}. {rest}", target) is bool(target.split())


def plain_entropy(words: list[str], n: int) -> float:
    grams = [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]
    shares = [grams.count(gram) / len(grams) for gram in set(grams)]
    return -sum(share * math.log(share) / math.log(2) for share in shares)


def test_ngram_entropy_by_hand() -> None:
    # bigrams: ab ba ab ba, so 1 bit; trigrams: aba bab aba, so H(1/3, 2/3)
    trigrams = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    expected = (2 / 3 * 1.0 + 4 / 3 * trigrams) / 2
    assert metrics.ngram_entropy("a b a b a") == pytest.approx(expected)


def test_ngram_entropy_of_words_and_marks() -> None:
    words = ["It", "isn't", "Rome", ",", "it", "isn't", "Rome", ";", "it", "'", "s", "…", "isn't", "Rome"]
    text = "It isn't Rome, it isn't Rome; it ' s… isn't Rome"
    expected = (2 / 3 * plain_entropy(words, 2) + 4 / 3 * plain_entropy(words, 3)) / 2
    assert metrics.ngram_entropy(text) == pytest.approx(expected)


def test_a_text_of_different_words_has_the_most_entropy_and_a_repeated_word_none() -> None:
    many = " ".join(f"word{i}" for i in range(100))
    assert metrics.ngram_entropy(many) == pytest.approx((2 / 3 * math.log2(99) + 4 / 3 * math.log2(98)) / 2)
    assert metrics.ngram_entropy("the " * 100) == pytest.approx(0.0)
    assert metrics.ngram_entropy("the") == metrics.ngram_entropy("") == 0.0
