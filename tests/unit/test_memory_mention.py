"""Where a query names a subject, and which part of it asks."""

from __future__ import annotations

import pytest

from kedit_lifecycle.memory.scope.mention import asking, last_sentence, mentions, words_of

pytestmark = pytest.mark.unit


def test_unrelated_text_in_front_is_left_out_and_the_subject_masked() -> None:
    one = asking("It grows from a taproot. The genre played by Doublemoon is", "Doublemoon")
    assert one.focus == "The genre played by Doublemoon is"
    assert one.masked == "The genre played by something is"
    assert one.in_focus
    assert one.in_query
    assert not one.extended
    assert one.other_names == 0


@pytest.mark.parametrize(
    ("query", "last"),
    [
        ("What is the twin city of Oslo? It is", "What is the twin city of Oslo? It is"),
        ("A. Rain fell. Who wrote Emma? She is", "Who wrote Emma? She is"),
        ("References\n\nCategory: Books Emma was written by", "Category: Books Emma was written by"),
        ('He said "No." Oslo, the', "Oslo, the"),
        ("Where was Bach born? In", "Where was Bach born? In"),
        ("", ""),
    ],
)
def test_the_last_sentence_that_can_stand_alone(query: str, last: str) -> None:
    assert last_sentence(query) == last


def test_a_full_stop_inside_the_name_ends_no_sentence() -> None:
    one = asking("Rain fell. The mayor of St. Louis is", "St. Louis")
    assert one.focus == "The mayor of St. Louis is"
    assert one.masked == "The mayor of something is"


def test_case_accents_and_punctuation_do_not_hide_a_name() -> None:
    assert asking("the capital of cote d ivoire is", "Côte d'Ivoire").in_focus
    assert not asking("The capital of Oman is", "Roman").in_query
    assert not asking("World War II ended in", "World War I").in_query
    assert mentions(words_of("a b a b"), "a b") == [(0, 2), (2, 4)]
    assert mentions(words_of("anything"), "?!") == []


def test_a_subject_named_only_before_is_told_from_one_that_is_asked_about() -> None:
    one = asking("Danielle Darrieux sang. The mother tongue of Léon Blum is", "Danielle Darrieux")
    assert one.in_query
    assert not one.in_focus
    assert one.other_names == 1
    assert one.masked == one.focus == "The mother tongue of Léon Blum is"


@pytest.mark.parametrize(
    ("query", "subject", "extended"),
    [
        ("The depth of Lake Victoria is", "Victoria", True),
        ("The spouse of Victoria Beckham is", "Victoria", True),
        ("The seat of the University of Oxford is", "Oxford", True),
        ("The capital of Victoria is", "Victoria", False),
        ("In Victoria, people speak", "Victoria", False),
        ("Victoria is", "Victoria", False),
    ],
)
def test_a_name_inside_a_longer_one(query: str, subject: str, extended: bool) -> None:
    assert asking(query, subject).extended is extended


def test_aliases_and_shares() -> None:
    one = asking("The mayor of the City of Light is", "Paris", aliases=("City of Light",))
    assert one.in_focus
    assert one.masked == "The mayor of the something is"
    assert asking("Ruth Darrieux was born in", "Danielle Darrieux").share == 0.5
    assert asking("Nothing was said", "Danielle Darrieux").share == 0.0
