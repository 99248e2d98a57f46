"""`ConflictIndex` without an embedder: each kind by small cases, and the index kept up to date."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedit_lifecycle.checks.conflict import Conflict, ConflictIndex, RecordedEdit
from kedit_lifecycle.facts.request import EditRequest

pytestmark = pytest.mark.unit

CAPITAL, LANGUAGE = "The capital of {} is", "In {}, an official language is"


def edit(
    subject: str, relation: str | None, new: str, true: str | None = None, prompt: str | None = None
) -> EditRequest:
    prompt = prompt or f"{{}} has the {relation}"
    return EditRequest(subject=subject, prompt=prompt, relation=relation, target_new=new, target_true=true)


def index_of(*requests: EditRequest, known: tuple[tuple[str, str, str], ...] = ()) -> ConflictIndex:
    """An index in which the first request is v1, the second v2, and so on."""
    index = ConflictIndex(aliases={"United States": ["USA", "America"]}, known=known)
    for version, request in enumerate(requests, start=1):
        index.add(RecordedEdit.of(version, 0, request))
    return index


def brief(conflicts: list[Conflict]) -> list[tuple[str, str, int]]:
    return [(one.kind, one.severity, one.with_.version) for one in conflicts]


def clash(*requests: EditRequest, known: tuple[tuple[str, str, str], ...] = ()) -> list[tuple[str, str, int]]:
    """What the last request clashes with when the others are on record."""
    *recorded, new = requests
    return brief(index_of(*recorded, known=known).find(new))


ROME = edit("France", "P36", "Rome", "Paris", CAPITAL)


def test_nothing_on_record_and_nothing_related_is_no_conflict() -> None:
    assert clash(ROME) == []
    assert clash(ROME, edit("France", "P30", "Asia", "Europe")) == []
    assert clash(ROME, edit("Spain", "P36", "Lima", "Madrid", CAPITAL)) == []


def test_the_same_again_is_a_duplicate() -> None:
    again = edit("the france", "capital", " rome", "Paris", "{}'s capital city is")
    assert clash(ROME, again) == [("duplicate", "note", 1)]


def test_another_value_is_a_contradiction_and_names_the_earlier_edit() -> None:
    (found,) = index_of(ROME).find(edit("FRANCE", "P36", "Milan", "Paris"))
    assert (found.kind, found.severity) == ("contradiction", "refuse")
    assert found.message.startswith("v1 said: The capital of France is -> Rome")
    assert "Milan" in found.message
    assert "--supersede" in found.hint


def test_an_edit_of_what_the_earlier_one_put_there_overwrites_it() -> None:
    assert clash(ROME, edit("France", "P36", "Milan", "Rome")) == [("overwrite", "refuse", 1)]


def test_without_a_true_value_another_value_is_a_contradiction() -> None:
    assert clash(ROME, edit("France", "P36", "Milan")) == [("contradiction", "refuse", 1)]


def test_two_true_values_of_one_slot_are_several_values() -> None:
    first = edit("British Empire", "P30", "Antarctica", "Africa")
    assert clash(first, edit("British Empire", "P30", "Asia", "Americas")) == [("many-valued", "note", 1)]
    back = edit("British Empire", "P30", "Africa", "Asia")
    assert clash(first, back) == [("contradiction", "refuse", 1)]


def test_a_relation_of_several_values_is_never_a_contradiction() -> None:
    swedish = edit("Finland", "P37", "English", "Swedish", LANGUAGE)
    assert clash(swedish, edit("Finland", "P37", "Greek", "Finnish")) == [("many-valued", "note", 1)]
    assert clash(swedish, edit("Finland", "P37", "Greek")) == [("many-valued", "note", 1)]
    assert clash(swedish, edit("Finland", "P37", "Greek", "Swedish")) == [("many-valued", "warn", 1)]
    assert clash(swedish, edit("Finland", "P37", "Greek", "English")) == [("overwrite", "warn", 1)]


def test_aliases_are_the_subject() -> None:
    first = edit("United States", "P36", "Lima", "Washington")
    assert clash(first, edit("U.S.A.", "P36", "Bern", "Washington")) == [("contradiction", "refuse", 1)]


def test_a_subject_written_otherwise_is_similar_and_no_refusal() -> None:
    first = edit("Edwin of Northumbria", "P140", "Islam", "Christianity")
    other = edit("Mr. Edwin of Northumbria", "P140", "Buddhism", "Christianity")
    assert clash(first, other) == [("similar", "warn", 1)]
    same = edit("Mr. Edwin of Northumbria", "P140", "Islam", "Christianity")
    assert clash(first, same) == [("duplicate", "note", 1)]
    assert clash(first, edit("Mr. Edwin of Northumbria", "P19", "Rome", "York")) == []


def test_without_a_relation_the_wording_is_the_slot() -> None:
    first = edit("France", None, "Rome", None, "{}, whose seat is")
    assert clash(first, edit("France", None, "Milan", None, "{} whose seat is")) == [
        ("contradiction", "refuse", 1)
    ]
    assert clash(first, edit("France", None, "Milan", None, "{} is famous for")) == []


def test_a_declared_wording_meets_its_relation() -> None:
    assert clash(ROME, edit("France", None, "Milan", None, CAPITAL)) == [("contradiction", "refuse", 1)]


def test_one_question_under_two_relations_is_worth_a_warning() -> None:
    first = edit("Samuel Point", "P30", "Europe", "Antarctica", "{} is located in")
    assert clash(first, edit("Samuel Point", "P17", "Japan", "Norway", "{} is located in")) == [
        ("similar", "warn", 1)
    ]
    assert clash(first, edit("Samuel Point", "P17", "Japan", "Norway", "{} is in the country of")) == []


def test_a_recorded_subject_elsewhere_in_the_prompt_is_found() -> None:
    turned = edit("capital", None, "Milan", None, "The {} of France is")
    assert clash(ROME, turned) == [("similar", "warn", 1)]
    inside = edit("Tour de France", None, "Milan", None, "The capital of {} is")
    assert clash(ROME, inside) == []


def test_the_newest_edit_of_a_slot_is_what_holds() -> None:
    milan = edit("France", "P36", "Milan", "Rome", CAPITAL)
    assert clash(ROME, milan, edit("France", "P36", "Milan", "Paris")) == [("duplicate", "note", 2)]
    assert clash(ROME, milan, edit("France", "P36", "Lyon", "Paris")) == [("contradiction", "refuse", 2)]


def test_what_stood_there_before_any_edit_is_known_after_one_superseded_another() -> None:
    index = index_of(ROME, edit("France", "P36", "Milan", "Rome"))
    index.remove(1, 0)
    assert brief(index.find(edit("France", "P36", "Lyon", "Paris"))) == [("contradiction", "refuse", 2)]


def test_worst_first_then_newest() -> None:
    recorded = [
        edit("France", "P37", "Greek", "French"),
        edit("Rome", "P1376", "Italy", None),
        edit("France", "P36", "Milan", "Paris"),
        edit("The France", "P36", "Milan", "Paris"),
    ]
    assert clash(*recorded, ROME) == [("contradiction", "refuse", 4), ("reverse", "refuse", 2)]


def test_the_capital_read_from_the_other_end() -> None:
    assert clash(ROME, edit("Rome", "P1376", "Italy")) == [("reverse", "refuse", 1)]
    assert clash(ROME, edit("Rome", "P1376", "France")) == []
    assert clash(ROME, edit("Milan", "P1376", "France")) == [("reverse", "refuse", 1)]
    assert clash(edit("Rome", "P1376", "Italy"), ROME) == [("reverse", "refuse", 1)]


def test_a_symmetric_relation() -> None:
    married = edit("Ann", "P26", "Bob")
    assert clash(married, edit("Bob", "P26", "Eve")) == [("reverse", "refuse", 1)]
    assert clash(married, edit("Bob", "P26", "Ann")) == []
    assert clash(edit("Algiers", "P190", "Kiev"), edit("Kiev", "P190", "Rome", "Lyon")) == [
        ("reverse", "note", 1)
    ]


def test_a_reverse_of_several_values_warns_only_of_the_value_it_takes_away() -> None:
    father = edit("Luke", "P22", "Anakin", "Owen")
    assert clash(father, edit("Anakin", "P40", "Rey", "Luke")) == [("reverse", "warn", 1)]
    assert clash(father, edit("Anakin", "P40", "Rey", "Leia")) == [("reverse", "note", 1)]
    assert clash(father, edit("Anakin", "P40", "Luke")) == []


def test_a_child_has_two_parents_so_neither_is_refuted() -> None:
    child = edit("Anakin", "P40", "Luke", "Leia")
    assert clash(child, edit("Luke", "P25", "Ann", "Padme")) == [("reverse", "note", 1)]
    assert clash(child, edit("Luke", "P22", "Owen", "Anakin")) == [("reverse", "warn", 1)]


def test_a_student_has_one_advisor() -> None:
    assert clash(edit("Ann", "P185", "Bob"), edit("Bob", "P184", "Eve")) == [("reverse", "refuse", 1)]


FATHER_EDIT = edit("Tom", "P22", "John", "Jim")
SPOUSE_EDIT = edit("John", "P26", "Ann", "Eve")
MOTHER_EDIT = edit("Tom", "P25", "Sue", "Eve")


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_rule_over_two_edits_whichever_comes_last(last: int) -> None:
    """My father's spouse is my mother: all three are one-valued edits, so the third is refused."""
    three = [FATHER_EDIT, SPOUSE_EDIT, MOTHER_EDIT]
    new = three.pop(last)
    found = index_of(*three).find(new)
    assert {(one.kind, one.severity) for one in found} == {("composite", "refuse")}
    assert {found[0].with_.version, found[0].also and found[0].also.version} == {1, 2}


