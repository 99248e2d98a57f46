"""The gate on tiny models: what it takes back leaves no trace in the weights, and all in the ledger."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tiny_workbench import QUICK, all_fingerprints, requests, tiny_workbench

from kedit_lifecycle.checks.collapse import HealthLimits
from kedit_lifecycle.checks.gate import Policy, Retry, Rule
from kedit_lifecycle.errors import GateError
from kedit_lifecycle.facts.request import EditRequest, Probe, make_request
from kedit_lifecycle.ledger.line import line_checks, line_edits
from kedit_lifecycle.ledger.verify import verify
from kedit_lifecycle.workbench import EditOutcome, Workbench
from kedit_lifecycle.workbench.attempts import ATTEMPT_EVENT, POLICY_EVENT

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("kedit_cache")]

ROME = QUICK["rome"]
WILD: dict[str, Any] = {"method": "ft", "config": QUICK["ft"] | {"learning_rate": 3.0}}  # wrecks a model


def capital(target: str, subject: str = "France") -> EditRequest:
    return make_request(
        subject=subject, prompt="The capital of {} is", target_new=target, target_true="Paris", relation="P36"
    )


def rule(action: Any, check: str = "drift", verdict: Any = "fail", **more: Any) -> Policy:
    """Drift shows it: a random model has nothing to lose in perplexity."""
    limits = HealthLimits.model_validate({"drift": {"warn": 0.1, "fail": 0.4, "marks": "collapsed"}})
    rules = (Rule(check=check, verdict=verdict, action=action),)
    return Policy(name="mine", limits=limits, rules=rules, **more)


def attempts(workbench: Workbench) -> list[dict[str, Any]]:
    return [dict(event.payload) for event in workbench.store.reader.events(kind=ATTEMPT_EVENT)]


def test_a_contradiction_is_refused_before_it_is_made(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(capital("Rome"), config=ROME, policy="observe")
        before = all_fingerprints(workbench.model)
        with pytest.raises(GateError, match="v1 said: The capital of France is -> Rome") as refused:
            workbench.edit(capital("Tokyo"), config=ROME)
        assert "--supersede" in refused.value.hint
        assert all_fingerprints(workbench.model) == before
        assert workbench.store.reader.head().number == 1
        (attempt,) = attempts(workbench)
        assert attempt["decision"] == "reject"
        assert attempt["requests"][0]["target_new"] == "Tokyo"
        assert attempt["reasons"][0].startswith("conflict: ")
        assert attempt["policy"]["name"] == "guarded"
        assert verify(workbench.store.path, "deep").findings == []


def test_an_edit_that_supersedes_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(capital("Rome"), config=ROME, policy="observe")
        made = workbench.edit(
            capital("Tokyo"), config=ROME, policy=rule("reject", "conflict"), supersede=True
        )
        assert made.version is not None
        reader = workbench.store.reader
        assert [(e.version, e.superseded) for e in line_edits(reader, made.version)] == [
            (1, True),
            (2, False),
        ]
        # what was superseded contradicts nobody any more: only v2 is named
        with pytest.raises(GateError, match="v2 said") as refused:
            workbench.edit(capital("Rome"), config=ROME)
        assert "v1 said" not in str(refused.value)
        workbench.undo()
        assert [e.superseded for e in line_edits(reader, reader.head())] == [False]
        with pytest.raises(GateError, match="v1 said"):
            workbench.edit(capital("Oslo"), config=ROME)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_rejected_edit_leaves_the_weights_bit_identical(tmp_path: Path, dtype: str) -> None:
    with tiny_workbench(tmp_path, dtype=dtype) as workbench:
        workbench.edit(requests(1)[0], config=ROME, policy="observe")
        before = all_fingerprints(workbench.model)
        with pytest.raises(GateError, match="drift") as refused:
            workbench.edit(capital("Rome"), **WILD, policy=rule("reject"))
        outcome = refused.value.outcome
        assert isinstance(outcome, EditOutcome)
        assert outcome.metrics["drift_kl"].value > 0.4
        assert all_fingerprints(workbench.model) == before
        (attempt,) = attempts(workbench)
        by_name = {check["check"]: check for check in attempt["checks"]}
        assert by_name["drift"]["verdict"] == "fail"
        assert by_name["drift"]["value"] > 0.4
        assert attempt["config"]["learning_rate"] == 3.0
        # nothing of it is on the line: the next edit is made and measured as if it had never been tried
        again = workbench.edit(requests(2)[1], config=ROME, policy="observe")
        assert again.version is not None
        assert again.version.number == 2
        assert verify(workbench.store.path, "deep").findings == []


def test_a_dry_run_says_what_the_gate_would_do_and_writes_nothing(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        events = workbench.store.reader.counts()["event"]
        outcome = workbench.edit(capital("Rome"), **WILD, policy=rule("reject"), dry_run=True)
        assert outcome.version is None
        assert outcome.decision.action == "reject"
        assert workbench.store.reader.counts()["event"] == events


def test_checks_are_kept_with_the_version_and_give_the_series(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        for request in requests(2):
            workbench.edit(request, config=ROME, policy="observe")
        reader = workbench.store.reader
        checks = {check.check: check for number, check in line_checks(reader, reader.head()) if number == 2}
        assert {"conflict", "efficacy", "neighborhood", "perplexity", "drift", "retention"} <= set(checks)
        assert checks["perplexity"].value is not None
        assert math.isfinite(checks["perplexity"].value)
        gate = reader.head().diagnostics["gate"]
        assert gate["policy"] == "observe"
        kept = [event.payload for event in reader.events(kind=POLICY_EVENT)]
        assert [payload["digest"] for payload in kept] == [gate["digest"]]  # once, not with every edit


def test_what_one_edit_cost_is_measured_against_its_parent(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        for request in requests(2):
            workbench.edit(request, config=ROME, policy="observe")
        read = [{one.check: one.value for one in workbench.store.reader.checks(number)} for number in (1, 2)]
    assert read[0]["perplexity_step"] == read[0]["perplexity"]  # the unedited model's is 1
    first, second = (one["perplexity"] or 0.0 for one in read)
    assert read[1]["perplexity_step"] == pytest.approx(second / first)


def test_a_rejected_step_of_a_run_is_passed_over(tmp_path: Path) -> None:
    facts = [capital("Rome"), capital("Tokyo"), requests(1)[0]]
    with tiny_workbench(tmp_path) as workbench:
        summary = workbench.apply(facts, config=ROME, policy=rule("reject", "conflict"))
        assert [version.run["index"] for version in summary.committed if version.run] == [0, 2]
        assert [one.requests[0].target_new for one in summary.taken_back] == ["Tokyo"]


class Stop(BaseException):
    """What interrupts a run."""


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_run_with_rejected_steps_resumes_to_the_same_versions(tmp_path: Path, after: int) -> None:
    facts = [capital("Rome"), capital("Tokyo"), requests(1)[0], capital("Oslo"), requests(2)[1]]
    policy = rule("reject", "conflict")
    (tmp_path / "whole").mkdir()
    with tiny_workbench(tmp_path / "whole") as whole:
        expected = [version.id for version in whole.apply(facts, config=ROME, policy=policy).committed]
    left = [after]

    def heard(_: EditOutcome) -> None:
        left[0] -= 1
        if not left[0]:
            raise Stop

    with tiny_workbench(tmp_path) as first, pytest.raises(Stop):
        first.apply(facts, config=ROME, policy=policy, on_outcome=heard)
    with Workbench.open(tmp_path / "store") as second:
        summary = second.apply(facts, config=ROME, policy=policy, resume=True)
        assert summary.already_done == after
        line = second.store.reader.log(limit=10)[::-1]
        assert [version.id for version in line[1:]] == expected
        assert len(attempts(second)) == 2


def test_a_run_whose_first_step_was_rejected_can_be_resumed(tmp_path: Path) -> None:
    facts = [capital("Tokyo"), requests(1)[0]]
    policy = rule("reject", "conflict")

    def stop(_: EditOutcome) -> None:
        raise Stop

    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(capital("Rome"), config=ROME, policy="observe")
        with pytest.raises(Stop):
            workbench.apply(facts, config=ROME, policy=policy, on_outcome=stop)
        summary = workbench.apply(facts, config=ROME, policy=policy, resume=True)
        assert summary.already_done == 1
        assert len(summary.committed) == 1
        assert len(attempts(workbench)) == 1


def test_halt_stops_the_run_and_keeps_what_was_committed(tmp_path: Path) -> None:
    facts = [capital("Rome"), capital("Tokyo"), requests(1)[0]]
    with tiny_workbench(tmp_path) as workbench:
        with pytest.raises(GateError, match="the run stopped"):
            workbench.apply(facts, config=ROME, policy=rule("halt", "conflict"))
        assert workbench.store.reader.head().number == 1
        assert attempts(workbench)[0]["decision"] == "halt"


def test_retry_makes_the_edit_in_another_way_and_keeps_both_attempts(tmp_path: Path) -> None:
    gentle = Retry(method="memit", config=QUICK["memit"])
    with tiny_workbench(tmp_path) as workbench:
        outcome = workbench.edit(capital("Rome"), **WILD, policy=rule("retry", retries=(gentle,)))
        assert outcome.version is not None
        assert outcome.version.editor == "memit"
        assert [attempt["decision"] for attempt in attempts(workbench)] == ["retry"]
        wild = Retry(**WILD)
        with pytest.raises(GateError):
            workbench.edit(requests(1)[0], **WILD, policy=rule("retry", retries=(wild,)))
        assert [attempt["decision"] for attempt in attempts(workbench)] == ["reject", "retry", "retry"]


def test_what_the_memory_cannot_keep_either_is_rejected(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(capital("Rome"), config=ROME, policy="observe")
        with pytest.raises(GateError, match="v1 said"):
            workbench.edit(capital("Tokyo"), config=ROME, policy=rule("memory", "conflict"))
        assert [attempt["decision"] for attempt in attempts(workbench)] == ["reject", "memory"]


def test_rollback_goes_to_the_last_healthy_version(tmp_path: Path) -> None:
    good, bad, more = requests(3)
    with tiny_workbench(tmp_path) as workbench:
        healthy = workbench.edit(good, config=ROME, policy=rule("warn", "*", "warn")).version
        assert healthy is not None
        at_healthy = all_fingerprints(workbench.model)
        collapsed = workbench.edit(bad, **WILD, policy=rule("warn", "*", "warn")).version
        assert collapsed is not None
        states = {c.check: c.verdict for c in workbench.store.reader.checks(collapsed.number)}
        assert states["collapse"] == "fail"
        with pytest.raises(GateError, match=f"HEAD is at v{healthy.number} now"):
            workbench.edit(more, **WILD, policy=rule("rollback", "collapse"))
        assert workbench.store.reader.head().id == healthy.id
        assert all_fingerprints(workbench.model) == at_healthy
        assert workbench.store.reader.events(limit=1)[0].kind == "rollback"
        assert verify(workbench.store.path, "deep").findings == []


def test_probes_of_a_request_are_asked_before_and_after(tmp_path: Path) -> None:
    probe = Probe(
        category="Subject_Aliasing", prompt="The capital of the French Republic is", answers=("Rome",)
    )
    request = capital("Rome").model_copy(update={"probes": (probe,)})
    with tiny_workbench(tmp_path) as workbench:
        outcome = workbench.edit(request, config=ROME, policy="observe")
        ripple = next(check for check in outcome.checks if check.check == "ripple")
        assert ripple.value is not None
        assert ripple.detail["subject_aliasing"]["counted"] == 1
        assert "ripple" not in {
            c.check for c in workbench.edit(requests(1)[0], config=ROME, policy="observe").checks
        }


def test_the_line_state_read_anew_equals_the_one_carried_along(tmp_path: Path) -> None:
    """The same run in one process, and one edit to a process, decide alike and end with the same checks."""
    facts = [*requests(2), capital("Rome"), capital("Tokyo")]
    (tmp_path / "whole").mkdir()
    with tiny_workbench(tmp_path / "whole") as whole:
        for fact in facts:
            whole.edit(fact, config=ROME, policy="observe")
        expected = [line_checks(whole.store.reader, whole.store.reader.head())]
    with tiny_workbench(tmp_path):
        pass
    for fact in facts:
        with Workbench.open(tmp_path / "store") as one:
            one.edit(fact, config=ROME, policy="observe")
    with Workbench.open(tmp_path / "store") as last:
        assert [line_checks(last.store.reader, last.store.reader.head())] == expected


def test_edits_made_again_after_a_rollback_go_on_where_the_line_is(tmp_path: Path) -> None:
    some = requests(4)
    with tiny_workbench(tmp_path) as workbench:
        workbench.apply(some, method="rome", config=ROME, policy=rule("warn"), measure="all", batch=1)
        reader = workbench.store.reader
        before = [one.id for one in reader.log()]
        workbench.rollback("1")
        workbench.apply(some, method="rome", config=ROME, policy=rule("warn"), measure="all", resume=True)
        assert [one.id for one in reader.log()] == before  # the same versions, found again
        workbench.rollback("1")
        made = [
            workbench.edit(one, config=ROME, policy=rule("warn")) for one in reversed(some[1:])
        ]  # others than were there
        assert [one.version.number for one in made if one.version] == [5, 6, 7]
