"""A sequence of edits as a run that can be interrupted anywhere and continued."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from kedit_lifecycle.errors import RefusedError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import VersionRow
from kedit_lifecycle.workbench.attempts import steps_attempted


@dataclass(frozen=True)
class RunPlan:
    """The steps of a run.

    Its id follows from what is edited, how, and where it starts, and from nothing else: a run that is
    continued is the same run, and gives the same version ids.
    """

    requests: tuple[EditRequest, ...]
    method: str
    config: Mapping[str, Any]
    seed: int
    batch: int
    message: str = ""

    def steps(self) -> list[tuple[EditRequest, ...]]:
        """The requests of each version, in order."""
        return [self.requests[i : i + self.batch] for i in range(0, len(self.requests), self.batch)]

    def run_id(self, start: str) -> str:
        """The run's id when it starts at version `start` (an id)."""
        content: dict[str, Any] = {
            "requests": [request.digest for request in self.requests],
            "method": self.method,
            "config": dict(self.config),
            "seed": self.seed,
            "batch": self.batch,
            "message": self.message,
            "start": start,
        }
        return hashlib.sha256(rfc8785.dumps(content)).hexdigest()[:24]

    def label(self, run: str, index: int) -> dict[str, Any]:
        """What a version says of its place in the run."""
        return {"id": run, "index": index, "total": len(self.steps())}


RUN_EVENT = "run"
_RECENT = 200  # run events that are looked through for one that made no version yet


def started(reader: LedgerReader, run: str) -> dict[str, Any] | None:
    """What the ledger recorded when this run began; None if it never did (or long ago)."""
    events = reader.events(limit=_RECENT, kind=RUN_EVENT)
    return next((dict(event.payload) for event in events if event.payload.get("id") == run), None)


def steps_done(reader: LedgerReader, head: VersionRow, plan: RunPlan) -> tuple[str, int]:
    """The id of the interrupted run that `head` belongs to, and how many of the plan's steps are over.

    A step is over when it made a version, or when the gate took it back.

    Raises:
        RefusedError: if `head` is not in the middle of this very run.
    """
    begun_here = plan.run_id(head.id)
    if started(reader, begun_here) is not None:  # no step of it made a version yet
        return begun_here, steps_attempted(reader, begun_here, head)
    if head.run is None:
        raise RefusedError("nothing to resume: HEAD was not made by a run", hint="leave out --resume")
    run = str(head.run["id"])
    start = reader.run_versions(run)[0].parent
    if start is None or plan.run_id(start) != run:
        raise RefusedError(
            f"HEAD (v{head.number}) belongs to another run: other requests, method, config, seed, batch "
            "or message",
            hint="give the arguments of the interrupted run, or leave out --resume to start a new one",
        )
    return run, max(int(head.run["index"]) + 1, steps_attempted(reader, run, head))
