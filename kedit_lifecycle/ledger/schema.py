"""Bring ledger.db to this release's tables, and open it for writing."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

BUSY_TIMEOUT = 10_000  # milliseconds to wait for another connection's transaction


def open_engine(path: Path) -> Engine:
    """One connection to ledger.db for writing: WAL, synchronous=FULL, foreign keys checked.

    A transaction takes the write lock when it begins, so that what it reads is what it writes upon.
    """
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        if raw.in_transaction:
            raw.rollback()  # what an interruption left open
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            with suppress(sqlite3.Error):
                raw.rollback()
            raise

    @event.listens_for(engine, "close")
    @event.listens_for(engine, "invalidate")
    def _let_go(connection: sqlite3.Connection, *_: Any) -> None:
        # A cursor that an exception still holds keeps a closed connection, and its lock, alive.
        with suppress(sqlite3.Error):
            connection.rollback()

    return engine


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, inside the connection's open transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
