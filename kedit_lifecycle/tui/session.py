"""What the screens share: the engine's client, the cursor, filters, the running job, the command log."""

from __future__ import annotations

import getpass
import os
import shlex
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kedit_lifecycle.errors import EngineGoneError, KeditError, RefusedError
from kedit_lifecycle.tui.job_watch import JobLine, JobWatch

if TYPE_CHECKING:
    from kedit_lifecycle.engine.client import AsyncEngineClient
    from kedit_lifecycle.engine.messages import EngineInfo, Job, Overview

Severity = Literal["information", "warning", "error"]
LinkState = Literal["connecting", "starting", "on", "gone"]
"""`connecting`: not asked yet; `starting`: a process was started; `on`: it answers; `gone`: it does not."""

DEFAULT_STORE = "store"
_COMMANDS_KEPT = 500


@dataclass
class Session:
    """One person at one engine.

    Attributes:
        where: the store's folder, or the engine's URL.
        only_look: the person asked for actions that write to be off.
        cursor: the number of the version that the person looks at, on whichever screen; None before the
            first answer.
        attempt: the event of the attempt that the cursor is on, None on a version.
        marked: the version that others are compared with.
        filters: by a screen's name, the words to show only.
        nothing_filters: why the screen that is seen has no filter; None if it has one.
        commands: what was done, as command lines with their times, oldest first.
        tell: shows a notice; set by the app.
        changed: called whenever the header, strip or banner have something new to show; set by the app.
    """

    where: Path | str
    token: str | None = None
    only_look: bool = False
    clock: Callable[[], datetime] = datetime.now
    link: LinkState = "connecting"
    trouble: KeditError | None = None
    info: EngineInfo | None = None
    overview: Overview | None = None
    cursor: int | None = None
    attempt: int | None = None
    marked: int | None = None
    filters: dict[str, str] = field(default_factory=dict)
    nothing_filters: str | None = None
    jobs: JobWatch = field(default_factory=JobWatch)
    commands: deque[tuple[datetime, str]] = field(default_factory=lambda: deque(maxlen=_COMMANDS_KEPT))
    tell: Callable[[str, Severity], None] = lambda text, severity: None
    changed: Callable[[], None] = lambda: None
    _client: AsyncEngineClient | None = None

    # The engine

    @property
    def job(self) -> JobLine | None:
        """The running job, or the one that ended last; None once that was long enough ago."""
        return self.jobs.job

    @property
    def client(self) -> AsyncEngineClient:
        """The client of the engine.

        Raises:
            EngineGoneError: no engine answers now.
        """
        if self._client is None:
            raise (
                self.trouble
                if isinstance(self.trouble, EngineGoneError)
                else EngineGoneError("no engine yet")
            )
        return self._client

    @property
    def connected(self) -> bool:
        """An engine answers."""
        return self.link == "on"

    @property
    def readonly(self) -> bool:
        """Nothing can be written: so it was asked for, or so the engine was started."""
        return self.only_look or (self.info is not None and self.info.readonly)

    @property
    def local(self) -> bool:
        """The engine is one of a store's folder, so that it can be started from here."""
        return isinstance(self.where, Path)

    def take(self, client: AsyncEngineClient, info: EngineInfo, overview: Overview) -> None:
        """An engine answers."""
        self._client, self.info, self.overview = client, info, overview
        self.link, self.trouble = "on", None
        if self.cursor is None:
            self.cursor = overview.head
        self.changed()

    def lose(self, error: KeditError) -> None:
        """The engine does not answer any more."""
        self._client = None
        self.jobs.clear()
        self.link, self.trouble = "gone", error
        self.changed()

    async def submit(self, kind: str, /, *, command: str = "", **arguments: Any) -> Job:
        """Put a job into the engine's queue; `command` is the line that the audit chain keeps.

        Raises:
            KeditError: the engine does not take it.
            EngineGoneError: no engine answers.
        """
        return await self.client.submit(kind, author=self.author, command=command, **arguments)

    async def run(self, kind: str, /, *, command: str = "", **arguments: Any) -> Job:
        """Put a job into the queue and wait until it has ended, well or not; see `Job.state`."""
        job = await self.submit(kind, command=command, **arguments)
        return await self.client.wait(job.id)

    async def result(self, kind: str, /, *, command: str = "", **arguments: Any) -> Any:
        """The result of a job.

        Raises:
            RefusedError: it failed, was refused or cancelled; the message says which.
        """
        job = await self.run(kind, command=command, **arguments)
        if job.state == "done":
            return job.result
        error = job.error
        raise RefusedError(
            error.message if error else f"{kind}: {job.state}", hint=error.hint if error else ""
        )

    # What is told

    @property
    def author(self) -> str:
        """Who is at work: KEDIT_AUTHOR, else the user's name."""
        try:
            return os.environ.get("KEDIT_AUTHOR") or getpass.getuser()
        except (OSError, KeyError):
            return f"uid {os.getuid()}"

    def cli(self, *arguments: object) -> str:
        """A command line of this program for the store that is shown here."""
        store = ("--store", str(self.where)) if self.local and str(self.where) != DEFAULT_STORE else ()
        return shlex.join(["kedit", *map(str, arguments), *store])

    def log(self, command: str) -> None:
        """Note a command line that does what was just done here."""
        self.commands.append((self.clock(), command))
        self.changed()

    def notify(self, text: str, severity: Severity = "information") -> None:
        """Show a notice."""
        self.tell(text, severity)

    def error(self, error: KeditError) -> None:
        """Show an error with the next thing to try."""
        self.tell(f"{error}\n{error.hint}" if error.hint else str(error), "error")

    # Reasons that actions give

    def nothing_runs(self) -> str | None:
        """Why nothing can be cancelled."""
        return None if self.job and not self.job.ended else "no job runs"

    def engine_is_there(self) -> str | None:
        """Why the engine need not, or cannot, be started."""
        if self.link == "gone" and not self.local:
            return f"the engine at {self.where} can only be started on its own machine: kedit engine start"
        return None if self.link == "gone" else "the engine is there"

    def start_command(self) -> str:
        """How the engine is started on the command line."""
        return self.cli("engine", "start")
