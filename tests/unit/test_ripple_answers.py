"""Whether a text gives an answer, and which criterion a data set's category is."""

from __future__ import annotations

import pytest

from kedit_lifecycle.checks.ripple.answers import answer_given, mentions
from kedit_lifecycle.checks.ripple.criteria import CRITERIA, conditions_of, criterion_of
from kedit_lifecycle.checks.ripple.descriptions import DESCRIPTIONS, describe
from kedit_lifecycle.evaluation.registry import METRICS, RIPPLE_PROTOCOL
from kedit_lifecycle.facts.relations import RELATIONS
from kedit_lifecycle.facts.request import Condition, EditRequest, Probe

REQUEST = EditRequest(subject="Herb Caen", prompt="{} is a citizen of", target_new="Czech Republic")


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        (" Rome, the city", ("Rome",)),
        (" the old city of ROME.\nIt", ("rome",)),
        (" in the Czech\n  Republic since", ("Czechia", "Czech Republic")),
        (" Que\u0301bec is", ("Qu\u00e9bec",)),
        (" “Au”, from Latin", ("Au",)),
        ("No, he is not", ("no",)),
        (" 79.", ("79",)),
        ("🇦🇹 Austria", ("🇦🇹",)),
        (" the U.S. of A", ("U.S.",)),
    ],
)
def test_an_answer_is_found(text: str, answers: tuple[str, ...]) -> None:
    assert answer_given(text, answers)


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        (" Romeo and Juliet", ("Rome",)),
        (" a Palindrome", ("Rome", "drome")),
        (" the city at the river", ("AT",)),
        (" at the river", ("AT",)),
        (" and it is known", ("it", "IT")),
        (" 1790", ("79",)),
        (" in the United", ("United States",)),
        ("", ("Rome",)),
        (" Rome", ()),
        (" Rome", ("", "  ")),
    ],
)
def test_a_part_of_a_word_or_a_common_short_word_is_no_answer(text: str, answers: tuple[str, ...]) -> None:
    assert not answer_given(text, answers)


def test_a_name_of_any_length_is_found_anywhere_in_a_prompt() -> None:
    assert mentions("The chemical element with the symbol Au is", "au")
    assert not mentions("The capital of Austria is", "Au")
    assert not mentions("The capital of Austria is", "")


def test_what_looks_like_a_pattern_is_taken_as_text() -> None:
    assert answer_given("it costs C$ (5.00)", ("C$ (5.00)",))
    assert not answer_given("abcde", ("a.c.e",))


@pytest.mark.parametrize(
    ("category", "criterion"),
    [
        ("Logical_Generalization", "logical_generalization"),
        ("Compositionality_I", "compositionality_1"),
        ("Compositionality II", "compositionality_2"),
        ("Subject_Aliasing", "subject_aliasing"),
        ("Forgetfulness", "preservation"),
        ("Preservation", "preservation"),
        ("Relation_Specificity", "relation_specificity"),
        ("Relation_Specifity", "relation_specificity"),
        ("multi-hop", "multi_hop"),
        ("locality", "locality"),
        ("single-hop", "single-hop"),
    ],
)
def test_categories_of_the_data_sets(category: str, criterion: str) -> None:
    assert criterion_of(Probe(category=category, prompt="p", answers=("a",)), REQUEST) == criterion


def test_reasoning_is_the_first_compositionality_where_it_starts_at_the_subject() -> None:
    first = Probe(
        category="Reasoning", prompt="The currency of the country of Herb Caen is", answers=("koruna",)
    )
    second = first.model_copy(update={"prompt": "The author of Baghdad-by-the-Bay is a citizen of"})
    assert [criterion_of(probe, REQUEST) for probe in (first, second)] == [
        "compositionality_1",
        "compositionality_2",
    ]


def test_what_must_stay_must_have_been_so_before() -> None:
    probe = Probe(category="Forgetfulness", prompt="Besides", answers=("a", "b"))
    own = Condition(prompt="other", answers=("c",))
    assert conditions_of(probe, REQUEST) == (Condition(prompt="Besides", answers=("a", "b")),)
    assert conditions_of(probe.model_copy(update={"conditions": (own,)}), REQUEST) == (own,)
    assert conditions_of(probe.model_copy(update={"category": "Subject_Aliasing"}), REQUEST) == ()
    assert conditions_of(probe.model_copy(update={"category": "Locality"}), REQUEST) != ()
    assert conditions_of(probe.model_copy(update={"category": "single-hop"}), REQUEST) == ()


def test_every_criterion_is_a_metric_by_the_protocol_of_probes() -> None:
    for criterion in CRITERIA:
        definition = METRICS[criterion]
        assert (definition.protocol, definition.scorer) == (RIPPLE_PROTOCOL, "greedy-generation")
        assert definition.better == "higher"


def test_descriptions_are_of_declared_relations_and_name_the_subject_once() -> None:
    assert set(DESCRIPTIONS) <= set(RELATIONS)
    assert all(phrase.count("{}") == 1 and phrase.startswith("the ") for phrase in DESCRIPTIONS.values())
    assert describe("P36", "France") == "the capital of France"
    assert describe("P1549", "France") is None