def test_a_known_premise_gives_a_warning_until_it_is_edited_away() -> None:
    known = (("Tom", "father", "John"),)
    assert clash(SPOUSE_EDIT, MOTHER_EDIT, known=known) == [("composite", "warn", 1)]
    assert clash(MOTHER_EDIT, SPOUSE_EDIT, known=known) == [("composite", "warn", 1)]
    assert clash(edit("Tom", "P22", "Jim"), SPOUSE_EDIT, MOTHER_EDIT, known=known) == []


def test_a_conclusion_that_agrees_or_rests_on_no_edit_is_no_conflict() -> None:
    assert clash(FATHER_EDIT, SPOUSE_EDIT, edit("Tom", "P25", "Ann")) == []
    assert clash(edit("Tom", "P25", "Sue"), known=(("Tom", "P22", "John"), ("John", "P26", "Ann"))) == []


def test_no_one_is_their_own_sibling() -> None:
    known = (("Tom", "P22", "John"),)
    assert clash(edit("John", "P40", "Tom"), edit("Tom", "P3373", "Max"), known=known) == []


def test_a_conclusion_of_several_values_warns_of_the_value_both_take_away() -> None:
    known = (("Kim Jong-un", "P22", "Kim Jong-il"), ("Kim Jong-il", "P40", "Kim Sul-song"))
    child = edit("Kim Jong-il", "P40", "Matilda", "Kim Sul-song")
    sibling = edit("Kim Jong-un", "P3373", "Dorothy", "Kim Sul-song")
    assert clash(child, sibling, known=known) == [("composite", "warn", 1)]
    assert clash(sibling, child, known=known) == [("composite", "warn", 1)]
    old = edit("Kim Jong-un", "P3373", "Kim Sul-song")  # what the first edit took away is no sibling
    assert clash(child, old, known=known) == [("composite", "warn", 1)]
    other = edit("Kim Jong-un", "P3373", "Dorothy", "Kim Jong-chul")
    assert clash(child, other, known=known) == [("composite", "note", 1)]


