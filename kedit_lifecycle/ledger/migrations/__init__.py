"""Alembic's migrations of ledger.db."""
