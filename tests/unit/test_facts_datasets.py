"""The published data sets: one record of each form, read into exactly the requests it stands for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dataset_records import KNOWEDIT, MQUAKE, REVERSE, ROUND, ZSRE

from kedit_lifecycle.facts.conflict_edit import conflict_paraphrases
from kedit_lifecycle.facts.readers import load_requests, read_requests
from kedit_lifecycle.facts.records import requests_from
from kedit_lifecycle.facts.request import Condition, EditRequest, Probe

pytestmark = pytest.mark.unit


def test_a_zsre_record() -> None:
    assert requests_from(ZSRE) == (
        EditRequest(
            subject="Watts Humphrey",
            prompt="What university did {} attend?",
            target_new="University of Michigan",
            target_true="Illinois Institute of Technology",
            paraphrases=("What university did Watts Humphrey take part in?",),
            probes=(
                Probe(
                    category="locality",
                    prompt="who played desmond doss father in hacksaw ridge?",
                    answers=("Hugo Weaving",),
                ),
            ),
            source="zsre",
        ),
    )


def test_a_knowedit_record_with_every_kind_of_ground_truth() -> None:
    (request,) = requests_from(KNOWEDIT)
    assert request.prompt == "What is an ecological status of {}?"
    assert (request.target_new, request.target_true) == ("myna", "critically endangered")
    assert request.paraphrases == ("What is the status of Bali myna on the list?",)
    assert request.generation_prompts == ()
    assert [(probe.category, probe.answers) for probe in request.probes] == [
        ("Subject_Aliasing", ("myna",)),
        ("Relation_Specificity", ("male", "man")),
        ("Forgetfulness", ("vulnerable",)),
    ]


@pytest.mark.parametrize(
    ("ground_truth", "target_true"),
    [
        ("a", "a"),
        (["b", "c"], "b"),
        ([["d", "e"], ["f"]], "d"),
        ([[], [" g "]], "g"),
        (None, None),
        ([], None),
    ],
)
def test_the_first_of_a_ground_truth_is_the_true_target(ground_truth: Any, target_true: str | None) -> None:
    (request,) = requests_from({**KNOWEDIT, "ground_truth": ground_truth})
    assert request.target_true == target_true


def test_only_the_groups_make_a_rephrase_a_paraphrase() -> None:
    flat = {
        name: value for name, value in KNOWEDIT.items() if name not in {"locality", "portability", "cond"}
    }
    (request,) = requests_from(flat)
    assert request.paraphrases == ()
    assert request.generation_prompts == ("What is the status of Bali myna on the list?",)


def test_a_mquake_record_gives_its_rewrites_and_the_last_the_questions() -> None:
    first, last = requests_from(MQUAKE)
    assert (first.subject, first.target_new, first.target_true) == (
        "Caleb Hanie",
        "outfielder",
        "quarterback",
    )
    assert (last.question, last.relation) == ("outfielder is associated with the sport of", "P27")
    assert first.source == last.source == "mquake:235"
    assert first.probes == ()
    questions, hops = last.probes[:3], last.probes[3:]
    assert [probe.prompt for probe in questions] == MQUAKE["questions"]
    assert {probe.any_of for probe in questions} == {"multi-hop"}
    for probe in questions:
        assert (probe.category, probe.answers) == ("multi-hop", ("field hockey", "hockey"))
        assert probe.conditions == (
            Condition(prompt="Hanie plays", answers=("quarterback", "QB")),
            Condition(prompt="quarterback is in", answers=("American football",)),
        )
    assert hops == (
        Probe(category="single-hop", prompt="Hanie plays", answers=("outfielder", "OF")),
        Probe(category="single-hop", prompt="outfielder is in", answers=("field hockey", "hockey")),
    )


def test_conflict_edits_come_in_order() -> None:
    first, second = requests_from(REVERSE)
    assert first == EditRequest(
        subject="Ada",
        prompt="The relative of {} is",
        target_new="Adams",
        target_true="Byron",
        relation="P22",
        source="conflictedit:reverse:P22>P40",
    )
    assert (second.subject, second.target_true, second.target_new) == ("Adams", "Ada", "Bob")


def test_conflict_edits_without_a_rule() -> None:
    coverage = {**REVERSE, "type": "coverage"}
    del coverage["rule"]
    assert {request.source for request in requests_from(coverage)} == {"conflictedit:coverage"}


def test_a_round_edit_goes_there_and_back() -> None:
    there, back = requests_from(ROUND)
    assert (there.target_true, there.target_new) == ("Fellow", "Progress Medal")
    assert (back.target_true, back.target_new) == ("Progress Medal", "Fellow")
    assert there.question == back.question == "The relative of Anderson is"
    assert there.probes == ()
    assert back.probes == (
        Probe(category="true-objects", prompt=back.question, answers=("Fellow", "Nobel Prize")),
    )


def test_a_known_fact_changes_nothing() -> None:
    record = {
        "known_id": 5,
        "subject": "Tizen",
        "attribute": "Samsung",
        "template": "{} is developed by",
        "prediction": " Samsung and others",
        "prompt": "Tizen is developed by a consortium that includes",
        "relation_id": "P178",
    }
    (request,) = requests_from(record)
    assert request == EditRequest(
        subject="Tizen",
        prompt="{} is developed by a consortium that includes",
        target_new="Samsung",
        target_true="Samsung",
        relation="P178",
        source="known_1000:5",
    )


def test_the_requests_of_a_record_share_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in (ZSRE, MQUAKE, REVERSE)), "utf-8")
    found = [(record.line, record.number, len(record.requests)) for record in read_requests(path)]
    assert found == [(1, 1, 1), (2, 2, 2), (3, 3, 2)]
    loaded = load_requests(path)
    assert [request.source for request in loaded.requests][:3] == ["zsre", "mquake:235", "mquake:235"]
    assert len(loaded.requests) == 5


def test_paraphrases_by_relation(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text('{"P22": ["{} was fathered by", "{}\'s dad is ", "{}\'s dad is"], "P40": []}', "utf-8")
    assert conflict_paraphrases(path) == {"P22": ("{} was fathered by", "{}'s dad is"), "P40": ()}
