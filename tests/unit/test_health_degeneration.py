"""Repetition and distinctness against counts made by hand."""

from __future__ import annotations

import math

import pytest
from tiny import tiny_editable

from kedit_lifecycle.checks.health.generation import NEUTRAL_PROMPTS, Texts, write_texts
from kedit_lifecycle.evaluation.degeneration import distinct_share, gram_entropy, repeated_predictions

pytestmark = pytest.mark.unit


def test_repeated_predictions_are_those_that_stand_before() -> None:
    ids = [1, 2, 3, 1]
    assert repeated_predictions(ids, [1, 1, 9]) == pytest.approx(2 / 3)
    assert repeated_predictions(ids, [2, 3, 1]) == pytest.approx(1 / 3)  # 2 and 3 come only later
    assert repeated_predictions(ids, []) is None


def test_repetition_looks_128_tokens_back() -> None:
    ids = list(range(130))
    predicted = [999] * 127 + [0, 0]
    assert repeated_predictions(ids, predicted) == pytest.approx(1 / 129)


def test_distinct_shares_of_ngrams() -> None:
    text = [1, 2, 1, 2, 1]
    assert distinct_share(text, 1) == pytest.approx(2 / 5)
    assert distinct_share(text, 2) == pytest.approx(2 / 4)
    assert distinct_share(text, 3) == pytest.approx(2 / 3)
    assert distinct_share([1, 2], 3) is None


def test_entropy_of_ngrams_in_bits() -> None:
    assert gram_entropy([1, 2, 3, 4, 5], 2) == pytest.approx(2.0)
    assert gram_entropy([7, 7, 7, 7], 2) == 0.0
    assert gram_entropy([1, 1, 1, 2], 1) == pytest.approx(0.75 * math.log2(4 / 3) + 0.5)
    assert gram_entropy([1], 2) is None


def test_numbers_of_texts_are_means_over_them() -> None:
    texts = Texts(((1, 2, 1, 2, 1), (7, 7, 7, 7, 7)), tokens=5, seed=3)
    values = {one.metric: one for one in texts.metrics()}
    assert texts.repeated_trigrams == pytest.approx(((1 / 3) + (2 / 3)) / 2)
    assert values["distinct_2"].value == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert values["trigram_entropy"].value == pytest.approx((math.log2(3) - 2 / 3) / 2)
    assert {one.protocol.partition(":")[2] for one in values.values()} == {"tokens=5,seed=3"}
    assert {one.count for one in values.values()} == {2}


def test_texts_are_drawn_alike_and_at_full_length() -> None:
    model = tiny_editable("gpt2")
    texts = write_texts(model, 12, seed=1)
    assert [len(text) for text in texts.continuations] == [12] * len(NEUTRAL_PROMPTS)
    assert write_texts(model, 12, seed=1) == texts
    assert write_texts(model, 12, seed=2) != texts
