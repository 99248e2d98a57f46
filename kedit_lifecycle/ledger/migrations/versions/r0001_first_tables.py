"""The first tables: event chain, versions and what belongs to them, measurements, checks, refs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event",
        sa.Column("seq", sa.Integer(), primary_key=True),
        *_texts("previous", "hash", "kind", "time", "author", "command", "payload", "rows_digest"),
        sa.UniqueConstraint("hash"),
    )
    op.create_table(
        "ref",
        sa.Column("name", sa.Text(), primary_key=True),
        *_texts("kind", "target"),
        _event(),
    )
    op.create_table(
        "store_meta", sa.Column("key", sa.Text(), primary_key=True), *_texts("value"), *_written()
    )
    _versions()
    _edits()
    _measurements()
    _checks()
    for table, *columns in INDEXES:
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


INDEXES = (
    ("event", "kind"),
    ("version", "parent"),
    ("version", "depth"),
    ("version", "run_id"),
    ("version", "operation"),
    ("edit_request", "subject", "relation"),
    ("metric", "version"),
    ("metric", "evaluated"),
    ("answer", "version"),
    ("answer", "evaluated"),
    ("superseded", "earlier_version"),
)


def _texts(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def _integers(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer(), nullable=nullable) for name in names]


def _event() -> sa.Column[int]:
    return sa.Column("event", sa.Integer(), sa.ForeignKey("event.seq"), nullable=False)


def _written() -> list[sa.Column[int] | sa.Column[str]]:
    return [_event(), *_texts("seal")]


def _version(name: str = "version", *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), sa.ForeignKey("version.number"), primary_key=key, nullable=False)


def _versions() -> None:
    op.create_table(
        "version",
        sa.Column("number", sa.Integer(), primary_key=True),
        *_texts("id"),
        sa.Column("parent", sa.Text(), sa.ForeignKey("version.id"), nullable=True),
        *_integers("depth"),
        *_texts("operation", "editor", "message"),
        *_integers("seed"),
        *_texts("config", "tensors", "memory"),
        *_texts("run", "run_id", nullable=True),
        *_texts("diagnostics"),
        *_written(),
        sa.UniqueConstraint("id"),
    )


def _edits() -> None:
    op.create_table(
        "edit_request",
        _version(key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        *_texts("digest", "subject"),
        *_texts("relation", nullable=True),
        *_texts("prompt", "target_new"),
        *_texts("target_true", nullable=True),
        *_texts("payload"),
        *_written(),
    )
    op.create_table(
        "tensor_update",
        _version(key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        *_texts("tensor", "operation", "left"),
        *_texts("right", "keys", nullable=True),
        *_texts("before_master", "before_served", "after_master", "after_served"),
        *_integers("rank"),
        sa.Column("norm", sa.Float(), nullable=True),
        *_written(),
    )
    op.create_table(
        "checkpoint",
        _version(key=True),
        sa.Column("tensor", sa.Text(), primary_key=True),
        *_texts("blob"),
        *_written(),
    )


def _measurements() -> None:
    op.create_table(
        "metric",
        sa.Column("number", sa.Integer(), primary_key=True),
        _version(),
        *_integers("request", nullable=True),
        _version("evaluated"),
        *_texts("metric", "protocol", "scorer"),
        sa.Column("value", sa.Float(), nullable=True),
        *_integers("count"),
        *_written(),
    )
    op.create_table(
        "answer",
        sa.Column("number", sa.Integer(), primary_key=True),
        _version(),
        *_integers("request"),
        _version("evaluated"),
        *_texts("prompt", "completion"),
        sa.Column("target_probability", sa.Float(), nullable=True),
        *_written(),
    )


def _checks() -> None:
    op.create_table(
        "check_result",
        _version(key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        *_texts("check_id", "verdict", "message"),
        *(sa.Column(name, sa.Float(), nullable=True) for name in ("value", "warn", "fail")),
        *_texts("detail"),
        *_written(),
    )
    op.create_table(
        "superseded",
        _version(key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        _version("earlier_version", key=True),
        sa.Column("earlier_position", sa.Integer(), primary_key=True),
        *_written(),
    )
