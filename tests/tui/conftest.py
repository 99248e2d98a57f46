"""Stores with a story behind a server of queries, and real engines on tiny models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_process import CopyStore, EngineProcess, engine_on
from tui_server import serving
from tui_store import make_hostile, make_many, make_story


@pytest.fixture(scope="session", autouse=True)
def _folders_of_this_run(private_folders: None) -> Iterator[None]:
    """No test meets the user's own engine, keys or name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEDIT_AUTHOR", "Grace")
        patch.delenv("NO_COLOR", raising=False)
        yield


@pytest.fixture(scope="session")
def story_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of `make_story`."""
    return make_story(tmp_path_factory.mktemp("story") / "store")


@pytest.fixture(scope="session")
def story(story_store: Path) -> Iterator[str]:
    """A URL that answers queries about the story."""
    with serving(story_store) as url:
        yield url


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A URL that answers queries about hostile facts."""
    with serving(make_hostile(tmp_path_factory.mktemp("hostile") / "store")) as url:
        yield url


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A URL that answers queries about 350 versions."""
    with serving(make_many(tmp_path_factory.mktemp("many") / "store", 350)) as url:
        yield url


@pytest.fixture
def engine(copy_store: CopyStore, tmp_path: Path) -> Iterator[EngineProcess]:
    """A real engine of a store of two edits, for one test."""
    with engine_on(copy_store(tmp_path / "store")) as found:
        yield found
