"""`EditRequest` and `make_request`: what a request must be before anything is done with it."""

from __future__ import annotations

from typing import Any

import pytest

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts.request import EditRequest, make_request

FIELDS: dict[str, Any] = {"subject": "France", "prompt": "The capital of {} is", "target_new": "Rome"}
PROBE: dict[str, Any] = {"category": "c", "prompt": "p", "answers": ["a"]}


def test_the_question_has_the_subject_in_its_place() -> None:
    assert make_request(**FIELDS).question == "The capital of France is"


def test_a_prompt_that_spells_the_subject_out_gets_its_slot() -> None:
    spelt = make_request(**{**FIELDS, "prompt": "The capital of France is, in France,"})
    assert spelt.prompt == "The capital of {} is, in France,"


def test_equal_requests_have_equal_digests_and_others_have_others() -> None:
    assert make_request(**FIELDS).digest == make_request(**FIELDS).digest
    assert make_request(**FIELDS).digest != make_request(**FIELDS, reason="because").digest


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"subject": ""}, "subject"),
        ({"subject": "Spain", "prompt": "The capital of France is"}, "not in the prompt"),
        ({"prompt": "{} or {}"}, "exactly once"),
        ({"target_new": " "}, "target_new is empty"),
        ({"paraphrases": "one"}, "paraphrases"),
        ({"unknown": 1}, "unknown"),
        ({"subject": "\ud800", "prompt": "{} is"}, "subject: is not valid Unicode"),
        ({"reason": "a\0b"}, "reason: holds a NUL"),
        ({"probes": [{"category": "c", "prompt": "p\0", "answers": []}]}, "probes: holds a NUL"),
        ({"probes": [{"category": "c", "prompt": "p", "answers": ["\udfff"]}]}, "probes: is not valid"),
        ({"probes": [{**PROBE, "any_of": "a\0"}]}, "probes: holds a NUL"),
        ({"probes": [{**PROBE, "conditions": [{"prompt": "p", "answers": ["\0"]}]}]}, "probes: holds a NUL"),
        ({"probes": [{**PROBE, "conditions": [{"prompt": "p"}]}]}, "probes.0.conditions.0.answers"),
        ({"probes": [{**PROBE, "condition": []}]}, "probes.0.condition"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadRecordError, match=problem) as caught:
        make_request(**{**FIELDS, **change})
    assert "{}" in caught.value.hint


def test_any_other_text_is_data() -> None:
    odd = "[red]\x1b[31m'; DROP TABLE version; -- \u202e{0}"
    request = make_request(subject=odd, prompt="Say {}", target_new=odd)
    assert isinstance(request, EditRequest)
    assert request.question == f"Say {odd}"


def test_conditions_and_alternatives_survive_being_stored() -> None:
    conditions = [{"prompt": "q", "answers": ["b", "c"]}]
    request = make_request(**FIELDS, probes=[{**PROBE, "conditions": conditions, "any_of": "one test"}])
    stored = request.model_dump(mode="json")
    assert stored["probes"] == [{**PROBE, "conditions": conditions, "any_of": "one test"}]
    assert EditRequest.model_validate(stored) == request
    assert EditRequest.model_validate(stored).digest == request.digest
    assert make_request(**FIELDS, probes=[PROBE]).digest != request.digest


def test_a_probe_without_conditions_is_a_test_of_its_own() -> None:
    (probe,) = make_request(**FIELDS, probes=[PROBE]).probes
    assert (probe.conditions, probe.any_of) == ((), None)
