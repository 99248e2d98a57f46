"""Running the command line in this process, and small stores to run it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from small_store import META, WHO, commit_edits, make_rich_store

from kedit_lifecycle.cli.main import main
from kedit_lifecycle.ledger.store import Store


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON."""
        return json.loads(self.out)


Kedit = Callable[..., Ran]


@pytest.fixture
def kedit(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    cache_of_this_run: Path,
) -> Kedit:
    """Run `kedit` with these arguments, in an empty folder; an error in kedit itself fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEDIT_STORE", raising=False)
    monkeypatch.setenv("KEDIT_AUTHOR", "Grace")
    monkeypatch.setenv("KEDIT_CACHE", str(cache_of_this_run))

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            _run(list(map(str, arguments)))
        captured = capsys.readouterr()
        assert stop.value.code != 70, captured.err
        return Ran(int(stop.value.code or 0), captured.out, captured.err)

    return run


def _run(arguments: list[str]) -> NoReturn:
    main(arguments)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of three edits on `main`: France, Spain, Peru; HEAD at version 3; no model."""
    path = tmp_path / "small"
    with Store.create(path, META, **WHO) as made:
        commit_edits(made, ["France", "Spain", "Peru"], rich=True)
    return path


@pytest.fixture
def rich_store(tmp_path: Path) -> Path:
    """A store with rows in every table, two branches and a tag."""
    return make_rich_store(tmp_path / "rich")
