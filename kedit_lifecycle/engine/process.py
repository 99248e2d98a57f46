"""The engine's process: started once for a store, found by its note, ended cleanly."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from kedit_lifecycle.engine.calls import error_of
from kedit_lifecycle.engine.client import EngineClient
from kedit_lifecycle.engine.messages import JobError
from kedit_lifecycle.engine.place import (
    EngineNote,
    log_path,
    private_folder,
    remove_note,
    runtime_folder,
    socket_path,
    store_key,
    token_path,
    write_note,
    write_private,
)
from kedit_lifecycle.errors import EngineGoneError, KeditError, NoStoreError, UsageError

if TYPE_CHECKING:
    from kedit_lifecycle.engine.worker import CommandRunner

START_SECONDS = 120.0  # a loaded machine takes long to import torch
SAFE_POINT_SECONDS = 60.0  # that a running job has to come to one, when the engine stops
_GRACE = 2  # seconds for open connections
_LAST_PORT = 65535


@dataclass(frozen=True)
class EngineOptions:
    """How an engine runs. `listen`: HOST:PORT, for TCP beside the Unix socket."""

    device: str = "cpu"
    readonly: bool = False
    load: bool = False
    listen: str | None = None
    threads: int = 0

    def words(self) -> list[str]:
        """As the options of `kedit engine run`."""
        words = ["--device", self.device, "--threads", str(self.threads)]
        words += ["--readonly"] if self.readonly else []
        words += ["--load"] if self.load else []
        return words + (["--listen", self.listen] if self.listen else [])


def start_engine(store: Path, **options: Any) -> int:
    """Start the engine of a store, unless one runs; returns its pid once it answers.

    It is a process of its own, in a session of its own: closing the terminal does not end it.

    Raises:
        KeditError: what kept it from starting, as it said itself.
        EngineGoneError: it did not answer in time.
    """
    if not (store / "ledger.db").is_file():
        raise NoStoreError(f"there is no store at {store}", hint="kedit init, or --store PATH")
    folder = private_folder(runtime_folder())
    with FileLock(folder / f"{store_key(store)}.start", timeout=START_SECONDS):
        with contextlib.suppress(EngineGoneError), EngineClient.connect(store) as client:
            return client.info().pid
        return _spawned(store, EngineOptions(**options))


def _spawned(store: Path, options: EngineOptions) -> int:
    log = log_path(store)
    command = [sys.executable, "-m", "kedit_lifecycle", "engine", "run", "--store", str(store.resolve())]
    command += options.words()
    with log.open("ab") as said:
        begin = said.tell()
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(EngineGoneError), EngineClient.connect(store) as client:
            if client.info().pid == child.pid:
                return child.pid
        code = child.poll()
        if code is not None:
            raise _said(log, begin, code)
        time.sleep(0.05)
    raise EngineGoneError(f"the engine of {store} does not answer", hint="kedit engine logs")


def _said(log: Path, begin: int, code: int) -> KeditError:
    """Why an engine did not start: the last thing it said."""
    lines = log.read_bytes()[begin:].decode("utf-8", "replace").strip().splitlines()
    hint = next((one.strip().removeprefix("try: ") for one in lines if one.startswith("  try: ")), "")
    message = next((one.removeprefix("kedit: ") for one in lines if one.startswith("kedit: ")), "")
    return error_of(
        JobError(message=message or f"the engine ended with {code}", hint=hint, exit_code=abs(code))
    )


def serve(store: Path, options: EngineOptions, run_command: CommandRunner) -> None:
    """Be the engine of a store until told to stop.

    Raises:
        KeditError: there is no store, or another process writes to it.
    """
    import uvicorn

    from kedit_lifecycle.engine.app import Engine, make_app
    from kedit_lifecycle.engine.events import EventLog
    from kedit_lifecycle.engine.queries import warm
    from kedit_lifecycle.engine.queue import JobQueue
    from kedit_lifecycle.engine.worker import Worker
    from kedit_lifecycle.ledger.chain import utc_now

    sys.setswitchinterval(0.001)  # the server's thread gets its turn beside a job's
    events = EventLog()
    queue = JobQueue(lambda job: _tell_of(events, job))
    worker = Worker(
        store,
        queue,
        events,
        run_command,
        device=options.device,
        readonly=options.readonly,
        load=options.load,
        threads=options.threads,
    )
    worker.open()
    threading.Thread(target=warm, args=(store,), daemon=True).start()
    token = secrets.token_urlsafe(32) if options.listen else None
    started = utc_now()

    class Server(uvicorn.Server):
        """Ends with 0 on a signal, once every stream of events was ended."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop())
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            import asyncio

            events.attach(asyncio.get_running_loop())
            await super().startup(sockets)

    def stop() -> None:
        queue.stop()
        events.add("engine", data={"state": "stopping"})
        events.close()
        server.should_exit = True

    engine = Engine(
        store, queue, events, worker, started, options.device, options.readonly, token, lambda: stop()
    )
    config = uvicorn.Config(
        make_app(engine),
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=60,
    )
    server = Server(config)
    with _listening(store, options, token, started) as sockets:
        server.run(sockets=sockets)
    queue.stop()
    worker.join(SAFE_POINT_SECONDS)


def _tell_of(events: Any, job: Any) -> None:
    data = {"state": job.state, "kind": job.kind, "command": job.command}
    if job.error is not None:
        data["error"] = job.error.model_dump()
    if job.kind == "command" and job.result:
        data["result"] = job.result
    events.add("job", job=job.id, data=data)


@contextlib.contextmanager
def _listening(
    store: Path, options: EngineOptions, token: str | None, started: str
) -> Iterator[list[socket.socket]]:
    """The sockets, and the note that says where they are; both are gone afterwards."""
    private_folder(runtime_folder())
    path = socket_path(store)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()  # we hold the store's lock: whoever left it is dead
    unix = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        unix.bind(str(path))
    finally:
        os.umask(before)
    unix.listen(128)
    sockets, url = [unix], None
    try:
        if options.listen:
            tcp, url = _tcp(options.listen)
            sockets.append(tcp)
            write_private(token_path(store), f"{token}\n")
        token_file = str(token_path(store)) if token else None
        write_note(store, EngineNote(os.getpid(), str(path), started, url, token_file))
        yield sockets
    finally:
        remove_note(store, os.getpid())
        for one in sockets:
            one.close()
        for left in (path, token_path(store)):
            with contextlib.suppress(OSError):
                left.unlink()


def _tcp(listen: str) -> tuple[socket.socket, str]:
    """A socket that listens, and its URL; a port alone is this machine's loopback."""
    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) > _LAST_PORT:
        raise UsageError(f"--listen {listen}: not HOST:PORT", hint="for example --listen 127.0.0.1:8765")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.create_server((host, int(port)), family=family)
    except (OSError, UnicodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "no such host"
        raise UsageError(f"cannot listen at {host}:{port}: {told}", hint="another port") from error
    named = f"[{host}]" if family == socket.AF_INET6 else host
    return found, f"http://{named}:{found.getsockname()[1]}"
