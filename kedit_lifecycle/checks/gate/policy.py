"""A policy: limits for the checks, what they may cost, and what follows from each verdict."""

from __future__ import annotations

import hashlib
from typing import Any, Literal, get_args

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, field_validator

from kedit_lifecycle.checks.collapse import HealthLimits
from kedit_lifecycle.checks.health import CheckBudget
from kedit_lifecycle.checks.names import CHECKS, EVERY_CHECK

Action = Literal["commit", "warn", "retry", "memory", "reject", "rollback", "halt"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""What can become of an edit, mildest first: where several rules hold, the last of theirs is done."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Strict):
    """What to do when a check comes to a verdict."""

    check: str = Field(description=f"{EVERY_CHECK}, or one of {', '.join(CHECKS)}")
    verdict: Literal["warn", "fail"] = Field(description="at this verdict, or a worse one")
    action: Action = Field(
        description="commit; warn: commit and say so; retry: take the edit back and try the next of "
        "`retries`, and reject it when none is left; memory: keep the fact outside the weights; reject: take "
        "the edit back, go on with the next; rollback: take it back, and the branch back to the last healthy "
        "version; halt: take it back and stop the run"
    )

    @field_validator("check")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != EVERY_CHECK and name not in CHECKS:
            raise ValueError(f"there is no check {name!r}; there are {', '.join(CHECKS)}")
        return name


class Retry(_Strict):
    """Another way to make the same edit."""

    method: str = Field(description="an editor")
    config: dict[str, Any] = Field(default_factory=dict, description="its hyper-parameters")


class Policy(_Strict):
    """What an edit is held to before it is committed.

    A check's verdict is looked up in `rules` from the top: the first that names the check and the verdict
    (or a milder one) holds for it. A check that no rule names lets the edit pass.
    """

    name: str
    description: str = ""
    limits: HealthLimits = HealthLimits()
    budget: CheckBudget = CheckBudget()
    rules: tuple[Rule, ...] = ()
    retries: tuple[Retry, ...] = ()

    @property
    def digest(self) -> str:
        """sha256 (hex) of the policy as RFC 8785 JSON."""
        return hashlib.sha256(rfc8785.dumps(self.model_dump(mode="json"))).hexdigest()
