"""Conflict and round-trip metrics against numbers worked out by hand, and a tiny model."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_editable

from kedit_lifecycle.evaluation import conflict_metrics as metrics
from kedit_lifecycle.evaluation.conflict_metrics import StatedFact
from kedit_lifecycle.evaluation.scoring import Scorer
from kedit_lifecycle.facts.request import EditRequest

pytestmark = pytest.mark.unit

FATHER = EditRequest(
    subject="Luke",
    prompt="The father of {} is",
    target_new="Anakin",
    paraphrases=("Luke is the son of", "Who fathered Luke? It was"),
)
CHILD = EditRequest(subject="Anakin", prompt="A child of {} is", target_new="Rey", target_true="Luke")


def test_conflict_score_counts_pairs_whose_new_fact_is_likelier() -> None:
    assert metrics.conflict_score([(0.3, 0.2), (0.1, 0.4), (0.5, 0.5)]) == pytest.approx(1 / 3)
    assert metrics.conflict_score([]) is None


def test_conflict_magnitude_is_the_share_of_the_old_fact_that_was_lost() -> None:
    # (0.4 − 0.1)/0.4 = 0.75, (0.5 − 0.6)/0.5 = −0.2
    assert metrics.conflict_magnitude([(0.4, 0.1), (0.5, 0.6)]) == pytest.approx(0.275)


def test_conflict_magnitude_has_a_floor_and_leaves_out_what_had_nothing_to_lose() -> None:
    assert metrics.conflict_magnitude([(0.1, 0.9)]) == -1.0
    assert metrics.conflict_magnitude([(0.0, 0.5), (0.5, 0.25)]) == 0.5
    assert metrics.conflict_magnitude([(0.0, 0.5)]) is None


def test_distortion_by_hand() -> None:
    # p = (1/2, 1/2), q = (1, 0), middle = (3/4, 1/4)
    expected = (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25) + math.log(1 / 0.75)) / 2
    assert metrics.distortion([0.2, 0.2], [0.3, 0.0]) == pytest.approx(expected)
    assert metrics.distortion([0.2, 0.0], [0.0, 0.2]) == pytest.approx(math.log(2))
    assert metrics.distortion([0.0], [0.5]) is None


probabilities = st.lists(st.floats(0.001, 1), min_size=3, max_size=3)


@given(probabilities, probabilities, st.floats(0.01, 1))
def test_distortion_is_symmetric_bounded_and_blind_to_scale(
    before: list[float], after: list[float], scale: float
) -> None:
    found = metrics.distortion(before, after)
    assert found is not None
    assert -1e-12 <= found <= math.log(2) + 1e-12
    assert metrics.distortion(after, before) == pytest.approx(found, abs=1e-12)
    assert metrics.distortion([scale * p for p in before], after) == pytest.approx(found, abs=1e-9)
    assert metrics.distortion(before, before) == pytest.approx(0, abs=1e-12)


def test_ignore_and_failure_rates_by_hand() -> None:
    assert metrics.ignore_rate([0.3, 0.2, 0.1, 0.1], [0.2, 0.3, 0.05, 0.1]) == 0.5
    assert metrics.ignore_rate([], []) is None
    assert metrics.failure_rate([0.5, 0.51, 1.0, 0.0]) == 0.5


def test_before_and_after_must_be_about_the_same_objects() -> None:
    with pytest.raises(ValueError, match="zip"):
        metrics.ignore_rate([0.1], [0.1, 0.2])
    with pytest.raises(ValueError, match="zip"):
        metrics.distortion([0.1], [0.1, 0.2])


def test_the_new_fact_of_a_reverse_pair_read_from_the_first_edits_side() -> None:
    assert metrics.stated(FATHER) == StatedFact(
        ("The father of Luke is", "Luke is the son of", "Who fathered Luke? It was"), "Anakin"
    )
    assert metrics.explicit_new(CHILD) == StatedFact(("A child of Anakin is",), "Rey")
    assert metrics.implicit_new(FATHER, CHILD, "reverse") == StatedFact(
        ("The father of Rey is", "Rey is the son of", "Who fathered Rey? It was"), "Anakin"
    )


def test_the_new_fact_of_a_composite_pair_read_from_the_first_edits_side() -> None:
    spouse = EditRequest(subject="John", prompt="The spouse of {} is", target_new="Ann")
    mother = EditRequest(subject="Tom", prompt="The mother of {} is", target_new="Eve", target_true="Ann")
    assert metrics.implicit_new(spouse, mother, "composite") == StatedFact(("The spouse of John is",), "Eve")


def test_probabilities_are_means_over_prompts_of_the_tokens_geometric_mean() -> None:
    scorer = Scorer(tiny_editable("llama"))
    facts = [metrics.stated(FATHER), metrics.explicit_new(CHILD)]
    found = metrics.fact_probabilities(scorer, facts)
    by_hand = []
    for fact in facts:
        ones = [scorer.score_targets([(prompt, fact.target)])[0] for prompt in fact.prompts]
        by_hand.append(sum(math.exp(one.total_logprob / one.token_count) for one in ones) / len(ones))
    assert found == pytest.approx(by_hand, rel=1e-4)
