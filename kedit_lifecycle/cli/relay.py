"""A command line carried out by the engine that holds the store, as if it ran where it was typed."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedit_lifecycle.cli.output import narrate
from kedit_lifecycle.cli.progress import WATCHER, ProgressDisplay
from kedit_lifecycle.cli.session import EngineHost, Session
from kedit_lifecycle.engine.client import EngineClient
from kedit_lifecycle.engine.messages import FINAL_STATES, Event, Job

if TYPE_CHECKING:
    from kedit_lifecycle.engine.orders import Command
    from kedit_lifecycle.engine.watcher import JobWatcher
    from kedit_lifecycle.workbench import Workbench

_OF_THIS_MACHINE = ("KEDIT_STORE", "KEDIT_CACHE", "KEDIT_AUTHOR", "KEDIT_DEVICE")
HUNG_UP = 129


class _HungUp(BaseException):
    """The terminal was closed."""


def relay(arguments: list[str], session: Session) -> int:
    """Have the engine carry a command out: print what it prints, and give its exit code.

    Ctrl-C cancels the job at a safe point; a closed terminal leaves it running.

    Raises:
        EngineGoneError: the engine died.
    """
    environ = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("KEDIT_") and name not in _OF_THIS_MACHINE
    }
    with EngineClient.connect(session.store) as client, ProgressDisplay() as display:
        after = client.info().event
        job = client.submit(
            "command",
            author=session.author,
            command=session.command,
            arguments=arguments,
            folder=str(Path.cwd()),
            environ=environ,
        )
        with _hang_up_is_said():
            try:
                return _followed(client, job, after, display)
            except _HungUp:
                narrate(f"job {job.id} goes on in the engine: kedit engine status")
                return HUNG_UP


def _followed(client: EngineClient, job: Job, after: int, display: ProgressDisplay) -> int:
    while True:
        try:
            for event in client.events(after):
                after = event.id
                if event.job == job.id:
                    code = _shown(event, display)
                    if code is not None:
                        return code
        except KeyboardInterrupt:
            client.cancel(job.id)


def _shown(event: Event, display: ProgressDisplay) -> int | None:
    """Show one event of our job; the exit code if it was the last."""
    if event.kind == "progress":
        display(event.data["stage"], event.data["done"], event.data["total"])
    elif event.kind == "output":
        display.hide()
        stream = sys.stdout if event.data["stream"] == "out" else sys.stderr
        stream.write(event.data["text"])
        stream.flush()
    elif event.kind == "job" and event.data["state"] in FINAL_STATES:
        result = event.data.get("result") or {}
        error = event.data.get("error") or {}
        if "code" not in result:
            narrate(f"kedit: {error.get('message', 'the job did not end well')}")
        return int(result.get("code", error.get("exit_code", 70)))
    return None


@contextlib.contextmanager
def _hang_up_is_said() -> Iterator[None]:
    def hang_up(_number: int, _frame: Any) -> None:
        raise _HungUp

    before = signal.signal(signal.SIGHUP, hang_up)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


class _Spoken(io.TextIOBase):
    """A stream whose text becomes events, line by line."""

    def __init__(self, name: str, watcher: JobWatcher) -> None:
        self._name, self._watcher, self._kept = name, watcher, ""

    def write(self, text: str) -> int:
        """Keep text until its line is whole."""
        whole, newline, self._kept = (self._kept + text).rpartition("\n")
        if newline:
            self._watcher.say(self._name, whole + newline)
        return len(text)

    def finish(self) -> None:
        """Let go of a line without an end."""
        if self._kept:
            self._watcher.say(self._name, self._kept)
            self._kept = ""


def run_here(workbench: Workbench, job: Job, order: Command, watcher: JobWatcher, *, device: str) -> int:
    """Carry a command line out in this engine; its exit code.

    It runs in the folder where it was typed, with the settings of its environment; what it prints
    becomes events.
    """
    from kedit_lifecycle.cli.main import carry_out

    host = EngineHost(workbench, job.author, device)
    session = Session(store=workbench.store.path, arguments=order.arguments, host=host)
    out, err = _Spoken("out", watcher), _Spoken("err", watcher)
    heard = WATCHER.set(watcher)
    try:
        with _as_typed(order), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            return carry_out(list(order.arguments), session, [])
    finally:
        WATCHER.reset(heard)
        out.finish()
        err.finish()


@contextlib.contextmanager
def _as_typed(order: Command) -> Iterator[None]:
    """The folder and the environment of whoever typed it; one command runs at a time."""
    before = {name: os.environ.get(name) for name in order.environ}
    os.environ.update(order.environ)
    try:
        with contextlib.chdir(order.folder):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
