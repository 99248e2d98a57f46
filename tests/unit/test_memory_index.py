"""The two-tier index against plain NumPy: what is found, what is filtered, what a swap leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from word_encoder import WordEncoder

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry
from kedit_lifecycle.memory.index import MemoryIndex, VectorIndex
from kedit_lifecycle.memory.index import tiers as tiers_module
from kedit_lifecycle.memory.index.large import build_large

pytestmark = pytest.mark.unit

DIMENSION = 32


def clustered(count: int, seed: int = 0) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((20, DIMENSION))
    rows = centres[draw.integers(20, size=count)] + 0.5 * draw.standard_normal((count, DIMENSION))
    vectors: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def exact(vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    return np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :k]


def entries(count: int, version: int = 1) -> list[MemoryEntry]:
    made = [
        EditRequest(subject=f"City{i}", prompt="The mayor of {} is", target_new="Ann") for i in range(count)
    ]
    return [MemoryEntry(EntryId(version, i), request) for i, request in enumerate(made)]


def test_a_small_index_is_exact() -> None:
    vectors, queries = clustered(500), clustered(20, seed=1)
    index = VectorIndex(DIMENSION)
    index.add(vectors[:200])
    index.add(vectors[200:])
    scores, slots = index.search(queries, 10)
    assert (slots == exact(vectors, queries, 10)).all()
    assert scores == pytest.approx(np.take_along_axis(queries @ vectors.T, slots, 1), abs=1e-6)
    assert index.tiers.large is None


def test_a_large_index_finds_nearly_all_and_new_vectors_at_once() -> None:
    vectors, queries = clustered(3000), clustered(50, seed=1)
    index = VectorIndex(DIMENSION, large_from=2000, side_limit=500)
    index.add(vectors[:2900])
    index.wait()
    assert (index.tiers.base, index.tiers.side.ntotal) == (2900, 0)
    index.add(vectors[2900:])
    assert index.tiers.side.ntotal == 100
    _, slots = index.search(queries, 10)
    found = [
        len(set(a) & set(b))
        for a, b in zip(slots.tolist(), exact(vectors, queries, 10).tolist(), strict=True)
    ]
    assert np.mean(found) / 10 > 0.97
    _, own = index.search(vectors[2900:], 1)
    assert own[:, 0].tolist() == list(range(2900, 3000))


def test_adding_never_waits_for_the_large_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """The build is held up until vectors were added and found; they are in the side that remains."""
    begun, go, build = threading.Event(), threading.Event(), build_large

    def held(*arguments: Any) -> Any:
        begun.set()
        assert go.wait(30)
        return build(*arguments)

    monkeypatch.setattr(tiers_module, "build_large", held)
    vectors = clustered(700)
    index = VectorIndex(DIMENSION, large_from=600, side_limit=100)
    index.add(vectors[:600])
    assert begun.wait(30)
    assert index.is_building
    index.add(vectors[600:])
    assert index.tiers.large is None
    assert index.search(vectors[600:], 1)[1][:, 0].tolist() == list(range(600, 700))
    go.set()
    index.wait()
    assert (index.tiers.base, index.tiers.side.ntotal) == (600, 100)
    assert index.search(vectors, 1)[1][:, 0].tolist() == list(range(700))
    assert index.vectors() == pytest.approx(vectors, abs=1e-3)


def test_a_grown_side_joins_the_large_index_and_is_clustered_anew_when_doubled() -> None:
    vectors = clustered(1600)
    index = VectorIndex(DIMENSION, large_from=500, side_limit=100)
    index.add(vectors[:500])
    index.wait()
    index.add(vectors[500:700])
    index.wait()
    assert (index.tiers.base, index.tiers.clustered) == (700, 500)
    index.add(vectors[700:])
    index.wait()
    assert (index.tiers.base, index.tiers.clustered) == (1600, 1600)
    assert index.search(vectors, 1)[1][:, 0].tolist() == list(range(1600))


def test_a_failed_build_is_told_and_leaves_the_index_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(tiers_module, "build_large", broken)
    vectors = clustered(60)
    index = VectorIndex(DIMENSION, large_from=50)
    index.add(vectors)
    with pytest.raises(MemoryError, match="no room"):
        index.wait()
    assert index.search(vectors, 1)[1][:, 0].tolist() == list(range(60))


@pytest.mark.parametrize("large_from", [10_000, 1000])
def test_a_filter_gives_exactly_what_is_live(large_from: int) -> None:
    vectors, queries = clustered(1200), clustered(30, seed=2)
    index = VectorIndex(DIMENSION, large_from=large_from)
    index.add(vectors[:1100])
    index.wait()
    index.add(vectors[1100:])
    mask = np.random.default_rng(0).random(1200) < 0.03
    live = np.flatnonzero(mask)
    _, slots = index.search(queries, 5, mask)
    assert (slots == live[exact(vectors[live], queries, 5)]).all()
    few = np.zeros(1200, dtype=bool)
    few[[3, 1150]] = True
    scores, slots = index.search(queries[:1], 5, few)
    assert set(slots[0].tolist()) == {3, 1150, -1}
    assert np.isneginf(scores[0][2:]).all()


def test_vectors_of_another_dimension_are_refused() -> None:
    with pytest.raises(UsageError, match="32 numbers, not 7"):
        VectorIndex(DIMENSION).add(np.ones((1, 7), dtype=np.float32))


@pytest.fixture
def index() -> MemoryIndex:
    made = MemoryIndex(WordEncoder())
    made.add(entries(40))
    return made


def find(index: MemoryIndex, k: int = 3, alive: Any = None) -> list[EntryId]:
    query = index.encoder.encode(["The mayor of City7 is"])
    return [hit.id for hit in index.search(query, k, alive)[0]]


def test_removed_entries_are_found_only_for_a_version_that_holds_them(index: MemoryIndex) -> None:
    seventh = EntryId(1, 7)
    assert find(index)[0] == seventh
    index.remove([seventh, EntryId(9, 9)])
    assert seventh not in find(index, k=40)
    assert len(find(index, k=100)) == index.live_count == 39
    old = [EntryId(1, i) for i in (5, 7, 9)]
    assert find(index, 10, old)[0] == seventh
    assert set(find(index, 10, index.mask(old))) == set(old)
    assert find(index, 10, []) == []
    index.bring_back([seventh])
    assert find(index)[0] == seventh


def test_a_mask_made_before_entries_were_added_leaves_them_out(index: MemoryIndex) -> None:
    mask = index.mask(one.id for one in entries(40))
    index.add(entries(3, version=2))
    assert {one.version for one in find(index, 50, mask)} == {1}
    assert {one.version for one in find(index, 50)} == {1, 2}


@pytest.mark.parametrize(
    "again",
    [lambda: entries(1), lambda: [*entries(1, version=3), *entries(1, version=3)]],
    ids=["known", "twice"],
)
def test_an_entry_is_added_once(index: MemoryIndex, again: Callable[[], list[MemoryEntry]]) -> None:
    with pytest.raises(UsageError, match="already"):
        index.add(again())
    assert len(index) == 40
