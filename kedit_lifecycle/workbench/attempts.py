"""Edits that were taken back: in the ledger as events, with all that would make them again and why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedit_lifecycle.checks.gate import Decision, Policy
from kedit_lifecycle.checks.result import CheckResult
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import CheckDraft, EventRow, VersionRow
from kedit_lifecycle.ledger.store import Store

ATTEMPT_EVENT = "attempt"
POLICY_EVENT = "policy"
_RECENT = 1000  # attempts that are looked through for those of one run


def attempt_payload(
    parent: VersionRow,
    editor: str,
    config: Mapping[str, Any],
    seed: int,
    requests: Sequence[Mapping[str, Any]],
    checks: Sequence[CheckResult],
    decision: Decision,
    policy: Policy,
    *,
    run: Mapping[str, Any] | None,
    message: str,
    seconds: float,
) -> dict[str, Any]:
    """What the event says. `head` is where HEAD is after it: at the parent, but for a rollback."""
    return {
        "parent": parent.id,
        "number": parent.number,
        "head": parent.id,
        "editor": editor,
        "config": dict(config),
        "seed": seed,
        "run": None if run is None else dict(run),
        "message": message,
        "requests": [dict(request) for request in requests],
        "checks": [check_json(check) for check in checks],
        "decision": decision.action,
        "reasons": list(decision.reasons),
        "policy": {"name": policy.name, "digest": policy.digest},
        "seconds": seconds,
    }


def check_json(check: CheckResult) -> dict[str, Any]:
    """A check's result as JSON values."""
    return {
        "check": check.check,
        "verdict": check.verdict,
        "message": check.message,
        "value": check.value,
        "warn": check.warn,
        "fail": check.fail,
        "detail": dict(check.detail),
    }


def check_draft(check: CheckResult) -> CheckDraft:
    """A check's result as a ledger row."""
    return CheckDraft(**check_json(check))


def attempts(reader: LedgerReader, limit: int = _RECENT) -> list[EventRow]:
    """The newest attempts, newest first."""
    return reader.events(limit=limit, kind=ATTEMPT_EVENT)


def steps_attempted(reader: LedgerReader, run: str, head: VersionRow) -> int:
    """How many steps of a run are over that made no version, and left HEAD at `head`; 0 if none."""
    places = [
        int(event.payload["run"]["index"]) + 1
        for event in attempts(reader)
        if (event.payload.get("run") or {}).get("id") == run
        and event.payload.get("head") == head.id
        and event.payload.get("decision") != "retry"
    ]
    return max(places, default=0)


def keep_policy(store: Store, policy: Policy, *, author: str, command: str) -> None:
    """Put a policy into the ledger, whole, the first time it is used."""
    known = store.reader.events(limit=_RECENT, kind=POLICY_EVENT)
    if all(event.payload.get("digest") != policy.digest for event in known):
        payload = {"digest": policy.digest, "policy": policy.model_dump(mode="json")}
        store.record(POLICY_EVENT, payload, author=author, command=command)
