"""Policies: read from YAML, refused by the field that is wrong, and what they decide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kedit_lifecycle.checks.gate import (
    Decision,
    Policy,
    Rule,
    decide,
    load_policy,
    policy_schema,
    shipped_policies,
)
from kedit_lifecycle.checks.names import CHECKS
from kedit_lifecycle.checks.result import CheckResult, Verdict, judged, worst
from kedit_lifecycle.errors import UsageError

pytestmark = pytest.mark.unit


def found(check: str, verdict: Verdict, message: str = "so") -> CheckResult:
    return CheckResult(check, verdict, message)


def test_the_shipped_policies_are_three_and_sound() -> None:
    assert shipped_policies() == ["guarded", "observe", "strict"]
    for name in shipped_policies():
        policy = load_policy(name)
        assert policy.name == name
        assert policy.description
        assert policy.rules
        assert Policy.model_validate(policy.model_dump(mode="json")) == policy
    assert len({load_policy(name).digest for name in shipped_policies()}) == 3


def test_observe_commits_whatever_is_found() -> None:
    policy = load_policy("observe")
    for check in CHECKS:
        assert decide(policy, [found(check, "fail")]).action == "warn"
        assert decide(policy, [found(check, "pass")]) == Decision("commit")


def test_guarded_takes_back_contradictions_and_damage_and_commits_a_miss() -> None:
    policy = load_policy("guarded")
    for check in ("conflict", "perplexity", "drift", "degeneracy", "diversity"):
        assert decide(policy, [found(check, "fail")]).action == "reject"
        assert decide(policy, [found(check, "warn")]).action == "warn"
    assert decide(policy, [found("efficacy", "fail")]).action == "warn"
    assert decide(policy, [found("collapse", "fail"), found("perplexity", "fail")]).action == "reject"
    assert policy.limits.perplexity.fail == 1.2
    assert policy.limits.perplexity.marks == "collapsed"  # what the file leaves out keeps its default


def test_strict_takes_back_any_failure_and_halts_when_the_model_degrades() -> None:
    policy = load_policy("strict")
    for check in CHECKS:
        expected = "halt" if check == "collapse" else "reject"
        assert decide(policy, [found(check, "fail")]).action == expected
    assert decide(policy, [found("collapse", "warn")]).action == "halt"


def test_the_gravest_action_decides_and_its_reason_comes_first() -> None:
    policy = Policy(
        name="p",
        rules=(
            Rule(check="drift", verdict="warn", action="warn"),
            Rule(check="perplexity", verdict="fail", action="halt"),
            Rule(check="efficacy", verdict="fail", action="reject"),
        ),
    )
    results = [
        found("drift", "fail", "far"),
        found("efficacy", "fail", "no"),
        found("perplexity", "fail", "x"),
    ]
    decision = decide(policy, results)
    assert decision == Decision("halt", ("perplexity: x", "efficacy: no", "drift: far"))
    assert not decision.commits
    assert decide(policy, [found("perplexity", "warn")]) == Decision("commit")


def test_the_first_rule_that_holds_decides_for_its_check() -> None:
    policy = Policy(
        name="p",
        rules=(
            Rule(check="drift", verdict="fail", action="commit"),
            Rule(check="*", verdict="warn", action="reject"),
        ),
    )
    assert decide(policy, [found("drift", "fail")]).action == "commit"
    assert decide(policy, [found("drift", "warn")]).action == "reject"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("rules: [{check: perplexty, verdict: fail, action: reject}]", "perplexty"),
        ("rules: [{check: drift, verdict: fail, action: explode}]", "rules.0.action"),
        ("rules: [{check: drift, verdict: pass, action: warn}]", "rules.0.verdict"),
        ("limits: {perplexity: {warn: 2, fail: 1.5}}", "limits.perplexity"),
        ("limits: {perplexty: {warn: 2}}", "perplexty"),
        ("budget: {retention: -1}", "budget.retention"),
        ("surprise: 1", "surprise"),
        ("- a list", "not a mapping"),
        ("a: [1", "no YAML"),
        ("!!python/object/apply:os.system ['true']", "policy"),
    ],
)
def test_a_policy_that_is_wrong_is_refused_by_the_field(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError) as refused:
        load_policy(path)
    assert named in str(refused.value)
    assert str(path) in str(refused.value)
    assert refused.value.hint or "YAML" in str(refused.value)


def test_a_file_may_leave_out_everything(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("{}", "utf-8")
    policy = load_policy(path)
    assert policy.name == "mine"
    assert decide(policy, [found("conflict", "fail")]) == Decision("commit")


def test_an_unknown_name_lists_the_policies_there_are() -> None:
    with pytest.raises(UsageError) as refused:
        load_policy("gaurded")
    assert "guarded" in refused.value.hint


def test_the_schema_describes_every_field_of_a_policy() -> None:
    schema = json.loads(json.dumps(policy_schema()))
    assert set(schema["properties"]) == set(Policy.model_fields)
    assert schema["additionalProperties"] is False
    action = schema["$defs"]["Rule"]["properties"]["action"]
    assert set(action["enum"]) == {"commit", "warn", "retry", "memory", "reject", "rollback", "halt"}


def test_verdicts_are_at_the_limits_and_beyond_them() -> None:
    assert [judged(v, 1.0, 2.0) for v in (1.0, 1.1, 2.0, 2.1)] == ["pass", "warn", "warn", "fail"]
    assert [judged(v, 0.9, 0.5, higher_is_worse=False) for v in (0.9, 0.8, 0.4)] == ["pass", "warn", "fail"]
    assert judged(float("nan"), None, None) == "fail"
    assert judged(float("inf"), 1.0, None) == "fail"
    assert worst([found("a", "pass"), found("b", "fail"), found("c", "warn")]) == "fail"
    assert worst([]) == "pass"
