"""Outcomes of probes: what counts, what is one test, and the shares; by hand and on tiny models."""

from __future__ import annotations

import json

import pytest
import torch
from tiny import EOS, tiny_editable

from kedit_lifecycle.checks.ripple import (
    Fact,
    FactGraph,
    ProbeReadings,
    RippleReport,
    read_probes,
    ripple_check,
    ripple_report,
    with_probes,
)
from kedit_lifecycle.checks.ripple.answers import ANSWER_TOKENS
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.evaluation.registry import RIPPLE_PROTOCOL
from kedit_lifecycle.facts.request import Condition, EditRequest, Probe
from kedit_lifecycle.models.delta import TensorUpdate
from kedit_lifecycle.models.editable import EditableModel

KNOWN = Condition(prompt="Rome is in", answers=("Italy",))
UNKNOWN = Condition(prompt="Lyon is in", answers=("Spain",))


def probe(
    category: str, prompt: str, answer: str, *conditions: Condition, any_of: str | None = None
) -> Probe:
    return Probe(category=category, prompt=prompt, answers=(answer,), conditions=conditions, any_of=any_of)


def request(*probes: Probe) -> EditRequest:
    return EditRequest(
        subject="France", prompt="The capital of {} is", target_new="Rome", probes=tuple(probes)
    )


BEFORE = ProbeReadings(
    {"Rome is in": " Italy.", "Lyon is in": " France", "a": " Paris", "b": " x", "c": " Paris", "d": " x"}
)
AFTER = ProbeReadings({"a": " Rome", "b": " Rome, too", "c": " x", "d": " x"})


def report(*probes: Probe) -> RippleReport:
    return ripple_report(BEFORE, AFTER, [request(*probes)])


def test_a_probe_holds_when_it_is_answered_after_the_edit() -> None:
    first, second = report(
        probe("Compositionality_I", "a", "Rome", KNOWN), probe("Subject_Aliasing", "c", "Paris")
    ).outcomes
    assert (first.before, first.after) == (" Paris", " Rome")
    assert (first.held_before, first.holds, first.counted) == (False, True, True)
    assert (second.held_before, second.holds, second.counted) == (True, False, True)
    assert (first.category, first.request) == ("compositionality_1", 0)


def test_a_probe_whose_condition_failed_before_is_left_out_and_counted_as_such() -> None:
    found = report(
        probe("Compositionality_I", "a", "Rome", KNOWN),
        probe("Compositionality_I", "b", "Rome", KNOWN, UNKNOWN),
        probe("Compositionality_I", "d", "Rome", UNKNOWN),
        probe("Compositionality_II", "a", "Rome", UNKNOWN),
    )
    assert [outcome.counted for outcome in found.outcomes] == [True, False, False, False]
    assert found.left_out == {"compositionality_1": 2, "compositionality_2": 1}
    value = found.by_category["compositionality_1"]
    assert (value.value, value.count) == (1.0, 1)
    assert set(found.by_category) == {"compositionality_1"}


def test_what_must_stay_counts_only_if_it_was_so_before() -> None:
    found = report(
        probe("Forgetfulness", "c", "Paris"),
        probe("Forgetfulness", "a", "Paris"),
        probe("Forgetfulness", "d", "Paris"),
        probe("Relation_Specificity", "d", "x"),
    )
    assert [outcome.counted for outcome in found.outcomes] == [True, True, False, True]
    assert found.by_category["preservation"].value == 0.0
    assert found.before_by_category["preservation"].value == 1.0
    assert found.by_category["relation_specificity"].value == 1.0


def test_probes_of_one_name_are_one_test_of_which_any_may_hold() -> None:
    three = [probe("multi-hop", name, "Rome", any_of="question") for name in "abd"]
    other = [probe("multi-hop", name, "Rome", any_of="other") for name in "cd"]
    found = report(*three, *other)
    value = found.by_category["multi_hop"]
    assert (len(found.tests), value.value, value.count) == (2, 0.5, 2)
    assert found.before_by_category["multi_hop"].value == 0.0


def test_one_name_in_two_requests_is_two_tests() -> None:
    asked = [request(probe("multi-hop", name, "Rome", any_of="question")) for name in "ac"]
    found = ripple_report(BEFORE, AFTER, asked)
    assert [test.holds for test in found.tests] == [True, False]
    assert [outcome.request for outcome in found.outcomes] == [0, 1]


def test_a_test_of_several_counts_what_counts_of_it() -> None:
    left = report(
        probe("multi-hop", "a", "Rome", UNKNOWN, any_of="q"), probe("multi-hop", "d", "Rome", any_of="q")
    )
    assert [(test.counted, test.holds) for test in left.tests] == [(True, False)]
    none = report(probe("multi-hop", "a", "Rome", UNKNOWN, any_of="q"))
    assert (none.tests[0].counted, none.tests[0].holds, none.share) == (False, False, None)


def test_categories_come_in_the_papers_order_and_unknown_ones_under_their_own_name() -> None:
    found = report(
        probe("efficacy", "a", "Rome"),
        probe("Relation_Specificity", "d", "x"),
        probe("Logical_Generalization", "b", "Rome"),
    )
    assert list(found.by_category) == ["logical_generalization", "relation_specificity", "efficacy"]
    assert {value.protocol for value in found.by_category.values()} == {RIPPLE_PROTOCOL}
    assert {value.scorer for value in found.by_category.values()} == {"greedy-generation"}
    assert found.by_category["efficacy"].metric == "efficacy"


