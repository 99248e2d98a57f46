"""`auto`: weights or memory, decided for each step from what is asked and how the model fares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import VersionRow
from kedit_lifecycle.workbench.gatekeeping import Contradictions
from kedit_lifecycle.workbench.serac import Auto, Serac

WEIGHT_METHOD = "memit"
LONG_TARGET = 8
"""Words: a longer answer is a text to give back, which a memory does, and no single value to write."""
LARGE_BATCH = 256
"""Facts at once that are more than the weights of a small model take well."""
BUDGET_CHECKS = ("perplexity", "drift", "weight_change", "retention")
"""Whose warnings say that the weights have had what they can take."""
OWN_CHECKS = ("perplexity_step",)
"""Whose warnings say that one edit alone takes too much of that."""


@dataclass(frozen=True)
class Choice:
    """The methods to try, in order, and why the first stands first."""

    methods: tuple[str, ...]
    reasons: tuple[str, ...]

    def as_json(self, method: str, failed: Sequence[str] = ()) -> dict[str, Any]:
        """What a version says of its route; `failed` says of each method tried before why it was not it."""
        return {
            "chosen_by": Auto.name,
            "method": method,
            "order": list(self.methods),
            "reasons": [*self.reasons, *failed],
        }


def choose(
    reader: LedgerReader, head: VersionRow, requests: Sequence[EditRequest], against: Contradictions
) -> Choice:
    """Weights first, unless something speaks for the memory; the other one is tried where the first fails.

    For the memory speak: long targets, a large batch, a fact that takes the place of another, and weights
    whose checks warned at `head`. What sends a candidate the other way is `must_pass`.
    """
    reasons = [*_of_requests(requests), *_of_replacing(against), *_of_weights(reader, head)]
    if reasons:
        return Choice((Serac.name, WEIGHT_METHOD, Serac.name), tuple(reasons))
    return Choice((WEIGHT_METHOD, Serac.name), ("the weights have room",))


def must_pass(method: str) -> tuple[str, ...]:
    """The checks that send a fact the other way where a method's candidate does not pass them.

    So the weights are left before they are worn, not after: an edit that would take them over the limits
    goes into the memory.
    """
    return ("efficacy",) if method == Serac.name else ("efficacy", *OWN_CHECKS, *BUDGET_CHECKS)


def _of_requests(requests: Sequence[EditRequest]) -> list[str]:
    longest = max(len(request.target_new.split()) for request in requests)
    reasons = [f"a target of {longest} words is a text"] if longest > LONG_TARGET else []
    return reasons + ([f"{len(requests)} facts at once"] if len(requests) > LARGE_BATCH else [])


def _of_replacing(against: Contradictions) -> list[str]:
    versions = sorted({one.earlier_version for one in against.supersedes})
    return [f"it takes the place of v{', v'.join(map(str, versions))}"] if versions else []


def _of_weights(reader: LedgerReader, head: VersionRow) -> list[str]:
    return [
        f"{check.check} at v{head.number}: {check.message}"
        for check in reader.checks(head.number)
        if check.check in BUDGET_CHECKS and check.verdict != "pass"
    ]
