"""Opening ledger.db to read it: never a write, also where the folder is read-only."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kedit_lifecycle.errors import NoStoreError, StoreError

LEDGER_FILE = "ledger.db"
UNFINISHED_PREFIX = ".kedit-unfinished-"
BUSY_SECONDS = 10.0

_REFUSALS = {8, 10, 14}  # READONLY, IOERR, CANTOPEN: what a read-only folder makes SQLite say


@dataclass
class ReadConnection:
    """A read-only connection, and the copy it reads where the store's own folder did not allow it."""

    sqlite: sqlite3.Connection
    copy: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Close the connection and remove the copy."""
        self.sqlite.close()
        if self.copy is not None:
            self.copy.cleanup()


def require_store(path: Path) -> Path:
    """The ledger.db of the store at `path`.

    Raises:
        NoStoreError: there is none; says so when a `kedit init` was interrupted there.
    """
    ledger = path / LEDGER_FILE
    if ledger.is_file():
        return ledger
    hint = "make one with: kedit init" + ("" if str(path) == "store" else f" --store {path}")
    if path.is_dir() and any(child.name.startswith(UNFINISHED_PREFIX) for child in path.iterdir()):
        raise NoStoreError(f"making a store at {path} was interrupted; there is none yet", hint=hint)
    raise NoStoreError(f"there is no store at {path}", hint=hint)


def sweep_unfinished(path: Path) -> None:
    """Remove what interrupted makings of a store left. Only for the holder of the writer lock."""
    for left in path.glob(UNFINISHED_PREFIX + "*"):
        shutil.rmtree(left, ignore_errors=True)


def connect(path: Path) -> ReadConnection:
    """A connection that cannot write, to the store at `path`.

    Raises:
        NoStoreError: there is no store.
        StoreError: ledger.db is not an SQLite database.
    """
    ledger = require_store(path)
    try:
        return ReadConnection(_open(ledger, "mode=ro"))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _REFUSALS:
            raise StoreError(f"{ledger}: {error}", hint="kedit verify --deep") from error
    except (sqlite3.DatabaseError, UnicodeError) as error:  # SQLite's message can quote damaged bytes
        raise StoreError(f"{ledger}: {error}", hint="kedit verify --deep") from error
    return _connect_beside(ledger)


def _connect_beside(ledger: Path) -> ReadConnection:
    """Where SQLite cannot make its index of the log: read the file alone, or a copy with its log."""
    log = ledger.with_name(ledger.name + "-wal")
    try:
        if not (log.exists() and log.stat().st_size):
            return ReadConnection(_open(ledger, "mode=ro&immutable=1"))
        folder = tempfile.TemporaryDirectory(prefix="kedit-")
        for source in (ledger, log):
            shutil.copyfile(source, os.path.join(folder.name, source.name))
        return ReadConnection(_open(Path(folder.name) / ledger.name, "mode=rw"), folder)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{ledger} cannot be read: {error}") from error


def _open(ledger: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(ledger.absolute()))}?{options}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
