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
WEAR_CHECKS = ("perplexity", "drift", "retention")
"""Whose warnings say that the model has suffered."""
BUDGET_CHECKS = (*WEAR_CHECKS, "weight_change")
"""Whose warnings say that the weights have had enough; how far they moved is a sign, not yet a harm."""
OWN_CHECKS = ("perplexity_step",)
"""Whose warnings say that one edit alone takes too much of that."""


@dataclass(frozen=True)
class Way:
    """A method to try, and the checks that its candidate has to pass, or the next way is taken."""

    method: str
    must_pass: tuple[str, ...] = ()


SPARING = Way(WEIGHT_METHOD, ("efficacy", *OWN_CHECKS, *BUDGET_CHECKS))
"""The weights as long as nothing warns: they are left before they are worn, not after."""
REMEMBERED = Way(Serac.name, ("efficacy",))
NEEDED = Way(WEIGHT_METHOD, ("efficacy", *OWN_CHECKS, *WEAR_CHECKS))
"""The weights for a fact that the memory does not hold: as long as the model does not suffer."""
KEPT = Way(Serac.name)
"""The memory all the same: nothing else is left."""


@dataclass(frozen=True)
class Choice:
    """The ways to try, in order, and why the first stands first."""

    ways: tuple[Way, ...]
    reasons: tuple[str, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """Of the ways, in order."""
        return tuple(way.method for way in self.ways)

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
    whose checks warned at `head`.
    """
    reasons = [*_of_requests(requests), *_of_replacing(against), *_of_weights(reader, head)]
    if reasons:
        return Choice((REMEMBERED, NEEDED, KEPT), tuple(reasons))
    return Choice((SPARING, REMEMBERED, NEEDED, KEPT), ("the weights have room",))


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
