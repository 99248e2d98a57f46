"""The engine's queries over HTTP without its jobs: a server in a thread, for screens that only look."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kedit_lifecycle.engine.messages import EngineInfo, JobError
from kedit_lifecycle.engine.queries import ROUTES, Query
from kedit_lifecycle.errors import KeditError, NoSuchRefError

_ANSWER = TypeAdapter(object)


def _asked(store: Path, query: Query) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        try:
            found = query(store, {**request.query_params, **request.path_params})
        except KeditError as error:
            said = JobError(message=str(error), hint=error.hint, exit_code=error.exit_code)
            status = 404 if isinstance(error, NoSuchRefError) else 400
            return JSONResponse(said.model_dump(mode="json"), status)
        return Response(_ANSWER.dump_json(found), media_type="application/json")

    return answer


async def _silence(request: Request) -> StreamingResponse:
    async def beats() -> AsyncIterator[str]:
        while not await request.is_disconnected():
            yield ": here\n\n"
            await asyncio.sleep(0.2)

    return StreamingResponse(beats(), media_type="text/event-stream")


def _application(store: Path) -> Starlette:
    said = EngineInfo(
        release="0.1.0",
        pid=1,
        store=str(store),
        model="tiny",
        started="2026-01-01T00:00:00Z",
        readonly=False,
        model_loaded=False,
        resident_bytes=0,
    )
    routes = [Route(path, _asked(store, query)) for path, query in ROUTES.items()]
    routes.append(Route("/engine", lambda request: JSONResponse(said.model_dump(mode="json"))))
    routes.append(Route("/jobs", lambda request: JSONResponse([])))
    routes.append(Route("/events", _silence))
    return Starlette(routes=routes)


@contextmanager
def serving(store: Path) -> Iterator[str]:
    """A URL that answers every query about a store; there are no jobs and no events."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(_application(store), log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
