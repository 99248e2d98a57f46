"""An edit on its way through the engine, as its events tell of it and as it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kedit_lifecycle.tui.screens.compose.draft import Draft

if TYPE_CHECKING:
    from kedit_lifecycle.engine.messages import Event, Job

RUNNING = ("sent", "queued", "running")


@dataclass
class Run:
    """One job.

    Attributes:
        draft: what was asked for; the form may hold something else by now.
        command: the same as a command line.
        job: its number, None until the engine took it.
        state: as of the job; `sent` before that, `lost` where the engine went away in between.
        losses: of the search that runs, None where a loss was no number.
        searches: how many searches there were.
        checks: as they came, by name.
        decisions: of the gate, one for each try.
        undone: the version where HEAD is after it was taken back.
    """

    draft: Draft
    command: str
    dry_run: bool = False
    job: int | None = None
    state: str = "sent"
    stage: str = ""
    done: int = 0
    total: int = 0
    losses: list[float | None] = field(default_factory=list)
    searches: int = 0
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None
    error: str = ""
    hint: str = ""
    undone: int | None = None
    _early: list[Event] = field(default_factory=list)
    _step: int = 0

    @property
    def active(self) -> bool:
        """It has not ended."""
        return self.state in RUNNING

    @property
    def version(self) -> int | None:
        """The version that it made."""
        found = (self.result or {}).get("version")
        return int(found) if found is not None else None

    @property
    def action(self) -> str:
        """What the gate decided; empty before that."""
        said = (self.result or {}).get("action") or (
            self.decisions[-1].get("action") if self.decisions else ""
        )
        return str(said or "")

    @property
    def reasons(self) -> list[str]:
        """Why the gate decided so."""
        found = (self.result or {}).get("reasons") or (
            self.decisions[-1].get("reasons") if self.decisions else ()
        )
        return [str(one) for one in found or ()]

    @property
    def turned_down(self) -> bool:
        """It was, or would be, taken back."""
        return self.state in ("refused", "failed") or (
            self.state == "done" and self.version is None and self.action not in ("commit", "warn")
        )

    def taken(self, job: int) -> None:
        """The engine gave it a number; some of its events may have come before."""
        self.job, self.state = job, "queued"
        early, self._early = self._early, []
        for event in early:
            self.hear(event)

    def hear(self, event: Event) -> bool:
        """An event; whether it told anything of this job."""
        if self.job is None:
            self._early.append(event)
            return False
        if event.job != self.job or not self.active:
            return False
        told = getattr(self, f"_hear_{event.kind}", None)
        if told is not None:
            told(event.data)
        return told is not None

    def _hear_job(self, said: Any) -> None:
        if said.get("state") == "running":
            self.state = "running"

    def _hear_progress(self, said: Any) -> None:
        self.state = "running"
        self.stage, self.done, self.total = str(said["stage"]), int(said["done"]), int(said["total"])

    def _hear_loss(self, said: Any) -> None:
        step = int(said.get("step") or 0)
        if step <= self._step or not self.searches:
            self.losses.clear()
            self.searches += 1
        self._step = step
        value = said.get("value", said.get("loss"))
        self.losses.append(float(value) if isinstance(value, int | float) else None)

    def _hear_check(self, said: Any) -> None:
        self.checks[str(said["check"])] = dict(said)

    def _hear_decision(self, said: Any) -> None:
        self.decisions.append(dict(said))
        if said.get("action") == "retry":  # the next try is checked anew
            self.checks.clear()

    def ended(self, job: Job) -> None:
        """What became of it; what the events told is completed."""
        self.state = job.state
        self.result = job.result if isinstance(job.result, dict) else None
        if self.result is not None:
            self.checks = {one["check"]: one for one in self.result.get("checks") or ()}
            self.losses = self.losses or list(self.result.get("losses") or ())
        if job.error is not None:
            self.error, self.hint = job.error.message, job.error.hint
