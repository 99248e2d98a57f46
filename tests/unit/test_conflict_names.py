"""Names that are one, and names that only look alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedit_lifecycle.checks.conflict.meaning import may_be_one_thing
from kedit_lifecycle.checks.conflict.names import acronyms, name_key, name_parts, same_name
from kedit_lifecycle.checks.conflict.prompts import asked

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("  The  Beatles ", "beatles"),
        ("The", "the"),
        ("U.S.A.", "usa"),
        ("J. R. R. Tolkien", "jrr tolkien"),
        ("ＰＡＲＩＳ", "paris"),
        ("Guinea-Bissau", "guinea bissau"),
        ("C++", "c++"),
        ("C#", "c#"),
        ("!!!", "!!!"),
        ("O’Neill", "oneill"),
    ],
)
def test_one_spelling_for_comparison(text: str, key: str) -> None:
    assert name_key(text) == key


@given(st.text(min_size=1))
def test_a_key_is_its_own_key(text: str) -> None:
    assert name_key(name_key(text).casefold()) == name_key(name_key(text))


@given(st.text(min_size=1))
def test_any_text_can_be_taken_apart_and_is_itself(text: str) -> None:
    assert name_parts(text).core or not text.strip()
    assert same_name(text, text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mr. Edwin of Northumbria", "Edwin of Northumbria"),
        ("J.R.R. Tolkien", "John Ronald Reuel Tolkien"),
        ("D. Beckham", "David Beckham"),
        ("Kennedy, John F.", "John Fitzgerald Kennedy"),
        ("John Kennedy", "John F. Kennedy"),
        ("Crown of Aragón", "crown of aragon"),
        ("Łódź", "Lodz"),
        ("Averill, Earl", "Earl Averill"),
        ("Earl Averill, Jr.", "Earl Averill"),
        ("Mr. Charles FitzGerald, 1st Baron Lecale", "Charles FitzGerald, 1st Baron Lecale"),
        ("Apple Inc.", "Apple"),
        ("Kingdom of Norway", "Norway"),
        ("St. Vincent", "Saint Vincent"),
        ("USA", "United States of America"),
        ("U.K.", "United Kingdom"),
        ("Mercury (planet)", "Mercury"),
    ],
)
def test_two_spellings_of_one_name(one: str, other: str) -> None:
    assert same_name(one, other)
    assert same_name(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Gregory IX", "Gregory X"),
        ("Edward I of England", "Edward II of England"),
        ("Windows 7", "Windows 8"),
        ("John Smith", "James Smith"),
        ("North Korea", "South Korea"),
        ("Samoa", "American Samoa"),
        ("Kansas", "Kansas City"),
        ("Republic of the Congo", "Democratic Republic of the Congo"),
        ("Martin Luther King Jr.", "Martin Luther King Sr."),
        ("King George", "Prince George"),
        ("Mercury (planet)", "Mercury (element)"),
        ("Chevrolet Camaro (fifth generation)", "Chevrolet Camaro (first generation)"),
        ("University of California", "University of Southern California Press"),
        ("C++", "C#"),
        ("us", "Ulf Svensson"),
    ],
)
def test_two_names_that_look_alike(one: str, other: str) -> None:
    assert not same_name(one, other)
    assert not same_name(other, one)


def test_acronyms_with_and_without_small_words() -> None:
    assert acronyms("United States of America") == {"usoa", "usa"}
    assert acronyms("France") == set()


def test_likeness_may_only_decide_between_names_without_a_common_word() -> None:
    assert may_be_one_thing("Burma", "Myanmar")
    assert not may_be_one_thing("North Korea", "South Korea")
    assert not may_be_one_thing("Windows 7", "Vista 8")


def test_a_prompt_is_read_from_the_sentence_of_its_subject_on() -> None:
    bare = asked("The genre played by {} is", "P136")
    assert asked("It grows from a taproot. The genre played by {} is", "P136") == bare
    assert asked("Where is {}? It is located in", None).template == "Where is {}? It is located in"
    assert asked("Mr. J. {} was born in", None).template.endswith("J. {} was born in")


def test_a_declared_relations_wording_stands_for_the_relation() -> None:
    assert asked("The capital of {} is", None).relation == "P36"
    assert asked("the Capital of  {} is:", None).relation == "P36"
    assert asked("{}, whose capital is", None).relation is None
    assert asked("{} means", "capital").relation == "P36"
    assert asked("{} means", "P9999").relation == "p9999"
