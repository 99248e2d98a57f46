"""`verify` names every flipped value of every table and every damaged file, and never trips over one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_store import WHO, commit_edits, make_rich_store

from kedit_lifecycle.errors import NoStoreError, StoreVersionError
from kedit_lifecycle.ledger import columns
from kedit_lifecycle.ledger.records import Finding
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.verify import VerifyReport, verify

pytestmark = pytest.mark.unit

ALEMBIC = columns.Table("alembic_version", (columns.Column("version_num", "TEXT"),), ())
EVERY_TABLE = (*columns.SEALED_TABLES, columns.EVENT, columns.REF, ALEMBIC)
EVERY_COLUMN = [(table, column) for table in EVERY_TABLE for column in table.columns]


@pytest.fixture(scope="module")
def rich_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_rich_store(tmp_path_factory.mktemp("rich") / "store")


@pytest.fixture
def store(rich_store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rich_store, tmp_path / "store"))


def damage(report: VerifyReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.severity == "damage"]


def change(store: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(store / "ledger.db")
    connection.execute("PRAGMA ignore_check_constraints=ON")
    assert connection.execute(statement, values).rowcount >= 1
    connection.commit()
    connection.close()


def flip_text(text: str) -> bytes:
    raw = text.encode()
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :] if raw else b"x"


def break_text(text: str) -> bytes:
    raw = text.encode()
    return raw[: len(raw) // 2] + b"\xff" + raw[len(raw) // 2 + 1 :]


def flipped(value: Any) -> Any:
    """The value with one bit of its content changed, as SQLite would then read it."""
    if value is None:
        return 1
    if isinstance(value, str):
        return flip_text(value).decode()
    return value + 1024 if isinstance(value, int) else value * 2 + 0.5


def update(store: Path, table: columns.Table, column: str, expression: str, *values: Any) -> str:
    """Change a column of one row, that of the highest rowid; returns the row's name before."""
    connection = sqlite3.connect(store / "ledger.db")
    key = ", ".join(f'"{name}"' for name in table.key) or "1"
    row = connection.execute(
        f'SELECT rowid, {key} FROM "{table.name}" ORDER BY rowid DESC LIMIT 1'
    ).fetchone()
    connection.execute(
        f'UPDATE "{table.name}" SET "{column}" = {expression} WHERE rowid = ?', (*values, row[0])
    )
    connection.commit()
    connection.close()
    return f"{table.name} " + "/".join(map(str, row[1:])) if table.key else table.name


def value_of(store: Path, table: columns.Table, column: str) -> Any:
    connection = sqlite3.connect(store / "ledger.db")
    (value,) = connection.execute(
        f'SELECT "{column}" FROM "{table.name}" ORDER BY rowid DESC LIMIT 1'
    ).fetchone()
    connection.close()
    return value


@pytest.mark.parametrize("level", ["quick", "normal", "deep"])
def test_a_clean_store_has_no_findings(store: Path, level: Any) -> None:
    stages: set[str] = set()
    report = verify(store, level, progress=lambda stage, done, total: stages.add(stage))
    assert report.findings == []
    assert not report.damaged
    assert report.proven
    assert any("cut short" in claim for claim in report.not_proven)
    assert {"chain", "pages", "versions"} <= stages
    with Store.open(store) as opened:
        assert report.head_hash == opened.reader.events(1)[0].hash
        assert report.counts["events"] == opened.reader.counts()["event"]


def test_the_rich_store_has_rows_in_every_table(store: Path) -> None:
    with Store.open(store) as opened:
        assert all(count >= 2 for count in opened.reader.counts().values())


@pytest.mark.parametrize(("table", "column"), EVERY_COLUMN, ids=lambda part: part.name)
def test_a_changed_value_in_any_column_is_named(
    store: Path, table: columns.Table, column: columns.Column
) -> None:
    before = value_of(store, table, column.name)
    name = update(store, table, column.name, "?", flipped(before))
    if column.name in table.key:  # the row goes by its new key now
        name = table.name
    report = verify(store, "deep")
    assert any(finding.where.startswith(name) for finding in damage(report)), report.findings
    assert report.proven == []


