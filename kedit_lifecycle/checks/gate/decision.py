"""From verdicts to what becomes of an edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kedit_lifecycle.checks.gate.policy import ACTIONS, Action, Policy, Rule
from kedit_lifecycle.checks.names import EVERY_CHECK
from kedit_lifecycle.checks.result import VERDICTS, CheckResult


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an edit, and why: one reason for every check that asked for more than a commit."""

    action: Action
    reasons: tuple[str, ...] = ()

    @property
    def commits(self) -> bool:
        """Whether the edit is kept in the weights."""
        return self.action in ("commit", "warn")


def decide(policy: Policy, results: Sequence[CheckResult]) -> Decision:
    """The gravest action that a rule asks for, with its reasons first."""
    asked = [(_action(policy, result), result) for result in results]
    weighty = sorted(
        (pair for pair in asked if pair[0] != "commit"), key=lambda pair: -ACTIONS.index(pair[0])
    )
    reasons = tuple(f"{result.check}: {result.message}" for _, result in weighty)
    return Decision(weighty[0][0] if weighty else "commit", reasons)


def _action(policy: Policy, result: CheckResult) -> Action:
    return next((rule.action for rule in policy.rules if _holds(rule, result)), "commit")


def _holds(rule: Rule, result: CheckResult) -> bool:
    named = rule.check in (EVERY_CHECK, result.check)
    return named and VERDICTS.index(result.verdict) >= VERDICTS.index(rule.verdict)
