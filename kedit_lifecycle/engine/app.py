"""The engine's HTTP: jobs in, events out, and what the ledger says while a job runs."""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from kedit_lifecycle.engine.events import EventLog
from kedit_lifecycle.engine.jobs import COMMAND, KINDS, checked
from kedit_lifecycle.engine.messages import FINAL_STATES, EngineInfo, Job, JobError, JobOrder
from kedit_lifecycle.engine.queries import ROUTES, Query
from kedit_lifecycle.engine.queue import JobQueue
from kedit_lifecycle.engine.relay import command_line
from kedit_lifecycle.engine.transport import HEARTBEAT_SECONDS
from kedit_lifecycle.engine.worker import Worker
from kedit_lifecycle.errors import KeditError, NoSuchRefError, UsageError

LARGEST_BODY = 64 * 2**20  # bytes
LONG_ARGUMENTS = 2_000  # characters of an argument that a list of jobs shows
_AS_JSON = TypeAdapter[Any](Any)


@dataclass
class Engine:
    """What the app serves."""

    store: Path
    queue: JobQueue
    events: EventLog
    worker: Worker
    started: str
    device: str
    readonly: bool
    token: str | None
    stop: Callable[[], None]

    def info(self) -> EngineInfo:
        """Who is here."""
        import torch

        from kedit_lifecycle import __version__

        return EngineInfo(
            release=__version__,
            pid=os.getpid(),
            store=str(self.store.resolve()),
            model=self.worker.model_name,
            started=self.started,
            readonly=self.readonly,
            model_loaded=self.worker.model_loaded,
            resident_bytes=resident_bytes(),
            job=self.queue.running,
            waiting=self.queue.waiting,
            device=self.device,
            threads=torch.get_num_threads(),
            event=self.events.last,
            stopping=self.queue.stopping,
        )


def make_app(engine: Engine) -> ASGIApp:
    """The application; requests that come by TCP must bear the token."""

    async def info(_: Request) -> Response:
        return _json(engine.info())

    async def stop(_: Request) -> Response:
        found = engine.info()
        engine.stop()
        return _json(found)

    async def submit(request: Request) -> Response:
        order = await _order(request)
        if order.kind == COMMAND and not _is_local(request.scope):
            raise UsageError(
                "command lines are carried out for this machine only", hint="a job of a kind instead"
            )
        arguments = checked(order.kind, order.arguments)
        urgent = order.kind == COMMAND or KINDS[order.kind].urgent
        job = engine.queue.add(
            order.kind,
            arguments.model_dump(mode="json", exclude_unset=True),
            author=order.author or os.environ.get("KEDIT_AUTHOR", "engine"),
            command=order.command or command_line(order.kind, order.arguments),
            urgent=urgent and not _is_long(order),
        )
        return _json(_brief(job), status=202)

    async def jobs(request: Request) -> Response:
        limit = _whole(request, "limit", 100)
        return _json([_brief(job) for job in engine.queue.list(request.query_params.get("state"), limit)])

    async def job(request: Request) -> Response:
        number = _number(request)
        end = time.monotonic() + min(60.0, float(request.query_params.get("wait") or 0))
        found = engine.queue.get(number)
        while found.state not in FINAL_STATES and time.monotonic() < end:
            await asyncio.sleep(0.02)
            found = engine.queue.get(number)
        return _json(found)

    async def cancel(request: Request) -> Response:
        return _json(_brief(engine.queue.cancel(_number(request))))

    async def events(request: Request) -> Response:
        after = _whole(request, "after", engine.events.last)
        return StreamingResponse(_stream(engine.events, after), media_type="text/event-stream")

    routes = [
        Route("/engine", info),
        Route("/stop", stop, methods=["POST"]),
        Route("/jobs", submit, methods=["POST"]),
        Route("/jobs", jobs),
        Route("/jobs/{id}", job),
        Route("/jobs/{id}/cancel", cancel, methods=["POST"]),
        Route("/events", events),
        *[Route(pattern, _answering(engine.store, query)) for pattern, query in ROUTES.items()],
    ]
    handlers: Mapping[Any, Any] = {KeditError: _refused, Exception: _broken, 404: _nothing_there}
    return TokenGuard(Starlette(routes=routes, exception_handlers=handlers), engine.token)


class TokenGuard:
    """Lets in who comes over the Unix socket, which only its owner can open, or bears the token."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401."""
        if scope["type"] == "http" and not _is_local(scope) and not self._bears_token(scope):
            said = JobError(message="this engine asks for its token", hint="--token-file FILE", exit_code=6)
            await JSONResponse(said.model_dump(), status_code=401)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _bears_token(self, scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        wanted = f"Bearer {self._token}".encode()
        return self._token is not None and hmac.compare_digest(given, wanted)


def _is_local(scope: Scope) -> bool:
    """Whether a request came over the Unix socket: it has no port."""
    server = scope.get("server")
    return server is not None and server[1] is None


async def _order(request: Request) -> JobOrder:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise UsageError(
                f"an order of more than {LARGEST_BODY >> 20} MiB", hint="give a file's path instead"
            )
    try:
        return JobOrder.model_validate_json(body)
    except ValidationError as error:
        raise UsageError(f"this is no order: {error.errors()[0]['msg']}") from error


def _is_long(order: JobOrder) -> bool:
    """Whether a command line is one that nobody waits for with a finger on the key."""
    words = order.arguments.get("arguments") or [""]
    return order.kind == COMMAND and words[0] in ("apply", "train", "tune", "eval", "consolidate", "edit")


def _brief(job: Job) -> Job:
    """A job without its result, long arguments cut."""
    shown = {
        name: value if len(str(value)) <= LONG_ARGUMENTS else "…" for name, value in job.arguments.items()
    }
    return job.model_copy(update={"result": None, "arguments": shown})


def _answering(store: Path, query: Query) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        given = {**request.query_params, **request.path_params}
        return _json(await run_in_threadpool(query, store, given))

    return answer


async def _stream(events: EventLog, after: int) -> AsyncIterator[str]:
    yield ": here\n\n"
    async for event in events.follow(after, HEARTBEAT_SECONDS):
        yield ": here\n\n" if event is None else f"id: {event.id}\ndata: {event.model_dump_json()}\n\n"


def _json(found: Any, status: int = 200) -> Response:
    return Response(_AS_JSON.dump_json(found), status_code=status, media_type="application/json")


def _number(request: Request) -> int:
    text = request.path_params["id"]
    if not text.isdecimal():
        raise UsageError(f"{text!r} is no job's number")
    return int(text)


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise UsageError(f"{name}={text!r} is no whole number")
    return int(text)


_STATUS: dict[type[KeditError], int] = {NoSuchRefError: 404}
_BY_CODE = {1: 409, 2: 400}


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, KeditError)
    status = _STATUS.get(type(error), _BY_CODE.get(error.exit_code, 500))
    said = JobError(message=str(error), hint=error.hint, exit_code=error.exit_code)
    return _json(said, status)


async def _broken(_: Request, error: Exception) -> Response:
    return _json(JobError(message=f"an error in kedit itself: {error!r}", hint="kedit engine logs"), 500)


async def _nothing_there(request: Request, _: Exception) -> Response:
    return _json(JobError(message=f"an engine has no {request.url.path}", exit_code=2), 404)


def resident_bytes() -> int:
    """Memory that this process holds now; its peak where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
