"""Making a store so that an interruption leaves none, never half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kedit_lifecycle.blobs.folder import flush_folder, unwritable
from kedit_lifecycle.errors import RefusedError
from kedit_lifecycle.ledger import operations
from kedit_lifecycle.ledger.columns import FORMAT_VERSION, SCHEMA_QUERY, schema_digest
from kedit_lifecycle.ledger.connect import LEDGER_FILE, UNFINISHED_PREFIX, sweep_unfinished
from kedit_lifecycle.ledger.lock import WriterLock
from kedit_lifecycle.ledger.schema import open_engine, upgrade
from kedit_lifecycle.ledger.writer import database_errors, transaction

FOLDERS = ("blobs", "memory", "stats", "runs")
WAIT_FOR_OTHER = 10.0  # seconds; another process may be making the same store


def make_store(path: Path, meta: Mapping[str, str], *, author: str, command: str) -> None:
    """Make a store at `path`, which may exist with other files in it.

    ledger.db is built aside and renamed into place last: with it there is a store, without it none.

    Raises:
        RefusedError: there is a store already, or the blobs of one.
        StoreUnwritableError: the folder cannot be written to, or the disk is full.
        StoreLockedError: another process is making a store there and does not finish.
    """
    with unwritable(path):
        path.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(path)
    lock.acquire(timeout=WAIT_FOR_OTHER)
    try:
        refuse_existing(path)
        with unwritable(path):
            sweep_unfinished(path)  # the lock says that no other making is going on
            aside = Path(tempfile.mkdtemp(prefix=UNFINISHED_PREFIX, dir=path))
            try:
                _build_ledger(aside / LEDGER_FILE, meta, author=author, command=command)
                _put_in_place(aside, path)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    finally:
        lock.release()


def refuse_existing(path: Path) -> None:
    """Nothing, unless a store cannot be made at `path`.

    Raises:
        RefusedError: there is a store already, or the blobs of one.
    """
    if (path / LEDGER_FILE).exists():
        raise RefusedError(f"there is a store at {path} already", hint=f"kedit status --store {path}")
    if any((path / "blobs").glob("??/*")):
        raise RefusedError(
            f"{path} holds the blobs of a store whose {LEDGER_FILE} is missing",
            hint=f"put {LEDGER_FILE} back, or choose another folder",
        )


def _build_ledger(ledger: Path, meta: Mapping[str, str], *, author: str, command: str) -> None:
    whole_meta = {**meta, "format_version": FORMAT_VERSION, "store_id": str(uuid.uuid4())}
    engine = open_engine(ledger)
    try:
        with database_errors(ledger), engine.begin() as connection:
            upgrade(connection)
        with transaction(engine, ledger) as first:
            schema = schema_digest(first.session.connection().exec_driver_sql(SCHEMA_QUERY))
            operations.create(first, whole_meta, author=author, command=command, schema=schema)
        with database_errors(ledger), engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")  # a log cannot be written back inside a transaction
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        engine.dispose()


def _put_in_place(aside: Path, path: Path) -> None:
    for folder in FOLDERS:
        (path / folder).mkdir(exist_ok=True)
    descriptor = os.open(aside / LEDGER_FILE, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    flush_folder(path)
    for log in ("-wal", "-shm"):  # a log of a ledger that is gone must not be taken for the new one's
        with suppress(FileNotFoundError):
            (path / (LEDGER_FILE + log)).unlink()
    os.replace(aside / LEDGER_FILE, path / LEDGER_FILE)
    flush_folder(path)
