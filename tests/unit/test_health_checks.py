"""The per-edit checks on tiny models, against plain references."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from tiny import CORE_FAMILIES, tiny_editable

from kedit_lifecycle.checks.collapse import HealthLimits, HealthMonitor
from kedit_lifecycle.checks.health import CheckBudget, EarlierEdit
from kedit_lifecycle.checks.health.checks import HealthChecks, HealthReading
from kedit_lifecycle.checks.health.holding import Retention, holds
from kedit_lifecycle.checks.health.results import Judge
from kedit_lifecycle.checks.health.weights import weight_changes
from kedit_lifecycle.checks.result import CheckResult
from kedit_lifecycle.evaluation.drift import DriftReference
from kedit_lifecycle.evaluation.perplexity import monitor_text, perplexity
from kedit_lifecycle.evaluation.scores import PromptScore, TargetScore
from kedit_lifecycle.evaluation.suite import evaluate_requests, read_neighborhood
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.delta import TensorUpdate
from kedit_lifecycle.models.editable import EditableModel

pytestmark = pytest.mark.unit

BUDGET = CheckBudget(monitor_tokens=60, drift_positions=20, drift_length=8, generated_tokens=8)
SAMPLES = [list(range(10, 30)), list(range(40, 60)), list(range(100, 120))]
REQUESTS = [
    EditRequest(
        subject="France",
        prompt="The capital of {} is",
        target_new="Rome",
        target_true="Paris",
        relation="P36",
        neighborhood=("The capital of Italy is", "The capital of Japan is", "The river runs"),
    ),
    EditRequest(subject="Mozart", prompt="{} wrote", target_new="plays", target_true="music"),
    EditRequest(subject="Water", prompt="{} boils at", target_new="two"),
    EditRequest(subject="Albert Einstein", prompt="{} was born in", target_new="America"),
]


@pytest.fixture(params=CORE_FAMILIES)
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable(str(request.param))


def change(model: EditableModel, layer: int = 1, scale: float = 0.1) -> None:
    """A rank-two edit of the layer's second MLP matrix."""
    name = model.architecture.mlp_down_weight(layer)
    rows, columns = model.parameter(name).shape
    generator = torch.Generator().manual_seed(layer)
    left = scale * torch.randn(2, rows, generator=generator)
    model.apply([TensorUpdate(name, "rank", left, torch.randn(2, columns, generator=generator))])


def by_check(reading: HealthReading) -> dict[str, CheckResult]:
    assert len({one.check for one in reading.results}) == len(reading.results)
    return {one.check: one for one in reading.results}


def by_metric(reading: HealthReading) -> dict[str, float]:
    return {one.metric: one.value for one in reading.metrics}


def test_perplexity_is_the_plain_one_beside_the_unedited_models(model: EditableModel) -> None:
    base = perplexity(model, monitor_text(), max_tokens=60)
    change(model)
    now = perplexity(model, monitor_text(), max_tokens=60)
    reading = HealthChecks(model, SAMPLES, budget=BUDGET).whole_model()
    result = by_check(reading)["perplexity"]
    assert result.value == pytest.approx(now.value / base.value, rel=1e-4)
    assert (result.warn, result.fail) == (1.1, 1.5)
    measured = next(one for one in reading.metrics if one.metric == "perplexity")
    assert measured.protocol == now.protocol
    assert measured.value == pytest.approx(now.value, rel=1e-4)


def test_a_step_is_held_to_what_each_of_its_facts_cost() -> None:
    judge = Judge(HealthLimits())
    assert judge.perplexity_step(1.068, 1.007, 1).verdict == "fail"
    assert judge.perplexity_step(1.03, 1.0, 1).verdict == "warn"
    assert judge.perplexity_step(1.099, 1.098, 1).verdict == "pass"
    batch = judge.perplexity_step(1.21, 1.0, 2)
    assert batch.value == pytest.approx(1.1)
    assert "1.210 × the parent's, by 2 facts" in batch.message
    unread = judge.perplexity_step(2.0, None, 1)
    assert (unread.verdict, unread.value) == ("pass", None)


def test_drift_is_read_on_the_beginnings_of_the_samples(model: EditableModel) -> None:
    kept = [SAMPLES[0][:8], SAMPLES[1][:8], SAMPLES[2][:4]]
    reference = DriftReference.build(model, kept)
    change(model)
    reading = HealthChecks(model, SAMPLES, budget=BUDGET).whole_model()
    result = by_check(reading)["drift"]
    assert result.value == pytest.approx(reference.drift(model).value, rel=1e-3)
    assert result.detail["positions"] == 20