def test_a_new_first_premise_warns_of_the_conclusion_it_takes_away() -> None:
    known = (("John", "P40", "Max"), ("Jim", "P40", "Kay"))
    father = edit("Tom", "P22", "Jim", "John")  # Tom's siblings were Max, and now are Kay
    assert clash(edit("Tom", "P3373", "Zed", "Max"), father, known=known) == [("composite", "warn", 1)]
    assert clash(edit("Tom", "P3373", "Zed", "Lea"), father, known=known) == [("composite", "note", 1)]
    assert clash(edit("Tom", "P3373", "Kay", "Max"), father, known=known) == []


def test_a_new_second_premise_about_the_subject_itself_implies_nothing() -> None:
    known = (("Tom", "P22", "John"),)
    assert clash(edit("Tom", "P3373", "Max"), edit("John", "P40", "Tom"), known=known) == []


def test_an_edit_that_another_took_the_place_of_is_no_premise() -> None:
    milan = edit("France", "P36", "Milan", "Rome", CAPITAL)
    assert clash(ROME, milan, edit("Rome", "P1376", "Italy")) == []
    assert clash(ROME, milan, edit("Milan", "P1376", "Italy")) == [("reverse", "refuse", 2)]


def test_a_removed_edit_is_gone_from_every_kind() -> None:
    index = index_of(ROME, FATHER_EDIT, SPOUSE_EDIT, edit("Edwin of Bath", "P19", "Rome", "York"))
    for version in (1, 2, 3, 4):
        index.remove(version, 0)
    assert len(index) == 0
    later = [edit("France", "P36", "Milan"), edit("Rome", "P1376", "Italy"), MOTHER_EDIT]
    assert [index.find(one) for one in (*later, edit("Mr. Edwin of Bath", "P19", "Kiev"))] == [[]] * 4


