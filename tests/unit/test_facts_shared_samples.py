"""Samples of the real data sets: every record is read, with everything that it holds."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from benchmark_files import shared_path

from kedit_lifecycle.facts.conflict_edit import conflict_paraphrases
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.relations import relation_of
from kedit_lifecycle.facts.request import EditRequest

pytestmark = pytest.mark.unit


def _sample(name: str) -> Path:
    path = shared_path(name)
    if not path.exists():
        pytest.skip(f"no sample {name} in ../shared/data")
    return path


def _read(name: str) -> tuple[list[dict[str, Any]], tuple[EditRequest, ...]]:
    path = _sample(name)
    text = path.read_text("utf-8")
    records = [json.loads(line) for line in text.splitlines()] if name.endswith("l") else json.loads(text)
    return records, load_requests(path).requests


def _categories(requests: tuple[EditRequest, ...]) -> dict[str, int]:
    return dict(Counter(probe.category for request in requests for probe in request.probes))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("counterfact_100.json", 100),
        ("counterfact_stream_1500.jsonl", 1500),
        ("counterfact_same_slot_conflicts.json", 71),
        ("knowedit_wiki_recent_40.json", 40),
        ("knowedit_wiki_counterfact_40.json", 40),
        ("knowedit_zsre_40.json", 40),
        ("mquake_cf_30.json", 37),
        ("conflict_reverse_edit_25.json", 50),
        ("conflict_composite_edit_25.json", 50),
        ("conflict_coverage_edit_25.json", 50),
        ("conflict_easy_25.json", 50),
        ("conflict_hard_25.json", 50),
        ("known_200.json", 200),
    ],
)
def test_every_record_is_read(name: str, count: int) -> None:
    _, requests = _read(name)
    assert len(requests) == count
    for request in requests:
        assert request.question.count(request.subject) >= 1
        assert request.target_new == request.target_new.strip()
        assert EditRequest.model_validate(request.model_dump(mode="json")) == request


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("knowedit_wiki_recent_40.json", 0),
        ("knowedit_wiki_counterfact_40.json", 1),  # one has an empty answer
        ("knowedit_zsre_40.json", 0),
    ],
)
def test_knowedit_keeps_every_question_that_has_an_answer(name: str, left_out: int) -> None:
    records, requests = _read(name)
    asked = Counter(
        category
        for record in records
        for group in ("portability", "locality")
        for category, items in record[group].items()
        for _ in items
    )
    assert sum(asked.values()) - sum(_categories(requests).values()) == left_out
    assert set(_categories(requests)) == set(asked)


def test_knowedit_zsre_has_paraphrases_and_flattened_counterfact_none_from_a_rephrase() -> None:
    records, requests = _read("knowedit_zsre_40.json")
    for record, request in zip(records, requests, strict=True):
        assert request.paraphrases == (record["rephrase_prompt"].strip(),)
        assert request.target_true == record["ground_truth"][0].strip()


def test_mquake_asks_three_ways_and_every_hop() -> None:
    records, requests = _read("mquake_cf_30.json")
    assert _categories(requests) == {"multi-hop": 90, "single-hop": 75}
    last = [request for request in requests if request.probes]
    assert [request.source for request in last] == [f"mquake:{record['case_id']}" for record in records]
    for record, request in zip(records, last, strict=True):
        assert len(request.probes[0].conditions) == len(record["single_hops"])
        assert request.probes[0].answers[0] == record["new_answer"]
        assert request.subject == record["requested_rewrite"][-1]["subject"]


def test_a_reverse_edit_is_about_the_new_object_of_the_first() -> None:
    _, requests = _read("conflict_reverse_edit_25.json")
    for first, second in zip(requests[::2], requests[1::2], strict=True):
        assert second.subject == first.target_new
        assert second.target_true == first.subject
        assert first.source == second.source == f"conflictedit:reverse:{first.relation}>{second.relation}"


def test_a_coverage_edit_replaces_the_first_and_a_round_trip_takes_it_back() -> None:
    _, requests = _read("conflict_coverage_edit_25.json")
    for first, second in zip(requests[::2], requests[1::2], strict=True):
        assert second.question == first.question
        assert second.target_true == first.target_new
    _, requests = _read("conflict_hard_25.json")
    for there, back in zip(requests[::2], requests[1::2], strict=True):
        assert (back.target_new, back.target_true) == (there.target_true, there.target_new)
        assert back.target_new in back.probes[0].answers
        assert there.target_new not in back.probes[0].answers


def test_composite_edits_follow_a_declared_rule() -> None:
    _, requests = _read("conflict_composite_edit_25.json")
    for first, second in zip(requests[::2], requests[1::2], strict=True):
        assert relation_of(first.relation) is not None
        assert relation_of(second.relation) is not None
        assert str(first.source).endswith(f">{second.relation}")


def test_known_facts_are_true_already() -> None:
    records, requests = _read("known_200.json")
    for record, request in zip(records, requests, strict=True):
        assert request.target_true == request.target_new == record["attribute"]
        assert request.question == record["prompt"]


@pytest.mark.parametrize("name", ["conflict_prompts.json", "round_prompts.json"])
def test_published_paraphrases(name: str) -> None:
    found = conflict_paraphrases(_sample(name))
    assert len(found) >= 10
    assert all(len(prompts) >= 9 for prompts in found.values())