def test_the_unedited_model_is_perfectly_healthy(model: EditableModel) -> None:
    reading = HealthChecks(model, SAMPLES, budget=BUDGET).run(1, [], full=True)
    assert reading.values == {"perplexity": 1.0, "drift": 0.0, "diversity": 0.0, "degeneracy": 0.0}
    assert {one.verdict for one in reading.results} == {"pass"}


def test_what_is_compared_with_stays_the_unedited_model(model: EditableModel) -> None:
    """Read before any edit or after some, the unedited numbers are the same."""
    early = HealthChecks(model, SAMPLES, budget=BUDGET)
    early.run(1, [], full=True)
    change(model)
    change(model, layer=2)
    late = HealthChecks(model, SAMPLES, budget=BUDGET)
    assert early.run(2, [], full=True) == late.run(2, [], full=True)


def test_weight_change_is_the_frobenius_ratio_of_each_tensor() -> None:
    model = tiny_editable("gpt2", torch.bfloat16)
    first, second = model.architecture.mlp_down_weight(0), model.architecture.mlp_down_weight(1)
    base = {name: model.master(name).clone() for name in (first, second)}
    assert weight_changes(model) == {}
    step = torch.full_like(base[second], 0.5)
    model.apply([TensorUpdate(first, "set", 2 * base[first]), TensorUpdate(second, "add", step)])
    wanted = math.sqrt(0.25 * step.numel()) / math.sqrt(float((base[second].double() ** 2).sum()))
    assert weight_changes(model) == {first: pytest.approx(1.0), second: pytest.approx(wanted)}
    result = by_check(HealthChecks(model, SAMPLES, budget=BUDGET).whole_model())["weight_change"]
    assert result.value == pytest.approx(max(1.0, wanted))
    assert set(result.detail["tensors"]) == {first, second}


def test_diversity_counts_the_distinct_predictions(model: EditableModel) -> None:
    ids = torch.tensor([model.tokenizer(monitor_text())["input_ids"][:60]])

    def plain() -> int:
        with torch.no_grad():
            return len(set(model.network(input_ids=ids).logits[0, :-1].argmax(-1).tolist()))

    base = plain()
    change(model, scale=3.0)
    reading = HealthChecks(model, SAMPLES, budget=BUDGET).whole_model()
    assert by_metric(reading)["distinct_predictions"] == pytest.approx(plain() / 59)
    assert by_check(reading)["diversity"].value == pytest.approx(max(0.0, 1 - plain() / base))


def answering(model: EditableModel, requests: list[EditRequest], places: set[int]) -> list[EditRequest]:
    """The same prompts; those at `places` ask for what the model says anyway, the others do not."""
    found = []
    for place, request in enumerate(requests):
        said = model.tokenizer.decode(most_probable(model, request.question)).strip()
        target = said if place in places else request.target_new
        found.append(request.model_copy(update={"target_new": target, "target_true": None}))
    return found


@torch.no_grad()
def most_probable(model: EditableModel, prompt: str) -> list[int]:
    ids = torch.tensor([model.tokenizer(prompt)["input_ids"]])
    logits = model.network(input_ids=ids).logits[0, -1]
    words = [i for i in range(logits.shape[-1]) if model.tokenizer.decode([i]).strip().isalpha()]
    spaced = [i for i in words if model.tokenizer.decode([i]).startswith(" ")]
    return [max(spaced, key=lambda i: float(logits[i]))]


def test_retention_is_what_asking_one_by_one_gives(model: EditableModel) -> None:
    change(model)
    earlier = [EarlierEdit(i, 0, request, held=True) for i, request in enumerate(REQUESTS, 1)]
    reading = HealthChecks(model, SAMPLES, budget=BUDGET).retention(9, [], earlier)
    alone = [evaluate_requests(model, [request], generate=False)[0] for request in REQUESTS]
    success = [one.edit.new.mean_nll < one.edit.true.mean_nll for one in alone if one.edit.true]
    matched = [one.edit.new.is_argmax for one in alone]
    values = by_metric(reading)
    assert values["retention"] == pytest.approx(sum(success) / 2)
    assert values["retention_exact_match"] == pytest.approx(sum(matched) / 4)
    forgotten = sum(not holds(one.edit) for one in alone) / 4
    assert values["forgotten"] == pytest.approx(forgotten)
    assert by_check(reading)["retention"].value == pytest.approx(forgotten)


