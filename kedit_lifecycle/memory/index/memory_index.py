"""`MemoryIndex`: which entries are near a query; keys instead of slots, removal, and versions as filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry
from kedit_lifecycle.memory.index.large import Mask
from kedit_lifecycle.memory.index.tiers import VectorIndex
from kedit_lifecycle.memory.vectors_of_texts import TextEncoder, Vectors

ROWS = np.dtype([("key", "<i8"), ("mark", "<u8"), ("live", "?")])
"""Of each slot: the entry's key, the beginning of its request's digest, and whether it was not removed."""

Rows = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that is near a query; `similarity` is the cosine."""

    id: EntryId
    similarity: float


class MemoryIndex:
    """Entries of every version by embedding; a version is searched by naming the entries live at it.

    Removing marks an entry: a search without `alive` passes it over, one with `alive` finds it still,
    since an older version may hold it.
    """

    def __init__(self, encoder: TextEncoder, vectors: VectorIndex | None = None) -> None:
        self.encoder = encoder
        self.vectors = VectorIndex(encoder.dimension) if vectors is None else vectors
        self.large_file: tuple[Any, dict[str, Any]] | None = None
        """The large index that is on disk, and its entry in the header."""
        self._rows: Rows = np.zeros(0, dtype=ROWS)
        self._count = 0
        self._slot_of: dict[int, int] = {}

    def __len__(self) -> int:
        return self._count

    def __contains__(self, entry: EntryId) -> bool:
        return entry.key in self._slot_of

    @property
    def rows(self) -> Rows:
        """What is kept beside the vectors, by slot; not to be written to."""
        return self._rows[: self._count]

    @property
    def live_count(self) -> int:
        """How many entries were not removed."""
        return int(self.rows["live"].sum())

    def add(self, entries: Sequence[MemoryEntry]) -> None:
        """Embed entries and append them.

        Raises:
            UsageError: an entry that is there already.
        """
        self.add_vectors(rows_of(entries), self.encoder.encode([entry.text for entry in entries]))

    def add_vectors(self, rows: Rows, vectors: Vectors) -> None:
        """Append rows (ROWS) with their vectors, (entries, dimension).

        Raises:
            UsageError: a key that is there already or twice, or vectors of another dimension.
        """
        keys = rows["key"].tolist()
        twice = {key for key in keys if key in self._slot_of} or len(set(keys)) != len(keys)
        if twice:
            raise UsageError("an entry is in the memory index already")
        if len(vectors) != len(rows):
            raise UsageError(f"{len(rows)} entries, but {len(vectors)} vectors")
        self.vectors.add(vectors)
        self.take_rows(rows)

    def take_rows(self, rows: Rows) -> None:
        """Append the rows of vectors that are there already."""
        needed = self._count + len(rows)
        if needed > len(self._rows):
            grown = np.zeros(max(needed, 2 * len(self._rows)), dtype=ROWS)
            grown[: self._count] = self.rows
            self._rows = grown
        self._rows[self._count : needed] = rows
        self._slot_of.update(zip(rows["key"].tolist(), range(self._count, needed), strict=True))
        self._count = needed

    def remove(self, entries: Iterable[EntryId]) -> None:
        """Mark entries as removed; unknown ones are passed over."""
        self._mark(entries, live=False)

    def bring_back(self, entries: Iterable[EntryId]) -> None:
        """Take a removal back."""
        self._mark(entries, live=True)

    def _mark(self, entries: Iterable[EntryId], *, live: bool) -> None:
        slots = [self._slot_of[entry.key] for entry in entries if entry.key in self._slot_of]
        self._rows["live"][slots] = live

    def mask(self, alive: Iterable[EntryId]) -> Mask:
        """The entries of a version as a filter, (entries,); keep it to search that version again."""
        mask = np.zeros(self._count, dtype=bool)
        mask[[self._slot_of[entry.key] for entry in alive if entry.key in self._slot_of]] = True
        return mask

    def search(
        self, queries: Vectors, k: int, alive: Mask | Iterable[EntryId] | None = None
    ) -> list[list[Hit]]:
        """The `k` nearest entries of each query, best first; fewer where fewer are there.

        Args:
            queries: (queries, dimension), unit vectors of the index's encoder.
            k: how many.
            alive: the entries that count, as their ids or a `mask`; None: all that were not removed. A
                mask made before entries were added leaves these out.
        """
        mask = self._filter(alive)
        if not len(queries) or (mask is not None and not mask.any()) or not self._count:
            return [[] for _ in queries]
        scores, slots = self.vectors.search(queries, min(k, self._count), mask)
        keys = self._rows["key"]
        return [
            [
                Hit(EntryId.of_key(int(keys[slot])), float(score))
                for score, slot in zip(*row, strict=True)
                if slot >= 0
            ]
            for row in zip(scores, slots, strict=True)
        ]

    def _filter(self, alive: Mask | Iterable[EntryId] | None) -> Mask | None:
        if alive is None:
            live: Mask = self.rows["live"]
            return None if live.all() else live
        if isinstance(alive, np.ndarray):
            return np.pad(alive, (0, self._count - len(alive)))
        return self.mask(alive)


def rows_of(entries: Sequence[MemoryEntry]) -> Rows:
    """The rows of entries, live."""
    rows = [(entry.id.key, int(entry.digest[:16], 16), True) for entry in entries]
    return np.array(rows, dtype=ROWS)
