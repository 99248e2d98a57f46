"""One writer at a time: a lock of the operating system, which a dead process cannot keep."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kedit_lifecycle.errors import StoreLockedError, StoreUnwritableError
from kedit_lifecycle.ledger.chain import utc_now

LOCK_FILE = "writer.lock"
HOLDER_FILE = "writer.json"


class WriterLock:
    """The right to write to one store. Beside the lock lies a note of who holds it, for the others' error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / LOCK_FILE, timeout=0, thread_local=False)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock.is_locked

    def acquire(self, timeout: float = 0.0) -> None:
        """Take the lock.

        Args:
            timeout: seconds to wait for another holder.

        Raises:
            StoreLockedError: naming the process that holds it.
            StoreUnwritableError: the folder is read-only.
        """
        try:
            self._lock.acquire(timeout=timeout)
        except Timeout:
            raise StoreLockedError(
                f"the store {self.folder} is being written to by {self._holder()}",
                hint="wait until it has finished, or stop that process; a lock ends with its process",
            ) from None
        except OSError as error:
            raise StoreUnwritableError(
                f"cannot lock the store {self.folder}: {error.strerror or error}",
                hint="make the folder writable; reading needs no lock",
            ) from error
        self._sign()

    def release(self) -> None:
        """Let go of the lock; nothing happens if it is not held."""
        if self.held:
            with suppress(OSError):
                (self.folder / HOLDER_FILE).unlink(missing_ok=True)
            self._lock.release(force=True)

    def _sign(self) -> None:
        note = {"pid": os.getpid(), "command": " ".join(sys.argv), "since": utc_now()}
        with suppress(OSError):  # a full disk must not keep a writer from failing where it says why
            (self.folder / HOLDER_FILE).write_text(json.dumps(note), encoding="utf-8")

    def _holder(self) -> str:
        try:
            note = json.loads((self.folder / HOLDER_FILE).read_text(encoding="utf-8"))
            return f"process {note['pid']} ({note['command']!r}) since {note['since']}"
        except (OSError, ValueError, LookupError, TypeError):
            return "another process"