def score(*, new: float, true: float | None, argmax: bool) -> PromptScore:
    other = None if true is None else TargetScore(-true, true, 1, False)
    return PromptScore(TargetScore(-new, new, 1, argmax), other)


@pytest.mark.parametrize(
    ("new", "true", "argmax", "wanted"),
    [
        (1.0, 2.0, True, True),
        (1.0, 2.0, False, False),
        (2.0, 1.0, True, False),
        (1.0, 1.0, True, False),
        (1.0, None, True, True),
        (1.0, None, False, False),
    ],
)
def test_an_edit_holds_if_it_is_said_and_preferred(
    new: float, true: float | None, argmax: bool, wanted: bool
) -> None:
    assert holds(score(new=new, true=true, argmax=argmax)) is wanted


def test_only_edits_that_held_can_be_forgotten() -> None:
    good, bad = score(new=1.0, true=2.0, argmax=True), score(new=2.0, true=1.0, argmax=False)
    held = [(True, good), (True, bad), (True, bad), (False, bad), (None, bad), (False, good)]
    asked = tuple(EarlierEdit(i, 0, REQUESTS[0], one) for i, (one, _) in enumerate(held))
    found = Retention(asked, tuple(one for _, one in held))
    assert found.forgotten == pytest.approx(2 / 3)
    assert [one.version for one in found.lost] == [1, 2]
    assert {one.metric: one.count for one in found.metrics()} == {
        "retention": 6,
        "retention_exact_match": 6,
        "forgotten": 3,
    }
    assert [one.value for one in found.metrics()] == pytest.approx([2 / 6, 2 / 6, 2 / 3])


def test_nothing_is_forgotten_where_nothing_was_asked(model: EditableModel) -> None:
    checks = HealthChecks(model, SAMPLES, budget=BUDGET)
    unseen = [EarlierEdit(1, 0, REQUESTS[0], held=None)]
    for earlier in ([], unseen):
        result = by_check(checks.retention(5, [], earlier))["retention"]
        assert (result.value, result.verdict) == (None, "pass")


def test_a_full_evaluation_asks_more_and_writes_texts(model: EditableModel) -> None:
    budget = BUDGET.model_copy(update={"retention": 1, "full_retention": 3, "every": 4})
    checks = HealthChecks(model, SAMPLES, budget=budget)
    earlier = [EarlierEdit(i, 0, request, held=True) for i, request in enumerate(REQUESTS, 1)]
    light, full = (by_check(checks.run(version, [], earlier=earlier)) for version in (7, 8))
    assert light["retention"].detail["asked"] == 1
    assert full["retention"].detail["asked"] == 3
    assert set(full) - set(light) == {"degeneracy"}
    assert by_check(checks.run(8, [], full=False)).keys() == light.keys()


def test_neighborhood_is_the_share_of_next_tokens_that_changed(model: EditableModel) -> None:
    before = read_neighborhood(model, REQUESTS, against="parent")
    change(model, scale=0.5)
    evaluations = evaluate_requests(model, REQUESTS, before=before, generate=False)
    reading = HealthChecks(model, SAMPLES, budget=BUDGET).run(3, REQUESTS, evaluations)
    after = read_neighborhood(model, REQUESTS).next_tokens
    changed = [before.next_tokens[prompt] != after[prompt] for prompt in REQUESTS[0].neighborhood]
    result = by_check(reading)["neighborhood"]
    assert result.value == pytest.approx(sum(changed) / 3)
    assert (result.detail["prompts"], result.detail["against"]) == (3, "parent")


def test_efficacy_is_the_share_of_edits_that_do_not_hold(model: EditableModel) -> None:
    requests = answering(model, REQUESTS, {0, 2, 3})
    evaluations = evaluate_requests(model, requests, generate=False)
    held = [one.edit.new.is_argmax for one in evaluations]
    result = by_check(HealthChecks(model, SAMPLES, budget=BUDGET).run(3, requests, evaluations))["efficacy"]
    assert result.detail["held"] == held
    assert result.value == pytest.approx(1 - sum(held) / 4)
    probability = sum(one.target_probability for one in evaluations) / 4
    assert result.detail["target_probability"] == pytest.approx(probability)
    assert result.verdict == ("pass" if all(held) else "fail" if sum(held) < 2 else "warn")