@pytest.mark.parametrize(("table", "column"), EVERY_COLUMN, ids=lambda part: part.name)
def test_text_that_is_not_utf8_is_named(store: Path, table: columns.Table, column: columns.Column) -> None:
    before = value_of(store, table, column.name)
    if column.kind != "TEXT" or not before:
        return
    name = update(store, table, column.name, "CAST(? AS TEXT)", break_text(before))
    if column.name in table.key:
        name = table.name
    for level in ("normal", "deep"):
        report = verify(store, level)
        assert any(finding.where.startswith(name) for finding in damage(report)), report.findings


@pytest.mark.parametrize(("table", "column"), EVERY_COLUMN, ids=lambda part: part.name)
@pytest.mark.parametrize("value", [b"\x00\xff", "text", -1, 2**62], ids=["blob", "text", "negative", "huge"])
def test_a_value_of_another_type_is_named(
    store: Path, table: columns.Table, column: columns.Column, value: Any
) -> None:
    try:
        name = update(store, table, column.name, "?", value)
    except sqlite3.IntegrityError:  # SQLite itself keeps other types out of a rowid
        return
    name = table.name if column.name in table.key else name
    report = verify(store, "deep")
    assert any(finding.where.startswith(name) for finding in damage(report)), report.findings


@pytest.mark.parametrize("table", EVERY_TABLE, ids=lambda table: table.name)
def test_a_missing_row_is_found(store: Path, table: columns.Table) -> None:
    change(store, f'DELETE FROM "{table.name}" WHERE rowid = (SELECT min(rowid) FROM "{table.name}")')
    assert damage(verify(store, "normal"))


@pytest.mark.parametrize("table", columns.SEALED_TABLES, ids=lambda table: table.name)
def test_an_added_row_is_found(store: Path, table: columns.Table) -> None:
    names = ", ".join(f'"{name}"' for name in table.names)
    key = table.key[-1]
    fresh = ", ".join(
        "77" if name == key else f"'{name}7'" if name == "id" else f'"{name}"' for name in table.names
    )
    change(store, f'INSERT INTO "{table.name}" ({names}) SELECT {fresh} FROM "{table.name}" LIMIT 1')
    assert any(finding.where.startswith(table.name) for finding in damage(verify(store, "normal")))


def test_a_row_changed_together_with_its_seal_is_found(store: Path) -> None:
    from kedit_lifecycle.ledger.canonical import row_seal

    connection = sqlite3.connect(store / "ledger.db")
    names = ", ".join(f'"{name}"' for name in columns.METRIC.names)
    cells = list(connection.execute(f"SELECT {names} FROM metric WHERE number = 0").fetchone())
    connection.close()
    cells[7] = 0.0
    change(store, "UPDATE metric SET value = 0.0, seal = ? WHERE number = 0", row_seal("metric", cells[:-1]))
    findings = damage(verify(store, "normal"))
    assert [finding.where for finding in findings] == [f"event {cells[-2]}"]
    assert "metric" in findings[0].problem


def test_sign_of_zero_and_infinity_are_told_apart(store: Path) -> None:
    for value in (0.0, float("inf"), float("-inf"), None):
        change(store, "UPDATE metric SET value = ? WHERE number = 1", value)
        assert any(finding.where == "metric 1" for finding in damage(verify(store)))


def test_swapped_rows_are_found(store: Path) -> None:
    change(store, "UPDATE answer SET number = -number - 1")
    change(store, "UPDATE answer SET number = number + 3")
    assert damage(verify(store, "normal"))


def test_an_event_rewritten_with_its_own_hash_breaks_the_link(store: Path) -> None:
    from kedit_lifecycle.ledger.canonical import event_hash

    connection = sqlite3.connect(store / "ledger.db")
    connection.row_factory = sqlite3.Row
    event = dict(connection.execute("SELECT * FROM event WHERE seq = 3").fetchone())
    connection.close()
    event["author"] = "Mallory"
    event.pop("hash")
    change(store, "UPDATE event SET author = 'Mallory', hash = ? WHERE seq = 3", event_hash(**event))
    for level in ("quick", "normal"):
        assert [finding.where for finding in damage(verify(store, level))] == ["event 4"]


