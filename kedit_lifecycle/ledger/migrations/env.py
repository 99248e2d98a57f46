"""Alembic's entry point: migrate the connection that `schema.upgrade` hands over, in its transaction."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import kedit_lifecycle.ledger.tables  # noqa: F401  (fills the metadata)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transactional_ddl=True,  # a migration and its record commit together
)
with context.begin_transaction():
    context.run_migrations()