def test_the_check_is_the_share_of_counted_tests() -> None:
    found = report(
        probe("Compositionality_I", "a", "Rome", KNOWN),
        probe("Compositionality_I", "c", "Rome", KNOWN),
        probe("locality", "c", "Paris"),
        probe("Compositionality_II", "a", "Rome", UNKNOWN),
    )
    check = ripple_check(found, warn=0.5, fail=0.2)
    assert (check.check, check.verdict) == ("ripple", "warn")
    assert check.value == pytest.approx(1 / 3)
    assert check.message == "1 of 3 ripple tests hold (1 left out)"
    assert ripple_check(found, warn=0.3).verdict == "pass"
    assert ripple_check(found, fail=0.4).verdict == "fail"
    assert json.loads(json.dumps(check.detail)) == {
        "compositionality_1": _detail(before=0.0, after=0.5, counted=2, left_out=0),
        "compositionality_2": _detail(before=None, after=None, counted=0, left_out=1),
        "locality": _detail(before=1.0, after=0.0, counted=1, left_out=0),
    }


def _detail(**numbers: float | None) -> dict[str, object]:
    return {**numbers, "protocol": RIPPLE_PROTOCOL}


@pytest.mark.parametrize("probes", [(), (probe("Compositionality_II", "a", "Rome", UNKNOWN),)])
def test_with_nothing_to_count_the_check_passes_without_a_value(probes: tuple[Probe, ...]) -> None:
    check = ripple_check(report(*probes))
    assert (check.verdict, check.value) == ("pass", None)
    assert f"{len(probes)} left out" in check.message


def test_a_probe_that_was_not_read_is_named() -> None:
    with pytest.raises(UsageError, match="'unread'"):
        report(probe("locality", "unread", "Paris"))
    with pytest.raises(UsageError, match="'Madrid is in'"):
        report(probe("locality", "a", "Rome", Condition(prompt="Madrid is in", answers=("Spain",))))


@pytest.fixture(scope="module", params=("llama", "gpt2"))
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable(request.param)


PROMPTS = ("The capital of France is", "Big Ben is in London, and the river runs through", "Rome ")


@torch.no_grad()
def plain_continuation(model: EditableModel, prompt: str) -> str:
    ids = list(model.tokenizer(prompt.rstrip())["input_ids"])
    start = len(ids)
    for _ in range(ANSWER_TOKENS):
        token = int(model.network(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
        if token == EOS:
            break
        ids.append(token)
    text: str = model.tokenizer.decode(ids[start:], skip_special_tokens=True)
    return text


def asked() -> list[EditRequest]:
    first, second, third = PROMPTS
    condition = Condition(prompt=third, answers=("x",))
    return [request(probe("multi-hop", first, "x", condition)), request(probe("multi-hop", second, "x"))]


def test_the_continuations_are_the_models_own(model: EditableModel) -> None:
    readings = read_probes(model, asked())
    assert dict(readings.continuations) == {prompt: plain_continuation(model, prompt) for prompt in PROMPTS}


def test_after_the_edit_only_what_counts_is_read(model: EditableModel) -> None:
    first, second, third = PROMPTS
    knowing = ProbeReadings({first: "", second: "", third: " x."})
    ignorant = ProbeReadings({first: "", second: "", third: " y."})
    assert set(read_probes(model, asked(), parent=knowing).continuations) == {first, second}
    after = read_probes(model, asked(), parent=ignorant)
    assert set(after.continuations) == {second}
    outcomes = ripple_report(ignorant, after, asked()).outcomes
    assert [(outcome.after is None, outcome.counted) for outcome in outcomes] == [
        (True, False),
        (False, True),
    ]
    assert read_probes(model, []).continuations == {}


def test_an_edit_of_the_weights_shows_in_the_report(model: EditableModel) -> None:
    prompt = PROMPTS[0]
    before = read_probes(model, [request(probe("locality", prompt, "never"))])
    said = before.said(prompt).strip()
    stays = [request(probe("Relation_Specificity", prompt, said))]
    same = ripple_report(before, read_probes(model, stays, parent=before), stays)
    assert same.by_category["relation_specificity"].value == 1.0
    with model.trial():
        model.apply([_turned_around(model)])
        after = read_probes(model, stays, parent=before)
    assert after.said(prompt) != before.said(prompt)
    assert ripple_report(before, after, stays).by_category["relation_specificity"].value == 0.0
    assert read_probes(model, stays).continuations == before.continuations


def _turned_around(model: EditableModel) -> TensorUpdate:
    """An update that reverses what the last feed-forward block says, and thrice as loud."""
    name = model.architecture.mlp_down_weight(model.layer_count - 1)
    return TensorUpdate(name, "set", -3 * model.master(name))


def test_derived_probes_are_read_like_any_others(model: EditableModel) -> None:
    graph = FactGraph(
        [Fact("France", "capital", "Paris"), Fact("France", "P30", "Europe"), Fact("Rome", "P17", "Italy")]
    )
    edit = EditRequest(
        subject="France", prompt="The capital of {} is", target_new="Rome", relation="P36", probes=()
    )
    requests = with_probes([edit], graph)
    readings = read_probes(model, requests)
    found = ripple_report(readings, readings, requests)
    assert {outcome.category for outcome in found.outcomes} == {
        "logical_generalization",
        "compositionality_1",
        "relation_specificity",
    }
    assert all(outcome.before == outcome.after for outcome in found.outcomes)
