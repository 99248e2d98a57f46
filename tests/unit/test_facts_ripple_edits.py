"""RippleEdits: sentences into prompts, tests into probes with conditions."""

from __future__ import annotations

from typing import Any

import pytest
from dataset_records import MOTHER, RIPPLE_EDITS, ripple_query, ripple_test

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts.records import requests_from
from kedit_lifecycle.facts.request import Condition, EditRequest, Probe

pytestmark = pytest.mark.unit


def _sentence(prompt: str, relation: str, before: str | None = None, **record: Any) -> EditRequest:
    edit: dict[str, Any] = {"prompt": prompt, "relation": relation, "subject_id": "Q1", "target_id": "Q2"}
    if before is not None:
        edit["original_fact"] = {"prompt": before}
    (request,) = requests_from({"example_type": "recent", "edit": edit, **record})
    return request


def test_a_record_becomes_one_request_with_a_probe_for_every_question() -> None:
    irmelin = ("Irmelin", "Irmelin Indenbirken")
    prompt = "The name of the mother of Leonardo is"
    assert requests_from(RIPPLE_EDITS) == (
        EditRequest(
            subject="Leonardo",
            prompt="The name of the country of citizenship of {} is",
            target_new="Syria",
            target_true="United States of America",
            relation="P27",
            probes=(
                Probe(
                    category="Compositionality_I", prompt="A", answers=("xx",), any_of="Compositionality_I:0"
                ),
                Probe(
                    category="Compositionality_I",
                    prompt="B",
                    answers=("yy", "zz"),
                    any_of="Compositionality_I:0",
                ),
                Probe(category="Compositionality_II", prompt="D", answers=("1",)),
                Probe(category="Compositionality_II", prompt="E", answers=("ok",)),
                Probe(
                    category="Relation_Specificity",
                    prompt=prompt,
                    answers=irmelin,
                    conditions=(Condition(prompt=prompt, answers=irmelin),),
                ),
            ),
            source="rippleedits:popular",
        ),
    )


@pytest.mark.parametrize(
    ("relation", "sentence", "prompt", "subject", "target"),
    [
        (
            "MOTHER",
            "The name of the mother of Martin is Ann.",
            "The name of the mother of {} is",
            "Martin",
            "Ann",
        ),
        ("OCCUPATION", "The occupation of Ed is jurist.", "The occupation of {} is", "Ed", "jurist"),
        ("SEX_OR_GENDER", "The gender of Ed is male.", "The gender of {} is", "Ed", "male"),
        (
            "SIBLING",
            "The names of the siblings of Ed are Al Jr..",
            "The names of the siblings of {} are",
            "Ed",
            "Al Jr.",
        ),
        ("FOLLOWS", "Dune 2 follows Dune.", "{} follows", "Dune 2", "Dune"),
        (
            "AWARD_RECEIVED",
            "The name of the award Bo won is Oscar.",
            "The name of the award {} won is",
            "Bo",
            "Oscar",
        ),
        (
            "NUMBER_OF_CHILDREN",
            "The number of children Bo has is 3.",
            "The number of children {} has is",
            "Bo",
            "3",
        ),
    ],
)
def test_a_sentence_is_split(relation: str, sentence: str, prompt: str, subject: str, target: str) -> None:
    request = _sentence(sentence, relation)
    assert (request.prompt, request.subject, request.target_new) == (prompt, subject, target)
    assert request.target_true is None
    assert f"{request.question} {request.target_new}." == sentence


def test_relations_keep_the_id_that_the_project_knows() -> None:
    known = _sentence("The name of the spouse of Ed is Jo.", "SPOUSE")
    unknown = _sentence("The eye color of Ed is blue.", "EYE_COLOR")
    assert (known.relation, unknown.relation) == ("P26", "eye color")


DIRECTOR = "The name of the director of {} is {}."


