"""The index as a cache in a folder: read as written; made anew, saying so, if it is not this memory's."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from word_encoder import WordEncoder

from kedit_lifecycle.errors import StoreUnwritableError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry
from kedit_lifecycle.memory.index import MemoryIndex, VectorIndex, open_or_rebuild, save_index

pytestmark = pytest.mark.unit


def entries(count: int, target: str = "Ann") -> list[MemoryEntry]:
    made = [
        EditRequest(subject=f"City{i}", prompt="The mayor of {} is", target_new=target) for i in range(count)
    ]
    return [MemoryEntry(EntryId(1 + i // 10, i % 10), request) for i, request in enumerate(made)]


def small(encoder: WordEncoder) -> VectorIndex:
    return VectorIndex(encoder.dimension, large_from=60, side_limit=30)


def saved(folder: Path, count: int = 80) -> MemoryIndex:
    """An index with a large part of 60 and a side of the rest."""
    encoder = WordEncoder()
    index = MemoryIndex(encoder, small(encoder))
    index.add(entries(count)[:60])
    index.vectors.wait()
    index.add(entries(count)[60:])
    save_index(index, folder)
    return index


def assert_finds_all(index: MemoryIndex, count: int) -> None:
    assert len(index) == index.live_count == count
    texts = [one.text for one in entries(count)]
    hits = index.search(index.encoder.encode(texts), 1)
    assert [hit[0].id for hit in hits] == [one.id for one in entries(count)]


def test_what_was_saved_is_opened_without_embedding_anything(tmp_path: Path) -> None:
    saved(tmp_path)
    encoder = WordEncoder()
    opened = open_or_rebuild(tmp_path, entries(80), encoder, vectors=small(encoder))
    assert opened.notes == ()
    assert encoder.encoded == 0
    assert opened.index.vectors.tiers.base == 60
    assert_finds_all(opened.index, 80)


def test_an_empty_memory_needs_no_files(tmp_path: Path) -> None:
    opened = open_or_rebuild(tmp_path / "none", [], WordEncoder())
    assert (len(opened.index), opened.notes) == (0, ())
    assert not (tmp_path / "none").exists()


def test_entries_that_the_saved_index_lacks_are_added(tmp_path: Path) -> None:
    saved(tmp_path, 70)
    encoder = WordEncoder()
    opened = open_or_rebuild(tmp_path, entries(80), encoder, vectors=small(encoder))
    assert opened.notes == ("10 entries were added to the memory's index",)
    assert encoder.encoded == 10
    assert_finds_all(opened.index, 80)
    assert open_or_rebuild(tmp_path, entries(80), WordEncoder()).notes == ()


def part(folder: Path, name: str) -> Path:
    (path,) = folder.glob(f"{name}*")
    return path


@pytest.mark.parametrize("name", ["large", "side", "rows", "index.json"])
@pytest.mark.parametrize("harm", ["deleted", "flipped", "cut", "empty"])
def test_a_harmed_file_is_noticed_and_the_index_made_anew(tmp_path: Path, name: str, harm: str) -> None:
    saved(tmp_path)
    path = part(tmp_path, name)
    content = bytearray(path.read_bytes())
    if harm == "deleted":
        path.unlink()
    elif harm == "flipped":
        content[len(content) // 2] ^= 0x10
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2] if harm == "cut" else b"")
    opened = open_or_rebuild(tmp_path, entries(80), WordEncoder())
    assert opened.notes[0].startswith("the memory's index was made anew from 80 entries: ")
    assert_finds_all(opened.index, 80)
    assert open_or_rebuild(tmp_path, entries(80), WordEncoder()).notes == ()


@pytest.mark.parametrize(
    ("encoder", "why"),
    [(WordEncoder(name="other"), "another encoder"), (WordEncoder(dimension=48), "64 numbers, not 48")],
)
def test_an_index_of_another_encoder_is_made_anew(tmp_path: Path, encoder: WordEncoder, why: str) -> None:
    saved(tmp_path)
    opened = open_or_rebuild(tmp_path, entries(80), encoder)
    assert why in opened.notes[0]
    assert_finds_all(opened.index, 80)


def test_an_index_of_another_memory_is_made_anew(tmp_path: Path) -> None:
    saved(tmp_path)
    fewer = open_or_rebuild(tmp_path, entries(70), WordEncoder(), save=False)
    assert "holds 10 entries that are not this memory's" in fewer.notes[0]
    other = open_or_rebuild(tmp_path, entries(80, target="Bob"), WordEncoder(), save=False)
    assert "another request as 1.0" in other.notes[0]
    (tmp_path / "index.json").write_text(json.dumps({"format": "theirs/9"}))
    assert "another format" in open_or_rebuild(tmp_path, entries(80), WordEncoder()).notes[0]


def test_the_large_file_is_only_written_when_it_changed_and_old_files_go(tmp_path: Path) -> None:
    index = saved(tmp_path)
    large, side = part(tmp_path, "large"), part(tmp_path, "side")
    index.add([MemoryEntry(EntryId(99, 0), entries(1)[0].request)])
    save_index(index, tmp_path)
    assert part(tmp_path, "large") == large
    assert part(tmp_path, "side") != side
    assert not side.exists()
    index.add([MemoryEntry(EntryId(100, i), one.request) for i, one in enumerate(entries(20))])
    index.vectors.wait()
    save_index(index, tmp_path)
    assert part(tmp_path, "large") != large
    assert sorted(path.name.split("-")[0] for path in tmp_path.iterdir()) == [
        "index.json",
        "large",
        "rows",
        "side",
    ]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    index = MemoryIndex(WordEncoder())
    with pytest.raises(StoreUnwritableError):
        save_index(index, tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="kills a forked child")
@pytest.mark.parametrize("trial", range(6))
def test_killed_while_saving_the_last_whole_index_is_there(tmp_path: Path, trial: int) -> None:
    """A child saves again and again; after kill -9 the files open, or are made anew, as these entries."""
    index = saved(tmp_path)
    child = os.fork()
    if child == 0:
        try:
            while True:
                save_index(index, tmp_path)
        finally:
            os._exit(1)
    time.sleep(random.Random(trial).uniform(0.01, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    opened = open_or_rebuild(tmp_path, entries(80), WordEncoder())
    assert opened.notes == ()
    assert_finds_all(opened.index, 80)


def test_nothing_in_the_folder_is_a_pickle(tmp_path: Path) -> None:
    saved(tmp_path)
    assert all(
        path.read_bytes()[:2] not in {b"\x80\x04", b"\x80\x05", b"\x93N"} for path in tmp_path.iterdir()
    )
    rows = np.frombuffer(
        part(tmp_path, "rows").read_bytes(), dtype=[("key", "<i8"), ("mark", "<u8"), ("live", "?")]
    )
    assert rows["key"].tolist() == [one.id.key for one in entries(80)]
