"""The thread that holds the model and the writer lock, and carries out one job after another."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from kedit_lifecycle.engine.events import EventLog
from kedit_lifecycle.engine.jobs import COMMAND, KINDS, checked
from kedit_lifecycle.engine.messages import CommandResult, Job, JobError, JobState
from kedit_lifecycle.engine.orders import Command
from kedit_lifecycle.engine.queue import JobQueue
from kedit_lifecycle.engine.views import edit_result
from kedit_lifecycle.engine.watcher import JobWatcher
from kedit_lifecycle.errors import EditFailedError, GateError, KeditError, RefusedError
from kedit_lifecycle.workbench import Workbench

CommandRunner = Callable[[Workbench, Job, Command, JobWatcher], int]
"""Carries out a command line in the engine and gives its exit code."""

_AS_JSON = TypeAdapter[Any](Any)
_BY_CODE: dict[int, JobState] = {0: "done", 1: "refused", 130: "cancelled"}


class Worker(threading.Thread):
    """Opens the store in its own thread, since a connection to SQLite belongs to one."""

    def __init__(
        self,
        store: Path,
        queue: JobQueue,
        events: EventLog,
        run_command: CommandRunner,
        *,
        device: str = "cpu",
        readonly: bool = False,
        load: bool = False,
        threads: int = 0,
    ) -> None:
        super().__init__(name="kedit-worker", daemon=True)
        self._store, self._queue, self._events, self._run_command = store, queue, events, run_command
        self._device, self._readonly, self._load, self._threads = device, readonly, load, threads
        self._opened = threading.Event()
        self._problem: BaseException | None = None
        self.model_name = ""
        self.workbench: Workbench | None = None
        self._watcher: JobWatcher | None = None

    def open(self) -> None:
        """Start; returns once the store is open and locked.

        Raises:
            KeditError: there is no store, it is damaged, or another process writes to it.
        """
        self.start()
        self._opened.wait()
        if self._problem is not None:
            raise self._problem

    @property
    def model_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self.workbench is not None and self.workbench.is_loaded

    def run(self) -> None:
        """Open, work, close."""
        import contextlib

        import torch

        if self._threads:
            torch.set_num_threads(self._threads)
        try:
            with (
                Workbench.open(
                    self._store,
                    readonly=self._readonly,
                    device=self._device,
                    command="kedit engine",
                    progress=self._progress,
                ) as workbench,
                contextlib.nullcontext() if self._readonly else workbench.store.writing(),
            ):
                self.model_name = workbench.store.meta["model_name"]
                self.workbench = workbench
                self._opened.set()
                self._work(workbench)
        except BaseException as error:
            if self._opened.is_set():
                traceback.print_exc()
            self._problem = error
        finally:
            self._opened.set()

    def _work(self, workbench: Workbench) -> None:
        if self._load:
            workbench.checkout_model()
        while not self._queue.stopping:
            job = self._queue.take(timeout=0.5)
            if job is not None:
                self._one(workbench, job)

    def _progress(self, stage: str, done: int, total: int) -> None:
        """What the workbench makes when first needed (samples, covariance) is part of the job at work."""
        if self._watcher is not None:
            self._watcher(stage, done, total)

    def _one(self, workbench: Workbench, job: Job) -> None:
        """Carry out a job; whatever becomes of it, the next one finds the workbench as ever."""
        watcher = self._watcher = JobWatcher(job.id, self._queue, self._events)
        workbench.author, workbench.command = job.author, job.command
        workbench.notes.clear()
        try:
            state, result, error = self._carried_out(workbench, job, watcher)
        except KeyboardInterrupt:  # `Cancelled`: what it was at is taken back
            state, result = "cancelled", None
            error = JobError(message="cancelled; what was committed stays", exit_code=130)
        except GateError as refused:
            state, error = "refused", _error(refused)
            result = edit_result(workbench, refused.outcome) if refused.outcome is not None else None
        except KeditError as wrong:
            turned_down = isinstance(wrong, RefusedError) and not isinstance(wrong, EditFailedError)
            state, result, error = "refused" if turned_down else "failed", None, _error(wrong)
        except MemoryError:
            state, result = "failed", None
            error = JobError(
                message="the machine has no memory left for this", hint="a smaller batch", exit_code=5
            )
        except BaseException as unknown:
            traceback.print_exc()
            state, result = "failed", None
            error = JobError(message=f"an error in kedit itself: {unknown!r}", hint="kedit engine logs")
        self._queue.end(job.id, state, result=_AS_JSON.dump_python(result, mode="json"), error=error)

    def _carried_out(
        self, workbench: Workbench, job: Job, watcher: JobWatcher
    ) -> tuple[JobState, Any, JobError | None]:
        order = checked(job.kind, job.arguments)
        if job.kind == COMMAND:
            assert isinstance(order, Command)
            code = self._run_command(workbench, job, order, watcher)
            error = None if code == 0 else JobError(message="see what it printed", exit_code=code)
            return _BY_CODE.get(code, "failed"), CommandResult(code=code), error
        if self._readonly and KINDS[job.kind].writes:
            raise RefusedError("this engine is read-only", hint="kedit engine stop; kedit engine start")
        time.sleep(0)  # let the server's thread answer first
        return "done", KINDS[job.kind].carry_out(workbench, order, watcher), None


def _error(error: KeditError) -> JobError:
    return JobError(message=str(error), hint=error.hint, exit_code=error.exit_code)
