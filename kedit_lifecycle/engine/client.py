"""Talking to an engine: `EngineClient` from threads, `AsyncEngineClient` from an event loop. No torch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from httpx_sse import aconnect_sse, connect_sse

from kedit_lifecycle.engine import calls
from kedit_lifecycle.engine import messages as m
from kedit_lifecycle.engine.transport import QUIET_SECONDS, Address, gone_named, patience
from kedit_lifecycle.errors import EngineAccessError

T = TypeVar("T")
_ONE_WAIT = 20.0  # seconds that one request waits for a job to end
_AGAIN = 0.2  # seconds before the stream is opened anew


class EngineClient:
    """For threads; any of them may use it. Close it, or use it as a context manager.

    Raises:
        EngineGoneError: from any method, when no engine answers.
        EngineAccessError: a token is missing or wrong.
        KeditError: what the engine says is wrong, as it would be in this process.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._http = address.client()

    @classmethod
    def connect(cls, where: Path | str, token: str | None = None) -> Self:
        """To the engine of a store's folder, or at a URL; it must be there.

        Raises:
            EngineGoneError: nobody answers.
        """
        client = cls(Address.of(where, token))
        try:
            client.info()
        except BaseException:
            client.close()
            raise
        return client

    @classmethod
    def start(cls, store: Path, **options: Any) -> Self:
        """To the engine of a store, which is started if none runs; options as of `process.start_engine`."""
        from kedit_lifecycle.engine.process import start_engine

        start_engine(store, **options)
        return cls.connect(store)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, call: calls.Call[T]) -> T:
        with gone_named(self.address):
            answer = self._http.request(
                call.method,
                call.path,
                params=call.query(),
                content=call.body,
                timeout=patience(call.patience),
            )
        return call.read(answer.content, answer.status_code)

    # The engine and its jobs

    def info(self) -> m.EngineInfo:
        """Who is there."""
        return self._ask(calls.info())

    def stop(self) -> m.EngineInfo:
        """Ask it to stop; the running job is cancelled at a safe point."""
        return self._ask(calls.stop())

    def submit(self, kind: str, /, author: str = "", command: str = "", **arguments: Any) -> m.Job:
        """Put a job into the queue."""
        order = m.JobOrder(kind=kind, arguments=arguments, author=author, command=command)
        return self._ask(calls.submit(order))

    def jobs(self, state: str | None = None, limit: int = 100) -> list[m.Job]:
        """Jobs, newest first, without their results."""
        return self._ask(calls.jobs(state, limit))

    def job(self, identity: int) -> m.Job:
        """One job, with its result."""
        return self._ask(calls.job(identity))

    def cancel(self, identity: int) -> m.Job:
        """Cancel a job: at once while it waits, at a safe point when it runs."""
        return self._ask(calls.cancel(identity))

    def wait(self, identity: int, timeout: float | None = None) -> m.Job:
        """The job once it has ended, or as it is after so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _ONE_WAIT if end is None else min(_ONE_WAIT, max(end - time.monotonic(), 0.0))
            found = self._ask(calls.job(identity, left))
            if found.state in m.FINAL_STATES or (end is not None and time.monotonic() >= end):
                return found

    def events(self, after: int | None = None) -> Iterator[m.Event]:
        """Events behind an id (default: from now on), for ever; a stream that breaks is opened anew."""
        last = self.info().event if after is None else after
        while True:
            try:
                with connect_sse(
                    self._http, "GET", "/events", params={"after": last}, timeout=patience(QUIET_SECONDS)
                ) as source:
                    _let_in(source.response)
                    for sse in source.iter_sse():
                        if not sse.data:
                            continue  # it says that it is there
                        event = m.Event.model_validate_json(sse.data)
                        last = event.id
                        yield event
            except httpx.TransportError:
                pass
            time.sleep(_AGAIN)
            self.info()  # says so when nobody is there

    # What the ledger says

    def overview(self) -> m.Overview:
        """One look at the store."""
        return self._ask(calls.overview())

    def history(self, offset: int = 0, limit: int = 100, filter: str = "") -> m.HistoryPage:
        """Rows of the history, newest first."""
        return self._ask(calls.history(offset, limit, filter))

    def version(self, ref: str, facts: int | None = None) -> m.VersionView:
        """Everything about a version."""
        return self._ask(calls.version(ref, facts))

    def attempt(self, event: int, facts: int | None = None) -> m.VersionView:
        """Everything about what the gate took back."""
        return self._ask(calls.attempt(event, facts))

    def compare(self, a: str, b: str) -> m.Comparison:
        """What lies between two versions."""
        return self._ask(calls.compare(a, b))

    def audit(self, before: int | None = None, limit: int = 100, kind: str | None = None) -> m.AuditPage:
        """Events of the audit chain, newest first."""
        return self._ask(calls.audit(before, limit, kind))

    def health(self, ref: str = "HEAD", points: int | None = None) -> m.HealthView:
        """The series of a line."""
        return self._ask(calls.health(ref, points))

    def retention(self, ref: str = "HEAD", points: int | None = None) -> m.RetentionView:
        """Which facts still held when measured again."""
        return self._ask(calls.retention(ref, points))

    def memory(
        self, ref: str = "HEAD", filter: str = "", offset: int | None = None, limit: int | None = None
    ) -> m.MemoryView:
        """The memory of a version."""
        return self._ask(calls.memory(ref, filter, offset, limit))

    def suggest(
        self, subject: str = "", prompt: str = "", relation: str | None = None, limit: int | None = None
    ) -> m.Suggestion:
        """What is known that helps to write a request."""
        return self._ask(calls.suggest(subject, prompt, relation, limit))

    def conflicts(self, **fact: str | None) -> list[m.ConflictView]:
        """What a request would meet: subject, prompt, target, target_true, relation, ref."""
        return self._ask(calls.conflicts(fact))


class AsyncEngineClient:
    """For one event loop; the methods of `EngineClient`, with the same errors."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._http = address.async_client()

    @classmethod
    async def connect(cls, where: Path | str, token: str | None = None) -> Self:
        """To the engine of a store's folder, or at a URL; it must be there.

        Raises:
            EngineGoneError: nobody answers.
        """
        client = cls(Address.of(where, token))
        try:
            await client.info()
        except BaseException:
            await client.close()
            raise
        return client

    @classmethod
    async def start(cls, store: Path, **options: Any) -> Self:
        """To the engine of a store, which is started if none runs; options as of `process.start_engine`."""
        from kedit_lifecycle.engine.process import start_engine

        await asyncio.to_thread(start_engine, store, **options)
        return await cls.connect(store)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, call: calls.Call[T]) -> T:
        with gone_named(self.address):
            answer = await self._http.request(
                call.method,
                call.path,
                params=call.query(),
                content=call.body,
                timeout=patience(call.patience),
            )
        return call.read(answer.content, answer.status_code)

    # The engine and its jobs

    async def info(self) -> m.EngineInfo:
        """Who is there."""
        return await self._ask(calls.info())

    async def stop(self) -> m.EngineInfo:
        """Ask it to stop; the running job is cancelled at a safe point."""
        return await self._ask(calls.stop())

    async def submit(self, kind: str, /, author: str = "", command: str = "", **arguments: Any) -> m.Job:
        """Put a job into the queue."""
        order = m.JobOrder(kind=kind, arguments=arguments, author=author, command=command)
        return await self._ask(calls.submit(order))

    async def jobs(self, state: str | None = None, limit: int = 100) -> list[m.Job]:
        """Jobs, newest first, without their results."""
        return await self._ask(calls.jobs(state, limit))

    async def job(self, identity: int) -> m.Job:
        """One job, with its result."""
        return await self._ask(calls.job(identity))

    async def cancel(self, identity: int) -> m.Job:
        """Cancel a job: at once while it waits, at a safe point when it runs."""
        return await self._ask(calls.cancel(identity))

    async def wait(self, identity: int, timeout: float | None = None) -> m.Job:
        """The job once it has ended, or as it is after so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _ONE_WAIT if end is None else min(_ONE_WAIT, max(end - time.monotonic(), 0.0))
            found = await self._ask(calls.job(identity, left))
            if found.state in m.FINAL_STATES or (end is not None and time.monotonic() >= end):
                return found

    async def events(self, after: int | None = None) -> AsyncIterator[m.Event]:
        """Events behind an id (default: from now on), for ever; a stream that breaks is opened anew.

        Raises:
            EngineGoneError: the stream broke and nobody answers; go on behind the last id with a new engine.
        """
        last = (await self.info()).event if after is None else after
        while True:
            try:
                async with aconnect_sse(
                    self._http, "GET", "/events", params={"after": last}, timeout=patience(QUIET_SECONDS)
                ) as source:
                    _let_in(source.response)
                    async for sse in source.aiter_sse():
                        if not sse.data:
                            continue
                        event = m.Event.model_validate_json(sse.data)
                        last = event.id
                        yield event
            except httpx.TransportError:
                pass
            await asyncio.sleep(_AGAIN)
            await self.info()

    # What the ledger says

    async def overview(self) -> m.Overview:
        """One look at the store."""
        return await self._ask(calls.overview())

    async def history(self, offset: int = 0, limit: int = 100, filter: str = "") -> m.HistoryPage:
        """Rows of the history, newest first."""
        return await self._ask(calls.history(offset, limit, filter))

    async def version(self, ref: str, facts: int | None = None) -> m.VersionView:
        """Everything about a version."""
        return await self._ask(calls.version(ref, facts))

    async def attempt(self, event: int, facts: int | None = None) -> m.VersionView:
        """Everything about what the gate took back."""
        return await self._ask(calls.attempt(event, facts))

    async def compare(self, a: str, b: str) -> m.Comparison:
        """What lies between two versions."""
        return await self._ask(calls.compare(a, b))

    async def audit(
        self, before: int | None = None, limit: int = 100, kind: str | None = None
    ) -> m.AuditPage:
        """Events of the audit chain, newest first."""
        return await self._ask(calls.audit(before, limit, kind))

    async def health(self, ref: str = "HEAD", points: int | None = None) -> m.HealthView:
        """The series of a line."""
        return await self._ask(calls.health(ref, points))

    async def retention(self, ref: str = "HEAD", points: int | None = None) -> m.RetentionView:
        """Which facts still held when measured again."""
        return await self._ask(calls.retention(ref, points))

    async def memory(
        self, ref: str = "HEAD", filter: str = "", offset: int | None = None, limit: int | None = None
    ) -> m.MemoryView:
        """The memory of a version."""
        return await self._ask(calls.memory(ref, filter, offset, limit))

    async def suggest(
        self, subject: str = "", prompt: str = "", relation: str | None = None, limit: int | None = None
    ) -> m.Suggestion:
        """What is known that helps to write a request."""
        return await self._ask(calls.suggest(subject, prompt, relation, limit))

    async def conflicts(self, **fact: str | None) -> list[m.ConflictView]:
        """What a request would meet: subject, prompt, target, target_true, relation, ref."""
        return await self._ask(calls.conflicts(fact))


def _let_in(response: httpx.Response) -> None:
    """Whether the stream is there at all.

    Raises:
        EngineAccessError: a token is missing or wrong.
    """
    if response.status_code == 401:
        raise EngineAccessError("the engine asks for its token", hint="--token-file FILE")
    if response.status_code >= 400:
        raise httpx.RemoteProtocolError(f"HTTP {response.status_code}")
