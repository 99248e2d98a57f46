"""The tables of ledger.db as SQLModel classes; `columns.py` says the same without an ORM.

Columns of JSON are TEXT holding RFC 8785 JSON. In REAL columns NULL stands for NaN.
"""

from __future__ import annotations

from typing import ClassVar

from sqlmodel import Field, Index, SQLModel


class _Sealed(SQLModel):
    """What every row that never changes carries: the event that wrote it, and its own checksum."""

    event: int = Field(foreign_key="event.seq")
    seal: str


class Event(SQLModel, table=True):
    """One link of the audit chain."""

    __tablename__: ClassVar[str] = "event"

    seq: int = Field(primary_key=True)
    previous: str
    hash: str = Field(unique=True)
    kind: str = Field(index=True)
    time: str
    author: str
    command: str
    payload: str
    rows_digest: str


class Ref(SQLModel, table=True):
    """HEAD, a branch or a tag; the only rows that change."""

    __tablename__: ClassVar[str] = "ref"

    name: str = Field(primary_key=True)
    kind: str
    target: str
    event: int = Field(foreign_key="event.seq")


class StoreMeta(_Sealed, table=True):
    """A fact about the store, fixed when it was made."""

    __tablename__: ClassVar[str] = "store_meta"

    key: str = Field(primary_key=True)
    value: str


class Version(_Sealed, table=True):
    """An immutable point in history."""

    __tablename__: ClassVar[str] = "version"

    number: int = Field(primary_key=True)
    id: str = Field(unique=True)
    parent: str | None = Field(default=None, foreign_key="version.id", index=True)
    depth: int = Field(index=True)
    operation: str = Field(index=True)
    editor: str
    message: str
    seed: int
    config: str
    tensors: str
    memory: str
    run: str | None = None
    run_id: str | None = Field(default=None, index=True)
    diagnostics: str


class EditRequestRow(_Sealed, table=True):
    """A fact that a version changed."""

    __tablename__: ClassVar[str] = "edit_request"
    __table_args__ = (Index("ix_edit_request_subject_relation", "subject", "relation"),)

    version: int = Field(primary_key=True, foreign_key="version.number")
    position: int = Field(primary_key=True)
    digest: str
    subject: str
    relation: str | None = None
    prompt: str
    target_new: str
    target_true: str | None = None
    payload: str


class TensorUpdate(_Sealed, table=True):
    """One change to one tensor; `left`, `right` and `keys` are blobs."""

    __tablename__: ClassVar[str] = "tensor_update"

    version: int = Field(primary_key=True, foreign_key="version.number")
    position: int = Field(primary_key=True)
    tensor: str
    operation: str
    left: str
    right: str | None = None
    keys: str | None = None
    before_master: str
    before_served: str
    after_master: str
    after_served: str
    rank: int
    norm: float | None = None


class Checkpoint(_Sealed, table=True):
    """A tensor's whole fp32 master, kept so that a checkout replays few updates."""

    __tablename__: ClassVar[str] = "checkpoint"

    version: int = Field(primary_key=True, foreign_key="version.number")
    tensor: str = Field(primary_key=True)
    blob: str


class Metric(_Sealed, table=True):
    """A number: `version` made the edit that is measured, `evaluated` is where it was measured."""

    __tablename__: ClassVar[str] = "metric"

    number: int = Field(primary_key=True)
    version: int = Field(foreign_key="version.number", index=True)
    request: int | None = None
    evaluated: int = Field(foreign_key="version.number", index=True)
    metric: str
    protocol: str
    scorer: str
    value: float | None = None
    count: int


class AnswerSaid(_Sealed, table=True):
    """What the model said; `version` and `evaluated` as in `Metric`."""

    __tablename__: ClassVar[str] = "answer"

    number: int = Field(primary_key=True)
    version: int = Field(foreign_key="version.number", index=True)
    request: int
    evaluated: int = Field(foreign_key="version.number", index=True)
    prompt: str
    completion: str
    target_probability: float | None = None


class CheckResultRow(_Sealed, table=True):
    """What a check found about a version before it was committed."""

    __tablename__: ClassVar[str] = "check_result"

    version: int = Field(primary_key=True, foreign_key="version.number")
    position: int = Field(primary_key=True)
    check_id: str
    verdict: str
    message: str
    value: float | None = None
    warn: float | None = None
    fail: float | None = None
    detail: str


class Superseded(_Sealed, table=True):
    """An earlier edit that a version's request took the place of."""

    __tablename__: ClassVar[str] = "superseded"

    version: int = Field(primary_key=True, foreign_key="version.number")
    position: int = Field(primary_key=True)
    earlier_version: int = Field(primary_key=True, foreign_key="version.number", index=True)
    earlier_position: int = Field(primary_key=True)


TABLES: dict[str, type[SQLModel]] = {
    table.__tablename__: table
    for table in (
        Event,
        Ref,
        StoreMeta,
        Version,
        EditRequestRow,
        TensorUpdate,
        Checkpoint,
        Metric,
        AnswerSaid,
        CheckResultRow,
        Superseded,
    )
}
"""Every table, by its name in ledger.db."""
