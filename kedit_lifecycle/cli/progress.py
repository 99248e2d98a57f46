"""How far long work is, on stderr: a bar with rate and time left, or off a terminal a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kedit_lifecycle.cli.output import inert, narrate
from kedit_lifecycle.progress import Watcher

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

PATIENCE = 2.0  # seconds; work that ends before shows nothing
WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
"""Who hears of progress instead of the terminal: the engine, of a command line that it carries out."""
INTERVAL = 15.0  # seconds between two lines off a terminal


class ProgressDisplay:
    """A `Progress` callback and a context manager; give it to the workbench as `progress`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._began = 0.0
        self._done_before = 0  # what the stage began with, done by an earlier run
        self._told = 0.0
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressDisplay:
        self._began = self._told = self._clock()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop_bar()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note of a step; `total` 0 means that nobody knows."""
        watcher = WATCHER.get()
        if watcher is not None:
            watcher(stage, done, total)
            return
        if stage != self._stage:
            self._next_stage(stage, done)
        elapsed = self._clock() - self._began
        if elapsed < PATIENCE:
            return
        if sys.stderr.isatty():
            self._draw(stage, done, total)
        elif self._clock() - self._told >= INTERVAL:
            self._told = self._clock()
            narrate(f"{stage}: {standing(done, total, self._rate(done))}")

    def hear(self, kind: str, found: dict[str, Any]) -> None:
        """What was found on the way is for the engine's watcher, where there is one."""
        watcher = WATCHER.get()
        if watcher is not None:
            watcher.hear(kind, found)

    def hide(self) -> None:
        """Take the bar away until the next step, so that something can be printed."""
        self._stop_bar()

    def say(self, text: str) -> None:
        """A line of narration that does not break the bar."""
        if self._bar is not None:
            self._bar.console.print(inert(text), markup=False, highlight=False, soft_wrap=True)
        else:
            narrate(text)

    def _next_stage(self, stage: str, done: int) -> None:
        self._stop_bar()
        self._stage = stage
        self._done_before = done
        self._began = self._clock()

    def _draw(self, stage: str, done: int, total: int) -> None:
        if self._bar is None:
            self._start_bar(stage)
        assert self._bar is not None
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total or None, rate=rate_text(self._rate(done)))

    def _rate(self, done: int) -> float:
        """Steps per second in this stage."""
        return (done - self._done_before) / max(self._clock() - self._began, 1e-9)

    def _start_bar(self, stage: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.text import Text

        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(str(Text(inert(stage))), total=None, rate="")
        self._bar.start()

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None


def standing(done: int, total: int, rate: float) -> str:
    """`3 of 10, 1.5 per second, 5 s left`."""
    parts = [f"{done} of {total}" if total else str(done), rate_text(rate)]
    if rate > 0 and total:
        parts.append(f"{duration((total - done) / rate)} left")
    return ", ".join(part for part in parts if part)


def rate_text(rate: float) -> str:
    """A rate in the unit that makes it readable; nothing where nothing is done yet."""
    if rate <= 0:
        return ""
    return f"{rate:.1f} per second" if rate >= 1 else f"{rate * 60:.1f} per minute"


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
