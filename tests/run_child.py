"""A run of edits in a process of its own, to be killed; for tests and benchmarks.

As a script it carries out the `Job` that comes as JSON on its standard input: it says `ready` when
the model is loaded, and the number of each version when it is committed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.workbench import ApplySummary, EditOutcome, Workbench

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Job:
    """A sequence of edits on the store at `store`; `requests` are EditRequests as JSON values."""

    store: str
    requests: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any] = field(default_factory=dict)
    method: str = "rome"
    batch: int = 1
    threads: int = 1


def job_of(
    store: Path, requests: Sequence[EditRequest], config: Mapping[str, Any], method: str = "rome"
) -> Job:
    """The job of these requests."""
    return Job(str(store), [request.model_dump(mode="json") for request in requests], config, method)


def carry_out(
    workbench: Workbench, job: Job, on_outcome: Callable[[EditOutcome], None] | None = None
) -> ApplySummary:
    """Do the job, or what is left of it when HEAD is in the middle of it."""
    return workbench.apply(
        [EditRequest.model_validate(request) for request in job.requests],
        method=job.method,
        config=job.config,
        batch=job.batch,
        measure="none",
        resume=workbench.store.reader.head().run is not None,
        on_outcome=on_outcome,
    )


def start(job: Job) -> subprocess.Popen[str]:
    """A child process that does the job; returns when its model is loaded.

    Raises:
        RuntimeError: if it fails before; with what it said.
    """
    paths = os.pathsep.join([str(_ROOT), str(_ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": str(job.threads)},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(asdict(job)))
    child.stdin.close()
    child.stdin = None
    if child.stdout.readline().strip() != "ready":
        raise RuntimeError(child.communicate()[1])
    return child


def killed_after(child: subprocess.Popen[str], versions: int, seconds: float) -> bool:
    """Send SIGKILL so many seconds after so many versions; False if the child had ended by itself.

    Raises:
        RuntimeError: if it ended with an error; with what it said.
    """
    assert child.stdout is not None
    for _ in range(versions):
        child.stdout.readline()
    time.sleep(seconds)
    child.kill()
    _, said = child.communicate()
    if child.returncode > 0:
        raise RuntimeError(said)
    return child.returncode < 0


def _main() -> None:
    job = Job(**json.load(sys.stdin))

    def say(outcome: EditOutcome) -> None:
        assert outcome.version is not None
        print(outcome.version.number, flush=True)

    with Workbench.open(job.store) as workbench:
        workbench.checkout_model()
        print("ready", flush=True)
        carry_out(workbench, job, say)


if __name__ == "__main__":
    _main()