def test_degeneracy_is_the_rise_of_repeated_trigrams() -> None:
    model = tiny_editable("gpt2")
    checks = HealthChecks(model, SAMPLES, budget=CheckBudget(monitor_tokens=60, generated_tokens=24))
    base = by_metric(checks.degeneracy())["repeated_trigrams"]
    only_ever_says_one_token(model)
    reading = checks.degeneracy()
    assert by_metric(reading)["repeated_trigrams"] == pytest.approx(21 / 22)
    result = by_check(reading)["degeneracy"]
    assert result.value == pytest.approx(21 / 22 - base)
    assert result.verdict == "fail"
    assert by_metric(checks.whole_model())["distinct_predictions"] == pytest.approx(1 / 59)
    assert by_check(checks.whole_model())["diversity"].verdict == "fail"


def only_ever_says_one_token(model: EditableModel) -> None:
    """GPT-2's final norm gives one state everywhere, which the head takes for token 7."""
    weight, bias = "transformer.ln_f.weight", "transformer.ln_f.bias"
    constant = 1e3 * model.network.get_output_embeddings().weight[7].clone()
    model.apply(
        [
            TensorUpdate(weight, "set", torch.zeros_like(model.master(weight))),
            TensorUpdate(bias, "set", constant),
        ]
    )


def broken_models() -> Iterator[tuple[str, float]]:
    yield "llama", math.nan
    yield "gpt2", math.inf


@pytest.mark.parametrize(("family", "value"), list(broken_models()))
def test_a_broken_model_fails_and_is_called_collapsed(family: str, value: float) -> None:
    model = tiny_editable(family)
    name = model.architecture.mlp_down_weight(1)
    model.apply([TensorUpdate(name, "set", torch.full_like(model.master(name), value))])
    earlier = [EarlierEdit(1, 0, REQUESTS[0], held=True)]
    checks = HealthChecks(model, SAMPLES, budget=BUDGET)
    reading = checks.run(2, REQUESTS, evaluate_requests(model, REQUESTS, generate=False), earlier)
    results = by_check(reading)
    for check in ("perplexity", "drift", "efficacy", "retention", "weight_change"):
        assert results[check].verdict == "fail", check
    for result in reading.results:
        json.dumps(dict(result.detail), allow_nan=False)
    assert HealthMonitor(HealthLimits()).add(2, reading.values).state == "collapsed"


@pytest.mark.parametrize(("warn", "fail", "verdict"), [(2, 3, "pass"), (0.5, 2, "warn"), (0.1, 0.5, "fail")])
def test_limits_decide_the_verdicts(model: EditableModel, warn: float, fail: float, verdict: str) -> None:
    change(model)
    drift = HealthChecks(model, SAMPLES, budget=BUDGET).whole_model().values["drift"]
    limits = HealthLimits.model_validate({"drift": {"warn": warn * drift, "fail": fail * drift}})
    result = by_check(HealthChecks(model, SAMPLES, limits, BUDGET).whole_model())["drift"]
    assert (result.verdict, result.warn, result.fail) == (verdict, warn * drift, fail * drift)


def test_every_value_is_known_to_the_monitor_and_every_metric_to_the_registry(model: EditableModel) -> None:
    change(model)
    before = read_neighborhood(model, REQUESTS, against="parent")
    evaluations = evaluate_requests(model, REQUESTS, before=before, generate=False)
    earlier = [EarlierEdit(1, 0, REQUESTS[1], held=True)]
    reading = HealthChecks(model, SAMPLES, budget=BUDGET).run(20, REQUESTS, evaluations, earlier, parent=1.0)
    assert set(reading.values) == set(HealthLimits().measures)
    HealthMonitor(HealthLimits()).add(20, reading.values)
    for result in reading.results:
        json.dumps(dict(result.detail), allow_nan=False)
        assert result.message
    assert len({one.metric for one in reading.metrics}) == len(reading.metrics)


def test_checks_leave_the_weights_and_take_what_is_below_from_the_cache(model: EditableModel) -> None:
    change(model, layer=2)
    name = model.architecture.mlp_down_weight(2)
    before = model.fingerprints(name)
    checks = HealthChecks(model, SAMPLES, budget=BUDGET)
    earlier = [EarlierEdit(i, 0, request, held=True) for i, request in enumerate(REQUESTS, 1)]
    first = checks.run(9, [], earlier=earlier)
    computed = checks.lower.computed
    assert computed > 0
    change(model, layer=2, scale=0.01)
    second = checks.run(9, [], earlier=earlier)
    assert checks.lower.computed == computed
    assert second.values["perplexity"] != first.values["perplexity"]
    again = [replace(one, held=True) for one in earlier]
    assert checks.run(9, [], earlier=again) == second
    assert model.fingerprints(name) != before
