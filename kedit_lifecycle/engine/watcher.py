"""What a running job says on its way: progress and findings become events, and a cancelled job stops here."""

from __future__ import annotations

import math
import time
from typing import Any, cast

from kedit_lifecycle.engine.events import EventLog
from kedit_lifecycle.engine.messages import EventKind
from kedit_lifecycle.engine.queue import JobQueue

PER_SECOND = 10  # progress events at most, and losses of one search
_TOLD: frozenset[str] = frozenset({"loss", "check", "decision", "version"})


class Cancelled(KeyboardInterrupt):
    """The job was told to stop: what it was at is taken back, as after Ctrl-C."""


class JobWatcher:
    """A `progress.Watcher` of one job. Whoever calls it is at a safe point."""

    def __init__(self, job: int, queue: JobQueue, events: EventLog) -> None:
        self._job, self._queue, self._events = job, queue, events
        self._stage = ""
        self._told = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """A step of a stage is done.

        Raises:
            Cancelled: the job was told to stop.
        """
        self._stop_if_cancelled()
        self._queue.advance(self._job, stage, done, total)
        now = time.monotonic()
        if stage != self._stage or done == total or now - self._told >= 1 / PER_SECOND:
            self._stage, self._told = stage, now
            self._events.add("progress", job=self._job, data={"stage": stage, "done": done, "total": total})

    def hear(self, kind: str, found: dict[str, Any]) -> None:
        """Something was found.

        Raises:
            Cancelled: the job was told to stop, and nothing is committed by what was found.
        """
        if kind != "version":
            self._stop_if_cancelled()
        if kind in _TOLD:
            self._events.add(cast(EventKind, kind), job=self._job, data=_finite(found))

    def say(self, stream: str, text: str) -> None:
        """A command line that is carried out here printed something."""
        self._events.add("output", job=self._job, data={"stream": stream, "text": text})

    def _stop_if_cancelled(self) -> None:
        if self._queue.is_cancelled(self._job):
            raise Cancelled


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: null."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
