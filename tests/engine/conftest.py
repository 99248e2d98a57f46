"""Stores for engines, sockets in a folder of the test run's own, and an engine to share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_process import CopyStore, EngineProcess, engine_on

from kedit_lifecycle.engine.client import EngineClient


@pytest.fixture(scope="session", autouse=True)
def _folders_of_this_run(private_folders: None) -> None:
    """No test meets the user's own engine; ctrl-c reaches children also where a background run ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def store(copy_store: CopyStore, tmp_path: Path) -> Path:
    """A copy of the store of two edits, for one test."""
    return copy_store(tmp_path / "store")


@pytest.fixture(scope="module")
def shared(copy_store: CopyStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine that the tests of a module share; leave nothing running in it."""
    with engine_on(copy_store(tmp_path_factory.mktemp("shared") / "store")) as engine:
        yield engine


@pytest.fixture
def client(shared: EngineProcess) -> Iterator[EngineClient]:
    """A client of the shared engine."""
    with shared.client() as found:
        yield found
