"""The stream of events: numbered, kept for a while, read by any number of clients at their own pace."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from kedit_lifecycle.engine.messages import Event, EventKind
from kedit_lifecycle.ledger.chain import utc_now

KEPT = 20_000


class EventLog:
    """A ring of the last events. Any thread adds; clients wait in the server's loop.

    Ids begin at the clock's milliseconds, so that a client that resumes after a restart mixes nothing up. A
    client holds no more than the id it has seen: a slow one costs no memory and blocks nobody. It reads on
    from there, and is told of a gap where what it has not seen is gone.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._events: deque[Event] = deque(maxlen=kept)
        self._lock = threading.Lock()
        self._last = time.time_ns() // 1_000_000
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self._closed = False
        self.add("engine", data={"state": "started"})

    @property
    def last(self) -> int:
        """The id of the newest event."""
        return self._last

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve clients in this loop."""
        self._loop = loop

    def add(self, kind: EventKind, *, job: int | None = None, data: Mapping[str, Any] | None = None) -> Event:
        """Append an event and wake those who wait."""
        with self._lock:
            self._last += 1
            event = Event(id=self._last, kind=kind, time=utc_now(), job=job, data=dict(data or {}))
            self._events.append(event)
        self._wake()
        return event

    def close(self) -> None:
        """End every client's stream after the events there are."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set_all)

    def _set_all(self) -> None:
        for waiting in self._waiting:
            waiting.set()

    def since(self, after: int, limit: int = 500) -> list[Event]:
        """At most `limit` events after an id; where some are gone, an event that says so stands first."""
        with self._lock:
            first = self._events[0].id
            if after >= self._last:
                return []
            start = max(0, after + 1 - first)
            found = [self._events[place] for place in range(start, min(start + limit, len(self._events)))]
        if after + 1 < first:
            gap = Event(id=first - 1, kind="engine", time=utc_now(), data={"gap": True})
            return [gap, *found]
        return found

    async def follow(self, after: int, patience: float) -> AsyncIterator[Event | None]:
        """Events after an id, as they come; None after `patience` seconds without one."""
        waiting = asyncio.Event()
        self._waiting.add(waiting)
        try:
            while True:
                waiting.clear()
                found = self.since(after)
                for event in found:
                    after = event.id
                    yield event
                if found:
                    continue
                if self._closed:
                    return
                try:
                    await asyncio.wait_for(waiting.wait(), patience)
                except TimeoutError:
                    yield None
        finally:
            self._waiting.discard(waiting)
