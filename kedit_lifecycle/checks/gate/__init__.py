"""The gate: a policy turns what the checks found into what becomes of an edit."""

from kedit_lifecycle.checks.gate.decision import Decision, decide
from kedit_lifecycle.checks.gate.loading import load_policy, policy_schema, shipped_policies
from kedit_lifecycle.checks.gate.policy import Action, Policy, Retry, Rule

__all__ = [
    "Action",
    "Decision",
    "Policy",
    "Retry",
    "Rule",
    "decide",
    "load_policy",
    "policy_schema",
    "shipped_policies",
]
