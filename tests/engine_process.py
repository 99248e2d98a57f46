"""Engines in processes of their own on tiny models, and the command line beside them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tiny_workbench import QUICK, requests

from kedit_lifecycle.engine.client import EngineClient
from kedit_lifecycle.engine.messages import FINAL_STATES, Event, Job
from kedit_lifecycle.errors import EngineGoneError

CopyStore = Callable[[Path], Path]
"""Copies the store of two edits to a path."""

PATIENCE = 120.0  # seconds; a loaded machine takes long to import torch
SLOW = QUICK["rome"] | {
    "steps": 500,
    "prefix_lengths": [[12, 1000]],
    "stop_loss": 0,
    "stop_probability": None,
    "stop_at_argmax": False,
}
"""An edit that plans for minutes, so that there is time to disturb it; cancel it."""


def fact(place: int = 0, **more: Any) -> dict[str, Any]:
    """The arguments of a quick edit of one of the tiny facts, committed whatever the checks say."""
    request = requests(place + 1)[place]
    return {
        "subject": request.subject,
        "prompt": request.prompt,
        "target": request.target_new,
        "target_true": request.target_true,
        "paraphrases": list(request.paraphrases),
        "neighborhood": list(request.neighborhood),
        "config": QUICK["rome"],
        "policy": "observe",
        **more,
    }


def environment(**more: str) -> dict[str, str]:
    """Of a child: one thread, so that equal work gives equal bits."""
    return os.environ | {"OMP_NUM_THREADS": "1", "KEDIT_AUTHOR": "Grace"} | more


@dataclass
class EngineProcess:
    """An engine that is our own child, so that a test may kill it."""

    store: Path
    process: subprocess.Popen[bytes]

    def client(self, **options: Any) -> EngineClient:
        """A client of it."""
        return EngineClient.connect(self.store, **options)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def end(self) -> int:
        """SIGTERM, and wait; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def spawn(store: Path, *options: str, **environ: str) -> EngineProcess:
    """An engine's process, which may not answer yet."""
    command = [sys.executable, "-m", "kedit_lifecycle", "engine", "run", "--store", str(store), *options]
    log = store.parent / f"{store.name[:40]}.engine-out"
    with log.open("ab") as said:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment(**environ)
        )
    return EngineProcess(store, child)


def answering(engine: EngineProcess) -> EngineProcess:
    """The engine once it answers.

    Raises:
        RuntimeError: it ended before.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            with EngineClient.connect(engine.store) as client:
                if client.info().pid == engine.process.pid:
                    return engine
        except EngineGoneError:
            if engine.process.poll() is not None:
                break
        time.sleep(0.05)
    raise RuntimeError(f"the engine of {engine.store} does not answer; exit code {engine.process.poll()}")


@contextmanager
def engine_on(store: Path, *options: str, **environ: str) -> Iterator[EngineProcess]:
    """An engine of a store that answers; it has ended afterwards."""
    engine = spawn(store, *options, **environ)
    try:
        yield answering(engine)
    finally:
        if engine.process.poll() is None:
            engine.process.kill()
        engine.process.wait(PATIENCE)


def ended(client: EngineClient, job: Job) -> Job:
    """The job once it has ended."""
    found = client.wait(job.id, PATIENCE)
    assert found.state in FINAL_STATES, found
    return found


def done(client: EngineClient, kind: str, **arguments: Any) -> Any:
    """The result of a job that must end well."""
    found = ended(client, client.submit(kind, **arguments))
    assert found.state == "done", found.error
    return found.result


def until(events: Iterator[Event], wanted: Callable[[Event], bool]) -> Event:
    """The first event that is wanted."""
    end = time.monotonic() + PATIENCE
    for event in events:
        if wanted(event):
            return event
        assert event.data.get("state") != "failed", event
        assert time.monotonic() < end, f"no such event within {PATIENCE} s; the last was {event}"
    raise AssertionError("the stream ended")


def eventually(holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What it gives once that is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)
    return found


@dataclass(frozen=True)
class Ran:
    """What a run of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON."""
        return json.loads(self.out)


def kedit(*arguments: object, cwd: Path | None = None, **environ: str) -> Ran:
    """Run the command line in a process of its own."""
    child = start_kedit(*arguments, cwd=cwd, out=subprocess.PIPE, **environ)
    out, err = child.communicate(timeout=PATIENCE)
    assert child.returncode != 70, err
    return Ran(child.returncode, out, err)


def start_kedit(
    *arguments: object, cwd: Path | None = None, out: int | IO[bytes] = subprocess.PIPE, **environ: str
) -> subprocess.Popen[str]:
    """The command line, still running."""
    paths = os.pathsep.join([str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "kedit_lifecycle", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(PYTHONPATH=paths, **environ),
    )


def edit_arguments(
    place: int = 0, config: Mapping[str, Any] = QUICK["rome"], policy: str = "observe"
) -> list[str]:
    """`kedit edit` of one of the tiny facts."""
    request = requests(place + 1)[place]
    settings = [part for name, value in config.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    given = ["edit", "--subject", request.subject, "--prompt", request.prompt, "--target", request.target_new]
    given += ["--target-true", str(request.target_true), "--paraphrase", request.paraphrases[0]]
    return [*given, "--neighborhood", request.neighborhood[0], "--policy", policy, *settings]
