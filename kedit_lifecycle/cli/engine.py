"""`engine`: the process that keeps the model and carries out commands one after another."""

from __future__ import annotations

import contextlib
import time
from functools import partial

import click

from kedit_lifecycle.cli.catalogue import COMMANDS
from kedit_lifecycle.cli.options import DEVICE
from kedit_lifecycle.cli.output import emit_json, line, narrate, plain
from kedit_lifecycle.cli.session import Session, StoreCommand, pass_session, quiet_libraries
from kedit_lifecycle.errors import EngineGoneError

STOP_SECONDS = 90.0


@click.group("engine", short_help=COMMANDS["engine"].summary)
def engine_command() -> None:
    """Start, stop or look at the process that keeps the model.

    It holds the store's lock and the loaded model, and carries out one command after another: `kedit edit`
    and the rest use it while it runs. Closing the terminal stops nothing.
    """


LISTEN = click.option(
    "--listen", metavar="HOST:PORT", help="Listen on TCP as well, for whoever bears the token."
)
LOAD = click.option("--load", is_flag=True, help="Load the model at once, not with the first job.")
THREADS = click.option(
    "--threads",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of torch; 0: as many as it likes.",
)


@engine_command.command("start", cls=StoreCommand)
@LISTEN
@LOAD
@THREADS
@DEVICE
@pass_session
def start_command(session: Session, listen: str | None, load: bool, threads: int, device: str) -> None:
    """Start the store's engine; nothing happens if one runs."""
    from kedit_lifecycle.engine.place import read_note
    from kedit_lifecycle.engine.process import start_engine

    pid = start_engine(
        session.store, listen=listen, load=load, threads=threads, device=device, readonly=session.readonly
    )
    note = read_note(session.store)
    if session.json:
        emit_json({"pid": pid, **(plain(note) or {})})
        return
    line(f"engine {pid} answers")
    if note and note.url:
        line(f"  {note.url}, with the token in {note.token_file}")


@engine_command.command("stop", cls=StoreCommand)
@pass_session
def stop_command(session: Session) -> None:
    """Stop the engine; the job at work is cancelled at a safe point, those that wait are dropped."""
    from kedit_lifecycle.engine.client import EngineClient
    from kedit_lifecycle.engine.place import read_note

    with EngineClient.connect(session.store) as client:
        pid = client.stop().pid
    end = time.monotonic() + STOP_SECONDS
    while (note := read_note(session.store)) is not None and note.pid == pid:
        if time.monotonic() > end:
            raise EngineGoneError(f"engine {pid} is still at a job", hint="kedit engine logs")
        time.sleep(0.05)
    line(f"engine {pid} has stopped")


@engine_command.command("status", cls=StoreCommand)
@pass_session
def status_command(session: Session) -> None:
    """Say whether an engine runs, and what it is at."""
    from kedit_lifecycle.engine.client import EngineClient

    with EngineClient.connect(session.store) as client:
        info = client.info()
        jobs = [job for job in client.jobs(limit=20) if job.state in ("running", "queued")]
    if session.json:
        emit_json({**info.model_dump(), "jobs": [job.model_dump() for job in jobs]})
        return
    loaded = "loaded" if info.model_loaded else "not loaded yet"
    line(f"engine {info.pid} since {info.started}, {info.resident_bytes / 2**20:,.0f} MiB")
    line(f"  {info.model} on {info.device}, {loaded}{', read-only' if info.readonly else ''}")
    for job in reversed(jobs):
        at = f"{job.stage} {job.done}/{job.total}" if job.stage else ""
        line(f"  job {job.id} {job.state}  {at}  {job.command or job.kind}")
    if not jobs:
        line("  no job waits")


@engine_command.command("logs", cls=StoreCommand)
@click.option("-n", "--lines", type=click.IntRange(1), default=40, show_default=True, help="From the end.")
@pass_session
def logs_command(session: Session, lines: int) -> None:
    """Print what the engine wrote down: starts, and errors in kedit itself."""
    from kedit_lifecycle.engine.place import log_path

    path = log_path(session.store)
    with contextlib.suppress(FileNotFoundError):
        for one in path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]:
            line(one)
    narrate(f"({path})")


@engine_command.command("run", cls=StoreCommand)
@LISTEN
@LOAD
@THREADS
@DEVICE
@pass_session
def run_command(session: Session, listen: str | None, load: bool, threads: int, device: str) -> None:
    """Be the engine, in the foreground, until a signal; for a service manager."""
    from kedit_lifecycle.cli.relay import run_here
    from kedit_lifecycle.engine.process import EngineOptions, serve

    quiet_libraries()
    options = EngineOptions(device, session.readonly, load, listen, threads)
    serve(session.store.resolve(), options, partial(run_here, device=device))
