"""Fixtures that any test may ask for."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# how long an example takes says something of the machine, not of the code
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def cache_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this test run: statistics of the tiny models are made once."""
    return tmp_path_factory.mktemp("kedit-cache")


@pytest.fixture
def kedit_cache(cache_of_this_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`KEDIT_CACHE` pointing to the run's own cache, never the user's."""
    monkeypatch.setenv("KEDIT_CACHE", str(cache_of_this_run))
    return cache_of_this_run


@pytest.fixture(scope="session")
def private_folders(cache_of_this_run: Path) -> Iterator[None]:
    """Sockets, caches and key maps of this run's own; a short name, as a socket's path must be."""
    with tempfile.TemporaryDirectory(prefix="k") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        patch.setenv("XDG_CONFIG_HOME", folder)
        patch.setenv("KEDIT_CACHE", str(cache_of_this_run))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a tiny model with two edits; only ever copied."""
    import torch
    from tiny_workbench import QUICK, requests, tiny_workbench

    torch.set_num_threads(1)
    with tiny_workbench(tmp_path_factory.mktemp("made")) as workbench:
        for request in requests(2):
            workbench.edit(request, config=QUICK["rome"], policy="observe")
        return workbench.store.path


@pytest.fixture(scope="session")
def copy_store(made: Path) -> Callable[[Path], Path]:
    """Copy that store to a path."""

    def copy(path: Path) -> Path:
        return Path(shutil.copytree(made, path))

    return copy
