"""A random bit flipped anywhere: `verify` names it, or nothing that can be read has changed."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, rmtree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_store import make_rich_store

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.ledger import columns
from kedit_lifecycle.ledger.inspection import readable
from kedit_lifecycle.ledger.verify import verify

pytestmark = pytest.mark.property

TABLES = [table.name for table in (*columns.SEALED_TABLES, columns.EVENT, columns.REF)] + ["alembic_version"]
QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def store() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="kedit-test-"))
    yield make_rich_store(folder / "store")
    rmtree(folder)


def flip(path: Path, position: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1 << bit
    path.write_bytes(content)


@settings(QUIET, max_examples=60)
@given(st.integers(0), st.integers(0), st.integers(0, 7))
def test_a_bit_of_a_blob_is_named(store: Path, which: int, position: int, bit: int) -> None:
    blobs = BlobStore(store / "blobs")
    ids = list(blobs.ids())
    blob = ids[which % len(ids)]
    path = blobs.path(blob)
    good = path.read_bytes()
    flip(path, position, bit)
    try:
        damage = [finding for finding in verify(store, "deep").findings if finding.severity == "damage"]
        assert [finding.where for finding in damage] == [f"blob {blob}"]
        assert path.name in damage[0].problem
    finally:
        path.write_bytes(good)


def contents(store: Path) -> list[object] | None:
    """Every value of every table, or None where SQLite cannot read one."""
    try:
        connection = sqlite3.connect(store / "ledger.db")
        connection.text_factory = readable
        return [connection.execute(f'SELECT * FROM "{t}" ORDER BY rowid').fetchall() for t in TABLES]
    except (sqlite3.Error, UnicodeError):  # its messages can quote bytes that are not UTF-8
        return None
    finally:
        connection.close()


@settings(QUIET, max_examples=150)
@given(st.integers(0, 1 << 40), st.integers(0, 7))
def test_a_bit_of_the_ledger_file_is_found_or_is_nobodys(store: Path, position: int, bit: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="kedit-test-"))
    try:
        copy = Path(copytree(store, folder / "store"))
        before = contents(copy)
        flip(copy / "ledger.db", position, bit)
        report = verify(copy, "deep")
        if contents(copy) != before:
            assert report.damaged
            assert report.proven == []
    finally:
        rmtree(folder)


@pytest.mark.parametrize("behind", [9, 13, 17, 30])
def test_schema_text_that_is_not_utf8_is_damage(store: Path, tmp_path: Path, behind: int) -> None:
    """SQLite's messages quote such text, and Python cannot decode them."""
    copy = Path(copytree(store, tmp_path / "store"))
    ledger = copy / "ledger.db"
    good = ledger.read_bytes()
    for statement in re.finditer(b"CREATE (UNIQUE )?(TABLE|INDEX)", good):
        flip(ledger, statement.start() + behind, 7)
        report = verify(copy, "deep")
        assert report.damaged
        assert report.proven == []
        ledger.write_bytes(good)
