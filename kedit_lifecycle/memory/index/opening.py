"""`open_or_rebuild`: the saved index if it is this memory's, caught up or made anew where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kedit_lifecycle.memory.entry import MemoryEntry
from kedit_lifecycle.memory.index.memory_index import MemoryIndex, rows_of
from kedit_lifecycle.memory.index.saved import IndexUnusableError, read_index, save_index
from kedit_lifecycle.memory.index.tiers import VectorIndex
from kedit_lifecycle.memory.vectors_of_texts import TextEncoder

EMBEDDED_AT_ONCE = 4096  # entries

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class OpenedIndex:
    """The index, and what had to be done to it (empty where nothing had)."""

    index: MemoryIndex
    notes: tuple[str, ...] = ()


def open_or_rebuild(
    folder: Path,
    entries: Sequence[MemoryEntry],
    encoder: TextEncoder,
    *,
    vectors: VectorIndex | None = None,
    save: bool = True,
    progress: Progress = lambda stage, done, total: None,
) -> OpenedIndex:
    """The index of exactly these entries, those of all versions, every one of them live.

    A saved index is used if it is of this encoder, sound, and holds these entries' requests under these
    ids; entries it lacks are added. Else it is made anew. Either is said in a note, and saved.

    Raises:
        StoreUnwritableError: with `save`, a folder that cannot be written.
    """
    if not entries and not folder.exists():
        return OpenedIndex(MemoryIndex(encoder, vectors))
    fresh = VectorIndex(encoder.dimension) if vectors is None else vectors
    try:
        index = read_index(folder, encoder, fresh)
        lacking = _lacking(index, entries)
    except IndexUnusableError as why:
        index, lacking = MemoryIndex(encoder, _empty(fresh)), list(entries)
        notes = [f"the memory's index was made anew from {len(entries)} entries: {why}"]
    else:
        notes = [f"{len(lacking)} entries were added to the memory's index"] if lacking else []
        index.bring_back(entry.id for entry in entries)
    for begin in range(0, len(lacking), EMBEDDED_AT_ONCE):
        progress("embedding the memory", begin, len(lacking))
        index.add(lacking[begin : begin + EMBEDDED_AT_ONCE])
    if notes and save:
        save_index(index, folder)
    return OpenedIndex(index, tuple(notes))


def _lacking(index: MemoryIndex, entries: Sequence[MemoryEntry]) -> list[MemoryEntry]:
    """Entries that the index does not hold.

    Raises:
        IndexUnusableError: it holds others, or other requests under these ids.
    """
    marks = dict(zip(index.rows["key"].tolist(), index.rows["mark"].tolist(), strict=True))
    wanted = rows_of(entries)
    lacking = []
    for entry, key, mark in zip(entries, wanted["key"].tolist(), wanted["mark"].tolist(), strict=True):
        if key not in marks:
            lacking.append(entry)
        elif marks.pop(key) != mark:
            raise IndexUnusableError(f"it holds another request as {entry.id.version}.{entry.id.position}")
    if marks:
        raise IndexUnusableError(f"it holds {len(marks)} entries that are not this memory's")
    return lacking


def _empty(like: VectorIndex) -> VectorIndex:
    return VectorIndex(like.dimension, large_from=like.large_from, side_limit=like.side_limit, seed=like.seed)
