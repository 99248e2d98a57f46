"""Migration, SQLModel classes and plain column lists say the same; a migration commits as a whole."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from small_store import META, WHO
from sqlalchemy import event as listen
from sqlmodel import SQLModel

import kedit_lifecycle.ledger
from kedit_lifecycle.ledger import columns
from kedit_lifecycle.ledger.schema import open_engine, upgrade
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.tables import TABLES

pytestmark = pytest.mark.unit

ALL_TABLES = (*columns.SEALED_TABLES, columns.EVENT, columns.REF)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    Store.create(tmp_path / "store", META, **WHO).close()
    return tmp_path / "store" / "ledger.db"


def test_the_migrated_tables_are_the_models(ledger: Path) -> None:
    engine = open_engine(ledger)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)
def test_the_column_lists_are_the_tables(ledger: Path, table: columns.Table) -> None:
    connection = sqlite3.connect(ledger)
    rows = connection.execute(f'PRAGMA table_info("{table.name}")').fetchall()
    connection.close()
    kinds = {"TEXT": "TEXT", "INTEGER": "INTEGER", "FLOAT": "REAL", "REAL": "REAL"}
    assert {row[1]: (kinds[row[2]], not row[3]) for row in rows} == {
        column.name: (column.kind, column.nullable) for column in table.columns
    }
    keys = sorted((row for row in rows if row[5]), key=lambda row: row[5])
    assert tuple(row[1] for row in keys) == table.key
    assert set(TABLES[table.name].model_fields) == set(table.names)


def test_the_newest_revision_is_the_known_one() -> None:
    config = Config()
    folder = Path(str(kedit_lifecycle.ledger.__file__)).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == columns.REVISION == columns.KNOWN_REVISIONS[-1]
    assert [r.revision for r in script.walk_revisions()][::-1] == list(columns.KNOWN_REVISIONS)


def test_a_migration_and_its_record_commit_together(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "ledger.db")

    @listen.listens_for(engine, "before_cursor_execute")
    def _fail(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "CREATE INDEX" in statement:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    left = sqlite3.connect(tmp_path / "ledger.db").execute("SELECT name FROM sqlite_master").fetchall()
    assert left == []


def test_the_connection_is_durable_and_checked(ledger: Path) -> None:
    engine = open_engine(ledger)
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


@pytest.mark.parametrize("module", ["reader", "verify", "records", "names", "store"])
def test_reading_loads_no_orm(module: str) -> None:
    code = (
        f"import sys, kedit_lifecycle.ledger.{module}\n"
        "heavy = {'sqlmodel', 'sqlalchemy', 'pydantic', 'alembic', 'torch', 'transformers', 'click'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