def test_what_a_superseded_edit_hid_is_seen_again() -> None:
    index = index_of(ROME, edit("France", "P36", "Milan", "Rome"))
    index.remove(2, 0)
    assert brief(index.find(edit("France", "P36", "Lyon"))) == [("contradiction", "refuse", 1)]


def test_truncating_forgets_later_versions() -> None:
    index = index_of(ROME, SPOUSE_EDIT, FATHER_EDIT)
    index.truncate(1)
    assert len(index) == 1
    assert brief(index.find(MOTHER_EDIT)) == []
    assert brief(index.find(edit("France", "P36", "Lyon"))) == [("contradiction", "refuse", 1)]


def test_a_place_holds_one_edit_and_positions_are_counted_from_one_for_people() -> None:
    index = index_of(ROME)
    with pytest.raises(ValueError, match="v1 is in the index"):
        index.add(RecordedEdit.of(1, 0, ROME))
    index.add(RecordedEdit.of(1, 2, edit("Spain", "P36", "Lima", "Madrid", CAPITAL)))
    (found,) = index.find(edit("Spain", "P36", "Quito"))
    assert found.message.startswith("v1#3 said: The capital of Spain is -> Lima")
    with pytest.raises(KeyError):
        index.remove(9, 0)


names = st.sampled_from(["Ann", "Bob", "Eve", "Tom", "the Ann", "Mr. Bob"])
relations = st.sampled_from(["P22", "P25", "P26", "P40", "P3373", "P36", "P1376", None])
edits = st.builds(edit, names, relations, names, st.none() | names)


@given(st.lists(edits, max_size=8), st.lists(edits, max_size=4), edits)
def test_edits_added_and_removed_again_leave_no_trace(
    kept: list[EditRequest], gone: list[EditRequest], new: EditRequest
) -> None:
    index = index_of(*kept)
    before = index.find(new)
    for position, one in enumerate(gone):
        index.add(RecordedEdit.of(100, position, one))
    index.find(new)
    index.truncate(99)
    assert index.find(new) == before


@given(edits)
def test_an_edit_never_contradicts_itself(one: EditRequest) -> None:
    kinds = {found.kind for found in index_of(one).find(one)}
    assert "contradiction" not in kinds
    assert "duplicate" in kinds


def test_an_edit_of_the_same_slot_is_named_once_even_where_its_prompt_is_alike_too() -> None:
    index = ConflictIndex()
    said: dict[str, Any] = {"subject": "theory of relativity", "prompt": "The {} was developed by"}
    index.add(RecordedEdit(12, 0, target_new="Marie Curie", target_true="Albert Einstein", **said))
    found = index.find(EditRequest(**said, target_new="Niels Bohr", target_true="Albert Einstein"))
    assert [one.with_.where for one in found] == [(12, 0)]
    assert found[0].kind != "similar"
