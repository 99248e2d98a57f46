"""The running job and those that wait, as the engine's events tell of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kedit_lifecycle.tui.happened import ENDED, PASSING

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import Event, Job


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job as the strip at the bottom shows it."""

    id: int
    kind: str
    command: str = ""
    state: str = "queued"
    stage: str = ""
    done: int = 0
    total: int = 0
    error: str = ""

    @property
    def ended(self) -> bool:
        """It runs no more and waits no more."""
        return self.state in ENDED

    def after(self, event: Event) -> JobLine:
        """The job as an event says it is now."""
        said = event.data
        fresh = {name: said[name] for name in ("state", "stage", "done", "total") if name in said}
        if event.kind == "progress":
            fresh["state"] = "running"
        if isinstance(said.get("error"), dict):
            fresh["error"] = str(said["error"].get("message", ""))
        for name in ("kind", "command"):
            if said.get(name):
                fresh[name] = str(said[name])
        return replace(self, **fresh)


class JobWatch:
    """Which job is shown: the running one, else the one that ended last."""

    def __init__(self) -> None:
        self.job: JobLine | None = None
        self._waiting: dict[int, JobLine] = {}

    @property
    def waiting(self) -> int:
        """How many jobs are queued."""
        return len(self._waiting)

    def clear(self) -> None:
        """Nothing is known of any job."""
        self.job = None
        self._waiting.clear()

    def begin(self, jobs: Iterable[Job]) -> None:
        """The jobs that an engine has when one attaches."""
        self.clear()
        for one in jobs:
            line = JobLine(one.id, one.kind, one.command, one.state, one.stage, one.done, one.total)
            if one.state == "running":
                self.job = line
            elif one.state == "queued":
                self._waiting[one.id] = line

    def hear(self, event: Event) -> None:
        """An event of the engine."""
        if event.job is None or event.kind not in ("job", "progress"):
            return
        known = self._waiting.pop(event.job, None)
        if known is None and self.job is not None and self.job.id == event.job:
            known = self.job
        now = (known or JobLine(event.job, "job")).after(event)
        if now.state == "queued":
            self._waiting[now.id] = now
        elif now.state == "running" or self.job is None or self.job.id == now.id or self.job.ended:
            self.job = None if now.ended and now.kind in PASSING and not now.error else now

    def forget(self, job: int) -> None:
        """The end of this job was seen for long enough."""
        if self.job is not None and self.job.id == job and self.job.ended:
            self.job = None
