"""Talking to an engine: `EngineClient` from threads, `AsyncEngineClient` from an event loop. No torch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx
from httpx_sse import aconnect_sse, connect_sse

from kedit_lifecycle.engine import calls
from kedit_lifecycle.engine import messages as m
from kedit_lifecycle.engine.transport import QUIET_SECONDS, Address, gone_named, patience
from kedit_lifecycle.errors import EngineAccessError

P = ParamSpec("P")
T = TypeVar("T")
_ONE_WAIT = 20.0  # seconds that one request waits for a job to end
_AGAIN = 0.2  # seconds before the stream is opened anew


def _ask(call: Callable[P, calls.Call[T]]) -> Callable[Concatenate[EngineClient, P], T]:
    """A method of `EngineClient` that makes the call, with its name, parameters and description."""

    @wraps(call)
    def method(self: EngineClient, /, *arguments: P.args, **named: P.kwargs) -> T:
        return self.ask(call(*arguments, **named))

    return method


def _asking(
    call: Callable[P, calls.Call[T]],
) -> Callable[Concatenate[AsyncEngineClient, P], Coroutine[Any, Any, T]]:
    """The same for `AsyncEngineClient`."""

    @wraps(call)
    async def method(self: AsyncEngineClient, /, *arguments: P.args, **named: P.kwargs) -> T:
        return await self.ask(call(*arguments, **named))

    return method


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

    def ask(self, call: calls.Call[T]) -> T:
        """Send a call and read its answer; every call has a method of its name."""
        with gone_named(self.address):
            answer = self._http.request(
                call.method,
                call.path,
                params=call.query(),
                content=call.body,
                timeout=patience(call.patience),
            )
        return call.read(answer.content, answer.status_code)

    info = _ask(calls.info)
    stop = _ask(calls.stop)
    submit = _ask(calls.submit)
    jobs = _ask(calls.jobs)
    job = _ask(calls.job)
    cancel = _ask(calls.cancel)
    overview = _ask(calls.overview)
    history = _ask(calls.history)
    version = _ask(calls.version)
    attempt = _ask(calls.attempt)
    compare = _ask(calls.compare)
    audit = _ask(calls.audit)
    health = _ask(calls.health)
    retention = _ask(calls.retention)
    memory = _ask(calls.memory)
    suggest = _ask(calls.suggest)
    conflicts = _ask(calls.conflicts)

    def wait(self, identity: int, timeout: float | None = None) -> m.Job:
        """The job once it has ended, or as it is after so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _ONE_WAIT if end is None else min(_ONE_WAIT, max(end - time.monotonic(), 0.0))
            found = self.ask(calls.job(identity, left))
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

    async def ask(self, call: calls.Call[T]) -> T:
        """Send a call and read its answer; every call has a method of its name."""
        with gone_named(self.address):
            answer = await self._http.request(
                call.method,
                call.path,
                params=call.query(),
                content=call.body,
                timeout=patience(call.patience),
            )
        return call.read(answer.content, answer.status_code)

    info = _asking(calls.info)
    stop = _asking(calls.stop)
    submit = _asking(calls.submit)
    jobs = _asking(calls.jobs)
    job = _asking(calls.job)
    cancel = _asking(calls.cancel)
    overview = _asking(calls.overview)
    history = _asking(calls.history)
    version = _asking(calls.version)
    attempt = _asking(calls.attempt)
    compare = _asking(calls.compare)
    audit = _asking(calls.audit)
    health = _asking(calls.health)
    retention = _asking(calls.retention)
    memory = _asking(calls.memory)
    suggest = _asking(calls.suggest)
    conflicts = _asking(calls.conflicts)

    async def wait(self, identity: int, timeout: float | None = None) -> m.Job:
        """The job once it has ended, or as it is after so many seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _ONE_WAIT if end is None else min(_ONE_WAIT, max(end - time.monotonic(), 0.0))
            found = await self.ask(calls.job(identity, left))
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


def _let_in(response: httpx.Response) -> None:
    """Whether the stream is there at all.

    Raises:
        EngineAccessError: a token is missing or wrong.
    """
    if response.status_code == 401:
        raise EngineAccessError("the engine asks for its token", hint="--token-file FILE")
    if response.status_code >= 400:
        raise httpx.RemoteProtocolError(f"HTTP {response.status_code}")
