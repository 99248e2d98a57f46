"""The connection to the engine: made after the first paint, followed, and made again when it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from kedit_lifecycle.errors import EngineGoneError, KeditError
from kedit_lifecycle.tui.happened import changes_store

if TYPE_CHECKING:
    from kedit_lifecycle.engine.client import AsyncEngineClient
    from kedit_lifecycle.engine.messages import EngineInfo, Event
    from kedit_lifecycle.tui.session import Session

_LOOK_AGAIN = 2.0  # seconds between two looks whether an engine came back by itself
_SETTLED = 0.15  # seconds without another change before the header is read again


class Link:
    """Keeps a session connected.

    Args:
        session: whose engine it is.
        heard: is called with every event of the engine.
        connected: is called whenever an engine answers anew.
    """

    def __init__(
        self, session: Session, heard: Callable[[Event], None], connected: Callable[[], None]
    ) -> None:
        self._session = session
        self._heard = heard
        self._connected = connected
        self._start = session.local
        self._again = asyncio.Event()
        self._last = 0
        self._engine: tuple[int, str] | None = None
        self._overview: asyncio.Task[None] | None = None

    def start_again(self) -> None:
        """Start the engine, if none answers."""
        self._start = True
        self._again.set()

    def lost(self) -> None:
        """Somebody else saw that the engine is gone; look at once."""
        self._again.set()

    async def run(self) -> None:
        """For as long as the app runs."""
        await asyncio.to_thread(import_module, "kedit_lifecycle.engine.client")
        while True:
            try:
                async with await self._client() as client:
                    await self._follow(client)
            except KeditError as error:
                self._session.lose(error)
            await self._pause()

    async def _client(self) -> AsyncEngineClient:
        from kedit_lifecycle.engine.client import AsyncEngineClient

        where, start, self._start = self._session.where, self._start, False
        try:
            return await AsyncEngineClient.connect(where, self._session.token)
        except EngineGoneError:
            if not start or isinstance(where, str):
                raise
        self._session.link = "starting"
        self._session.changed()
        return await AsyncEngineClient.start(where, readonly=self._session.only_look)

    async def _follow(self, client: AsyncEngineClient) -> None:
        info = await client.info()
        self._resume(info)
        self._session.jobs.begin(await client.jobs("running") + await client.jobs("queued", 1000))
        self._session.take(client, info, await client.overview())
        self._connected()
        async for event in client.events(self._last):
            self._last = event.id
            self._session.jobs.hear(event)
            self._session.changed()
            self._heard(event)
            if changes_store(event):
                self._refresh(client)

    def _resume(self, info: EngineInfo) -> None:
        """From where events are followed: where they were left, if it is the same engine; else from now."""
        engine = (info.pid, info.started)
        if engine != self._engine:
            self._engine, self._last = engine, info.event

    def _refresh(self, client: AsyncEngineClient) -> None:
        if self._overview is None or self._overview.done():
            self._overview = asyncio.create_task(self._read_overview(client))

    async def _read_overview(self, client: AsyncEngineClient) -> None:
        await asyncio.sleep(_SETTLED)
        try:
            self._session.overview = await client.overview()
        except KeditError:
            return  # the stream will say so too
        self._session.changed()

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._again.wait(), _LOOK_AGAIN)
        except TimeoutError:
            return
        finally:
            self._again.clear()
