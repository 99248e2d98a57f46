"""Stores for engines, sockets in a folder of the test run's own, and an engine to share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_process import CopyStore, EngineProcess, engine_on
from tiny_workbench import QUICK, requests, tiny_workbench

from kedit_lifecycle.engine.client import EngineClient


@pytest.fixture(scope="session", autouse=True)
def _folders_of_this_run(cache_of_this_run: Path) -> Iterator[None]:
    """Sockets and caches of our own; the folder's name is short, as a socket's path must be."""
    with tempfile.TemporaryDirectory(prefix="k") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        patch.setenv("KEDIT_CACHE", str(cache_of_this_run))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a tiny model with two edits; only ever copied."""
    import torch

    torch.set_num_threads(1)
    with tiny_workbench(tmp_path_factory.mktemp("made")) as workbench:
        for request in requests(2):
            workbench.edit(request, config=QUICK["rome"], policy="observe")
        return workbench.store.path


@pytest.fixture(scope="session")
def copy_store(made: Path) -> CopyStore:
    """Copy that store to a path."""

    def copy(path: Path) -> Path:
        return Path(shutil.copytree(made, path))

    return copy


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
