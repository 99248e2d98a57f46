"""Whether this release can read a store."""

from __future__ import annotations

from typing import Any

from kedit_lifecycle.errors import StoreError, StoreVersionError
from kedit_lifecycle.ledger.columns import FORMAT_VERSION, KNOWN_REVISIONS
from kedit_lifecycle.ledger.reader import LedgerReader


def check_revision(reader: LedgerReader) -> None:
    """Refuse what a newer release wrote.

    Raises:
        StoreVersionError: the tables or the format are newer than this release.
        StoreError: the ledger does not say what it is.
    """
    revisions = [row[0] for row in reader.select("SELECT version_num FROM alembic_version")]
    formats = [row[0] for row in reader.select("SELECT value FROM store_meta WHERE key = 'format_version'")]
    if len(revisions) != 1 or len(formats) != 1:
        raise StoreError(f"{reader.path}: the ledger does not say its version", hint="kedit verify --deep")
    if is_newer(formats[0]):
        raise newer_release(reader.path, f"format {formats[0]}")
    if revisions[0] not in KNOWN_REVISIONS:
        raise newer_release(reader.path, f"revision {revisions[0]} of the ledger")


def is_newer(format_version: str) -> bool:
    """Whether the format is one that only a newer release can have written."""
    return format_version.isdecimal() and int(format_version) > int(FORMAT_VERSION)


def newer_release(path: Any, what: str) -> StoreVersionError:
    """The error about a store of a newer release."""
    return StoreVersionError(
        f"the store {path} was made by a newer release ({what}); nothing was touched",
        hint="update kedit; if this release made the store, run: kedit verify --deep",
    )
