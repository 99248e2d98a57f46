"""The queue: jobs by number, their states, and whose turn it is."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

from kedit_lifecycle.engine.messages import FINAL_STATES, Job, JobError, JobState
from kedit_lifecycle.errors import NoSuchRefError, RefusedError
from kedit_lifecycle.ledger.chain import utc_now

KEPT = 5_000
"""Ended jobs that are remembered; older ones are forgotten, their work is in the ledger."""


class JobQueue:
    """Jobs in order, of which one runs at a time; an urgent one goes before those that are not.

    `changed` is called with a job after each change of its state.
    """

    def __init__(self, changed: Callable[[Job], None] = lambda job: None) -> None:
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._ended: deque[int] = deque()
        self._urgent: deque[int] = deque()
        self._patient: deque[int] = deque()
        self._cancelled: set[int] = set()
        self._last = 0
        self._running: int | None = None
        self._stopping = False
        self._changed = changed
        self._lock = threading.RLock()
        self._ready = threading.Condition(self._lock)

    def add(
        self, kind: str, arguments: Mapping[str, Any], *, author: str, command: str, urgent: bool = False
    ) -> Job:
        """A new job at the end of its line.

        Raises:
            RefusedError: the engine is stopping.
        """
        with self._lock:
            if self._stopping:
                raise RefusedError("the engine is stopping", hint="kedit engine start")
            self._last += 1
            job = Job(
                id=self._last,
                kind=kind,
                arguments=dict(arguments),
                author=author,
                command=command,
                state="queued",
                created=utc_now(),
            )
            self._jobs[job.id] = job
            self._changed(job)
            (self._urgent if urgent else self._patient).append(job.id)
            self._ready.notify()
        return job

    def take(self, timeout: float | None = None) -> Job | None:
        """The next job, now running; None when the queue is stopping, or after `timeout` seconds."""
        with self._lock:
            self._ready.wait_for(lambda: self._stopping or self._urgent or self._patient, timeout)
            if self._stopping or not (self._urgent or self._patient):
                return None
            number = (self._urgent or self._patient).popleft()
            self._running = number
            return self._put(number, state="running", started=utc_now())

    def advance(self, number: int, stage: str, done: int, total: int) -> None:
        """Where the running job is."""
        with self._lock:
            self._jobs[number] = self._jobs[number].model_copy(
                update={"stage": stage, "done": done, "total": total}
            )

    def end(self, number: int, state: JobState, *, result: Any = None, error: JobError | None = None) -> Job:
        """The running job has ended."""
        with self._lock:
            self._running = None
            self._cancelled.discard(number)
            return self._over(number, state=state, result=result, error=error)

    def cancel(self, number: int) -> Job:
        """Take a waiting job out; a running one is told to stop, and one that has ended stays as it is.

        Raises:
            NoSuchRefError: there is none of that number.
        """
        with self._lock:
            job = self.get(number)
            if job.state == "running":
                self._cancelled.add(number)
                return job
            if job.state in FINAL_STATES:
                return job
            for line in (self._urgent, self._patient):
                if number in line:
                    line.remove(number)
            error = JobError(message="cancelled before it began", exit_code=130)
            return self._over(number, state="cancelled", error=error)

    def is_cancelled(self, number: int) -> bool:
        """Whether the running job was told to stop."""
        return number in self._cancelled

    def get(self, number: int) -> Job:
        """One job.

        Raises:
            NoSuchRefError: there is none of that number.
        """
        with self._lock:
            job = self._jobs.get(number)
        if job is None:
            raise NoSuchRefError(f"there is no job {number}", hint="kedit engine status")
        return job

    def list(self, state: str | None = None, limit: int = 100) -> list[Job]:
        """Jobs, newest first."""
        with self._lock:
            found = [job for job in reversed(self._jobs.values()) if state in (None, job.state)]
        return found[:limit]

    @property
    def running(self) -> int | None:
        """The number of the job at work."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._urgent) + len(self._patient)

    @property
    def stopping(self) -> bool:
        """Whether nobody is served any more."""
        return self._stopping

    def stop(self) -> None:
        """Take nothing more; waiting jobs are cancelled, the running one is told to stop."""
        with self._lock:
            self._stopping = True
            if self._running is not None:
                self._cancelled.add(self._running)
            for number in [*self._urgent, *self._patient]:
                self.cancel(number)
            self._ready.notify_all()

    def _put(self, number: int, **changes: Any) -> Job:
        job = self._jobs[number] = self._jobs[number].model_copy(update=changes)
        self._changed(job)
        return job

    def _over(self, number: int, **changes: Any) -> Job:
        job = self._put(number, ended=utc_now(), **changes)
        self._ended.append(number)
        while len(self._ended) > KEPT:
            self._jobs.pop(self._ended.popleft(), None)
        return job