def test_the_fact_before_tells_a_subject_with_the_same_words_in_it() -> None:
    request = _sentence(
        DIRECTOR.format("What is Love", "Jo"), "DIRECTOR", before=DIRECTOR.format("What is Love", "Al")
    )
    assert (request.subject, request.target_new, request.target_true) == ("What is Love", "Jo", "Al")
    other = _sentence(DIRECTOR.format("Love", "What is Al"), "DIRECTOR", before=DIRECTOR.format("Love", "Jo"))
    assert (other.subject, other.target_new) == ("Love", "What is Al")


def test_another_question_about_the_subject_tells_it_too() -> None:
    about = ripple_test(ripple_query("The name of the editor of What is Love is", ["Bo"]))
    request = _sentence(DIRECTOR.format("What is Love", "Jo"), "DIRECTOR", Relation_Specificity=[about])
    assert request.subject == "What is Love"
    elsewhere = ripple_test(
        ripple_query("The name of the editor of What is Love is", ["Bo"], subject_id="Q9")
    )
    with pytest.raises(BadRecordError, match="the subject is not certain"):
        _sentence(DIRECTOR.format("What is Love", "Jo"), "DIRECTOR", Relation_Specificity=[elsewhere])


@pytest.mark.parametrize("how", ["OR", "AND", None])
def test_only_the_questions_of_an_or_test_stand_for_each_other(how: str | None) -> None:
    both = {**ripple_test(ripple_query("A", ["xx"]), ripple_query("B", ["yy"])), "test_condition": how}
    request = _sentence(
        "The gender of Ed is male.", "SEX_OR_GENDER", Logical_Generalization=[ripple_test(), both]
    )
    wanted = None if how == "AND" else "Logical_Generalization:1"
    assert [probe.any_of for probe in request.probes] == [wanted, wanted]


def test_the_spelling_of_the_data_sets_description_is_read_too() -> None:
    request = _sentence(
        "The gender of Ed is male.", "SEX_OR_GENDER", Relation_Specifity=[ripple_test(MOTHER)]
    )
    assert [probe.category for probe in request.probes] == ["Relation_Specificity"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"edit": 1}, "edit: must be an object, not a number"),
        ({"edit": {"prompt": "x"}}, "edit.relation: missing"),
        ({"edit": {"relation": "MOTHER"}}, "edit.prompt: missing"),
        (
            {"edit": {"relation": "MOTHER", "prompt": "Ann is the mother of Ed."}},
            "edit.prompt: the subject cannot be found in 'Ann is the mother of Ed.'",
        ),
        (
            {"edit": {"relation": "FATHER", "prompt": "The name of the mother of Ed is Ann."}},
            "edit.prompt: the subject cannot be found",
        ),
        (
            {"edit": {"relation": "MOTHER", "prompt": "The name of the mother of Ed is ."}},
            "target_new is empty",
        ),
        (
            {"edit": {"relation": "MOTHER", "prompt": "The name of the mother of  is Ann."}},
            "subject is empty",
        ),
        (
            {"edit": {**RIPPLE_EDITS["edit"], "original_fact": {"prompt": "The gender of Ed is male."}}},
            "edit.original_fact.prompt: asks another question",
        ),
        (
            {"edit": {**RIPPLE_EDITS["edit"], "original_fact": []}},
            "edit.original_fact: must be an object, not a list",
        ),
        ({"Forgetfulness": {}}, "Forgetfulness: must be a list of objects, not an object"),
        (
            {"Forgetfulness": [ripple_test(how="XOR")]},
            "Forgetfulness.0.test_condition: must be OR or AND, not 'XOR'",
        ),
        (
            {"Forgetfulness": [{"test_queries": [ripple_query("A"), {}]}]},
            "Forgetfulness.0.test_queries.1.prompt: missing",
        ),
        (
            {"Forgetfulness": [{"test_queries": [{"prompt": "p", "answers": [{"value": 3}]}]}]},
            "Forgetfulness.0.test_queries.0.answers.0.value: must be a string, not a number",
        ),
        (
            {"Forgetfulness": [{"condition_queries": [{"prompt": "p", "answers": ["x"]}]}]},
            "Forgetfulness.0.condition_queries.0.answers.0: must be an object, not a string",
        ),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadRecordError) as caught:
        requests_from({**RIPPLE_EDITS, **change})
    assert problem in str(caught.value)