def test_a_ref_moved_by_hand_is_found_by_quick(store: Path) -> None:
    connection = sqlite3.connect(store / "ledger.db")
    (elsewhere,) = connection.execute("SELECT id FROM version WHERE number = 0").fetchone()
    connection.close()
    change(store, "UPDATE ref SET target = ? WHERE name = 'main'", elsewhere)
    (finding,) = damage(verify(store, "quick"))
    assert finding.where == "ref main"


def test_a_dropped_index_is_found(store: Path) -> None:
    connection = sqlite3.connect(store / "ledger.db")
    connection.execute("DROP INDEX ix_version_parent")
    connection.commit()
    connection.close()
    assert [finding.where for finding in damage(verify(store))] == ["sqlite_master"]


def test_a_chain_cut_short_needs_an_anchor(store: Path) -> None:
    with Store.open(store) as opened:
        noted = opened.record("noted", {}, **WHO).hash
    assert verify(store, "normal", noted).findings == []
    assert any("anchor" in claim for claim in verify(store, "normal", noted.upper()).proven)
    change(store, "DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)")
    assert verify(store, "deep").findings == []
    (finding,) = damage(verify(store, "quick", noted))
    assert "cut short" in finding.problem


def test_a_missing_blob_is_named_with_its_row(store: Path) -> None:
    with Store.open(store) as opened:
        (blob,) = opened.reader.checkpoint(2).values()
        opened.blobs.path(blob).unlink()
    assert verify(store, "quick").findings == []
    (finding,) = damage(verify(store, "normal"))
    assert finding.where == f"blob {blob}"
    assert "checkpoint 2/mlp.weight" in finding.problem


def test_a_damaged_blob_is_named_by_deep(store: Path) -> None:
    with Store.open(store) as opened:
        blob = opened.reader.updates(1)[0].left
        path = opened.blobs.path(blob)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert damage(verify(store, "normal")) == []
    (finding,) = damage(verify(store, "deep"))
    assert finding.where == f"blob {blob}"
    assert str(path) in finding.problem


def test_what_nothing_names_is_a_note(store: Path) -> None:
    from small_store import tensor

    with Store.open(store) as opened:
        orphan = opened.blobs.put(tensor(42))
        used = opened.blobs.put(tensor(43))
        opened.record("stats", {"blobs": [used]}, **WHO)
    (store / "blobs" / "stray").write_bytes(b"")
    report = verify(store, "deep")
    assert {(f.severity, f.where) for f in report.findings} == {
        ("note", f"blob {orphan}"),
        ("note", "blobs/stray"),
    }
    assert not report.damaged
    assert report.proven


def test_a_newer_release_is_not_damage(store: Path) -> None:
    from kedit_lifecycle.ledger.schema import open_engine
    from kedit_lifecycle.ledger.writer import transaction

    engine = open_engine(store / "ledger.db")
    with transaction(engine, store) as newer:
        newer.append("migrate", {"revision": "0002", "schema": "?"}, **WHO)
        newer.session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0002'")
    engine.dispose()
    with pytest.raises(StoreVersionError, match="newer release"):
        verify(store, "quick")


def test_no_store_and_no_database(tmp_path: Path, store: Path) -> None:
    with pytest.raises(NoStoreError):
        verify(tmp_path / "nowhere")
    (store / "ledger.db").write_bytes(b"not a database" * 100)
    (finding,) = verify(store).findings
    assert finding.where == "ledger.db"


@pytest.mark.parametrize("level", ["quick", "normal"])
def test_verify_while_a_writer_writes(store: Path, level: Any) -> None:
    with Store.open(store) as opened:
        labels = iter(["Mali", "Oman", "Togo", "Cuba", "Fiji", "Iran", "Laos", "Iraq"])
        assert verify(store, level, progress=lambda *_: commit_next(opened, labels)).findings == []
        assert next(labels, None) != "Mali"


def commit_next(store: Store, labels: Iterator[str]) -> None:
    for label in labels:
        commit_edits(store, [label])
        return
