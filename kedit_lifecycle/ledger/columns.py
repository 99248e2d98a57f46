"""The tables of ledger.db as plain names, for the readers that do without an ORM."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

FORMAT_VERSION = "1"
"""`format_version` of the stores this release writes; see store/README.md."""

REVISION = "0001"
"""The newest alembic revision of ledger.db that this release knows."""

KNOWN_REVISIONS = ("0001",)

Kind = Literal["TEXT", "INTEGER", "REAL"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, the type of value it holds, and whether NULL is one."""

    name: str
    kind: Kind
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns in order, and which of them name a row."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)


def _text(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "TEXT") for name in names)


def _integer(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "INTEGER") for name in names)


_WRITTEN = (*_integer("event"), *_text("seal"))

EVENT = Table(
    "event",
    (
        *_integer("seq"),
        *_text("previous", "hash", "kind", "time", "author", "command", "payload", "rows_digest"),
    ),
    ("seq",),
)

REF = Table("ref", (*_text("name", "kind", "target"), *_integer("event")), ("name",))

STORE_META = Table("store_meta", (*_text("key", "value"), *_WRITTEN), ("key",))

VERSION = Table(
    "version",
    (
        *_integer("number"),
        *_text("id"),
        Column("parent", "TEXT", nullable=True),
        *_integer("depth"),
        *_text("operation", "editor", "message"),
        *_integer("seed"),
        *_text("config", "tensors", "memory"),
        Column("run", "TEXT", nullable=True),
        Column("run_id", "TEXT", nullable=True),
        *_text("diagnostics"),
        *_WRITTEN,
    ),
    ("number",),
)

EDIT_REQUEST = Table(
    "edit_request",
    (
        *_integer("version", "position"),
        *_text("digest", "subject"),
        Column("relation", "TEXT", nullable=True),
        *_text("prompt", "target_new"),
        Column("target_true", "TEXT", nullable=True),
        *_text("payload"),
        *_WRITTEN,
    ),
    ("version", "position"),
)

TENSOR_UPDATE = Table(
    "tensor_update",
    (
        *_integer("version", "position"),
        *_text("tensor", "operation", "left"),
        Column("right", "TEXT", nullable=True),
        Column("keys", "TEXT", nullable=True),
        *_text("before_master", "before_served", "after_master", "after_served"),
        *_integer("rank"),
        Column("norm", "REAL", nullable=True),
        *_WRITTEN,
    ),
    ("version", "position"),
)

CHECKPOINT = Table(
    "checkpoint", (*_integer("version"), *_text("tensor", "blob"), *_WRITTEN), ("version", "tensor")
)

METRIC = Table(
    "metric",
    (
        *_integer("number", "version"),
        Column("request", "INTEGER", nullable=True),
        *_integer("evaluated"),
        *_text("metric", "protocol", "scorer"),
        Column("value", "REAL", nullable=True),
        *_integer("count"),
        *_WRITTEN,
    ),
    ("number",),
)

ANSWER = Table(
    "answer",
    (
        *_integer("number", "version", "request", "evaluated"),
        *_text("prompt", "completion"),
        Column("target_probability", "REAL", nullable=True),
        *_WRITTEN,
    ),
    ("number",),
)

CHECK_RESULT = Table(
    "check_result",
    (
        *_integer("version", "position"),
        *_text("check_id", "verdict", "message"),
        Column("value", "REAL", nullable=True),
        Column("warn", "REAL", nullable=True),
        Column("fail", "REAL", nullable=True),
        *_text("detail"),
        *_WRITTEN,
    ),
    ("version", "position"),
)

SUPERSEDED = Table(
    "superseded",
    (*_integer("version", "position", "earlier_version", "earlier_position"), *_WRITTEN),
    ("version", "position", "earlier_version", "earlier_position"),
)

SEALED_TABLES = (
    STORE_META,
    VERSION,
    EDIT_REQUEST,
    TENSOR_UPDATE,
    CHECKPOINT,
    METRIC,
    ANSWER,
    CHECK_RESULT,
    SUPERSEDED,
)
"""The tables whose rows never change, in the order in which an event's `rows_digest` takes them."""

SCHEMA_QUERY = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
"""What `schema_digest` is taken over: the tables and indexes as they are declared."""


def schema_digest(rows: Iterable[Sequence[object]]) -> str:
    """sha256 (hex) of the rows that `SCHEMA_QUERY` gives."""
    return hashlib.sha256(json.dumps([list(map(str, row)) for row in rows]).encode("ascii")).hexdigest()
