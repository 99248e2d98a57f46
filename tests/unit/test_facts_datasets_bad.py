"""Malformed records of the published forms: the field is named, whatever the shape."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from dataset_records import KNOWEDIT, MQUAKE, REVERSE, RIPPLE_EDITS, ROUND, ZSRE
from hypothesis import given
from hypothesis import strategies as st

from kedit_lifecycle.errors import BadRecordError, UsageError
from kedit_lifecycle.facts.conflict_edit import conflict_paraphrases
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.records import requests_from
from kedit_lifecycle.facts.request import EditRequest

pytestmark = pytest.mark.unit

KNOWN: dict[str, Any] = {"known_id": 1, "subject": "Ed", "attribute": "x", "prompt": "Ed is"}
EDIT: dict[str, Any] = ROUND["edit"]
HOP: dict[str, Any] = {"cloze": "c", "answer": "a", "answer_alias": []}
RELATION: dict[str, Any] = {"id": "P22", "prompt": "No place for it"}
BAD: list[tuple[dict[str, Any], str]] = [
    ({**ZSRE, "alt": None}, "alt: must be a string, not null"),
    ({**ZSRE, "subject": "Nobody"}, "the subject 'Nobody' is not in the prompt"),
    ({**ZSRE, "answers": {}}, "answers: must be a list of strings, not an object"),
    ({**ZSRE, "answers": ["a", 1]}, "answers.1: must be a string, not a number"),
    ({**ZSRE, "loc": 1}, "loc: must be a string, not a number"),
    ({"src": "s", "alt": "a"}, "subject: missing"),
    ({**KNOWEDIT, "target_new": 4}, "target_new: must be a string, not a number"),
    ({**KNOWEDIT, "ground_truth": 4}, "ground_truth: must be a list of strings, not a number"),
    ({**KNOWEDIT, "ground_truth": [["a"], [True]]}, "ground_truth.1.0: must be a string, not a boolean"),
    ({**KNOWEDIT, "ground_truth": [[["a"]]]}, "ground_truth.0.0: must be a string, not a list"),
    ({**KNOWEDIT, "portability": []}, "portability: must be an object, not a list"),
    ({**KNOWEDIT, "locality": {"F": {}}}, "locality.F: must be a list of objects, not an object"),
    ({**KNOWEDIT, "locality": {"F": ["x"]}}, "locality.F.0: must be an object, not a string"),
    ({**KNOWEDIT, "locality": {"F": [{}]}}, "locality.F.0.prompt: missing"),
    (
        {**KNOWEDIT, "portability": {"R": [{"prompt": "p", "ground_truth": [2]}]}},
        "portability.R.0.ground_truth.0: must be a list of strings, not a number",
    ),
    ({**KNOWEDIT, "rephase_prompt": "x"}, "rephase_prompt: no such field; did you mean rephrase_prompt?"),
    ({**MQUAKE, "requested_rewrite": [{}]}, "requested_rewrite.0.subject: missing"),
    (
        {**MQUAKE, "requested_rewrite": [*MQUAKE["requested_rewrite"], {"subject": 1}]},
        "requested_rewrite.2.subject: must be a string, not a number",
    ),
    (
        {
            **MQUAKE,
            "requested_rewrite": [
                MQUAKE["requested_rewrite"][0],
                {"subject": "a", "prompt": "b", "target_new": "c"},
            ],
        },
        "request 2 of 2: the subject 'a' is not in the prompt 'b'",
    ),
    ({**MQUAKE, "questions": "one"}, "questions: must be a list of strings, not a string"),
    ({**MQUAKE, "new_answer": None}, "new_answer: must be a string, not null"),
    ({**MQUAKE, "new_answer_alias": "x"}, "new_answer_alias: must be a list of strings, not a string"),
    ({**MQUAKE, "single_hops": [HOP, {"answer": "a"}]}, "single_hops.1.cloze: missing"),
    ({**MQUAKE, "new_single_hops": [{**HOP, "answer_alias": [1]}]}, "new_single_hops.0.answer_alias.0: must"),
    ({**MQUAKE, "case_id": []}, "case_id: must be a number or a string"),
    ({**REVERSE, "edits": []}, "edits: is empty"),
    ({**REVERSE, "edits": None}, "edits: is empty"),
    ({**REVERSE, "edits": [EDIT, 1]}, "edits.1: must be an object, not a number"),
    ({**REVERSE, "edits": [EDIT, {**EDIT, "subject": "Ada"}]}, "edits.1.subject: must be an object"),
    ({**REVERSE, "edits": [{**EDIT, "new_object": {"id": "Q1"}}]}, "edits.0.new_object.label: missing"),
    ({**REVERSE, "edits": [{**EDIT, "relation": {"id": 1}}]}, "edits.0.relation.prompt: missing"),
    ({**REVERSE, "edits": [{**EDIT, "relation": RELATION}]}, "is not in the prompt 'No place for it'"),
    ({**REVERSE, "type": 1}, "type: must be a string, not a number"),
    ({**ROUND, "edit": {}}, "edit.relation: missing"),
    ({**ROUND, "edit": {**EDIT, "object": None}}, "edit.object: missing; there is nothing to edit back to"),
    ({**ROUND, "true_objects": [{"label": None}]}, "true_objects.0.label: must be a string, not null"),
    ({"known_id": 1, "subject": "Ed"}, "attribute: missing"),
    ({**KNOWN, "prompt": "Al is"}, "the subject 'Ed' is not in the prompt"),
    ({**KNOWN, "known_id": 1.5}, "known_id: must be a number or a string"),
]


@pytest.mark.parametrize(("record", "problem"), BAD)
def test_a_bad_record_is_named_by_line_and_field_and_passed_over(
    tmp_path: Path, record: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in (ZSRE, record, ZSRE)), "utf-8")
    with pytest.raises(BadRecordError) as caught:
        load_requests(path)
    assert str(caught.value).startswith(f"{path}, line 2 (record 2): ")
    assert problem in str(caught.value)
    kept = load_requests(path, keep_going=True)
    assert (len(kept.requests), len(kept.skipped)) == (2, 1)


GOOD = (ZSRE, KNOWEDIT, MQUAKE, REVERSE, ROUND, RIPPLE_EDITS, KNOWN)


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(_names(one) for one in value.values()))
    return set().union(*(_names(one) for one in value)) if isinstance(value, list | tuple) else set()


fields = st.sampled_from(sorted(set().union(*(_names(record) for record in GOOD))))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("{} is"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=4),
    max_leaves=8,
)


def _read(record: object) -> None:
    with suppress(BadRecordError):  # nothing else is let through
        assert all(isinstance(request, EditRequest) for request in requests_from(record))


@given(st.dictionaries(fields, values, max_size=8))
def test_no_shape_at_all_brings_a_traceback(record: dict[str, Any]) -> None:
    _read(record)


@given(st.sampled_from(GOOD), st.data())
def test_no_damage_to_a_good_record_brings_a_traceback(record: dict[str, Any], data: st.DataObject) -> None:
    damaged = json.loads(json.dumps(record))
    inner = damaged
    while True:
        places = sorted(inner) if isinstance(inner, dict) else list(range(len(inner)))
        place = data.draw(st.sampled_from(places))
        if isinstance(inner[place], dict | list) and inner[place] and data.draw(st.booleans()):
            inner = inner[place]
            continue
        inner[place] = data.draw(values)
        break
    _read(damaged)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[]", "must be an object"),
        (b'{"P22": "x"}', "P22: must be a list of strings"),
        (b'{"P22": ["{} is", "no place"]}', "P22.1: must hold {} exactly once"),
        (b'{"P22": ["{} and {}"]}', "P22.0: must hold {} exactly once"),
        (b'{"P22": []', "not valid JSON"),
        (b'{"P22": [], "P22": []}', "P22: given twice"),
        (b'{"\xff": []}', "not UTF-8"),
    ],
)
def test_bad_paraphrases_are_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "prompts.json"
    path.write_bytes(content)
    with pytest.raises(BadRecordError) as caught:
        conflict_paraphrases(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert problem in str(caught.value)


def test_paraphrases_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        conflict_paraphrases(tmp_path / "missing.json")
