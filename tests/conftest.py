"""Fixtures that any test may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cache_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of this test run: statistics of the tiny models are made once."""
    return tmp_path_factory.mktemp("kedit-cache")


@pytest.fixture
def kedit_cache(cache_of_this_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`KEDIT_CACHE` pointing to the run's own cache, never the user's."""
    monkeypatch.setenv("KEDIT_CACHE", str(cache_of_this_run))
    return cache_of_this_run
