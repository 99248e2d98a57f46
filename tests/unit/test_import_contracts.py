"""Who may know whom, seen from outside: import in a fresh interpreter and look at `sys.modules`."""

from __future__ import annotations

import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from small_store import make_rich_store

import kedit_lifecycle

HEAVY = ("torch", "transformers", "textual", "click")
ORM = ("sqlmodel", "sqlalchemy")
PRINT_MODULES = "\nimport json, sys; sys.stderr.write(json.dumps(sorted(sys.modules)))"


def _loaded_by(code: str, *arguments: str) -> set[str]:
    """Top-level names in `sys.modules` after `code` ran in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code + PRINT_MODULES, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


def _modules_of(room: str) -> list[str]:
    """Every module of a room, migration scripts (which alembic imports) left out."""
    folder = Path(kedit_lifecycle.__path__[0]) / room
    found = pkgutil.walk_packages([str(folder)], prefix=f"kedit_lifecycle.{room}.")
    return [module.name for module in found if ".migrations" not in module.name]


def _run_cli(*arguments: str) -> str:
    """Code that runs `kedit` with these arguments and goes on after its exit."""
    return (
        "from kedit_lifecycle.cli.main import main\n"
        f"try:\n    main({list(arguments)!r})\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code\n"
    )


@pytest.mark.parametrize("room", ["facts", "ledger", "blobs"])
def test_light_rooms_import_nothing_heavy(room: str) -> None:
    modules = _modules_of(room)
    assert modules, f"no modules found in {room}"
    loaded = _loaded_by("".join(f"import {name}\n" for name in modules))
    assert not loaded.intersection(HEAVY)


def test_the_package_itself_imports_nothing_heavy() -> None:
    loaded = _loaded_by("import kedit_lifecycle")
    assert not loaded.intersection((*HEAVY, *ORM, "pydantic", "rich"))


def test_the_ledger_reader_needs_only_the_standard_library() -> None:
    loaded = _loaded_by("import kedit_lifecycle.ledger.reader, kedit_lifecycle.ledger.verify")
    assert not loaded.intersection((*HEAVY, *ORM, "pydantic", "alembic", "rich"))


@pytest.mark.parametrize("command", [["--help"], ["edit", "--help"], ["help", "exit-codes"], ["--version"]])
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    loaded = _loaded_by(_run_cli(*command))
    assert not loaded.intersection(("torch", "transformers", "textual", *ORM, "pydantic", "alembic", "rich"))


@pytest.mark.parametrize(
    "command", [["log"], ["show"], ["diff", "1", "3"], ["status"], ["verify", "--quick"]]
)
def test_looking_at_the_ledger_loads_no_model_library_and_no_orm(command: list[str], tmp_path: Path) -> None:
    store = make_rich_store(tmp_path / "store")
    loaded = _loaded_by(_run_cli(*command, "--store", str(store)))
    assert "sqlite3" in loaded
    assert not loaded.intersection(("torch", "transformers", "textual", *ORM, "pydantic", "alembic"))


def test_nothing_in_the_package_imports_pytest() -> None:
    sources = list(Path(kedit_lifecycle.__path__[0]).rglob("*.py"))
    assert sources
    importing = re.compile(r"^\s*(import|from)\s+_?pytest\b", re.MULTILINE)
    assert not [path for path in sources if importing.search(path.read_text("utf-8"))]
