"""`VectorIndex`: a large approximate index and a small exact one beside it, searched as one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.memory.index.large import (
    Mask,
    Slots,
    build_large,
    extended,
    search_flat,
    search_large,
    stored_vectors,
)
from kedit_lifecycle.memory.vectors_of_texts import Vectors

LARGE_FROM = 20_000  # vectors; below, exact search of all of them takes about 3 ms
SIDE_LIMIT = 8_192  # vectors beside a large index before they are taken into it
RECLUSTER_AT = 2.0  # times as many vectors as were clustered


@dataclass(frozen=True, slots=True)
class Tiers:
    """What a search reads: slots 0 … `base` − 1 in `large`, the rest in `side`, exact."""

    large: Any | None
    clustered: int
    base: int
    side: Any


class VectorIndex:
    """Unit vectors in slots 0, 1, 2, …, in the order added; similarity is the inner product.

    `add` only ever appends to the small index. When that has grown, a thread of its own takes its
    vectors into a new large one, which then replaces the old in one assignment; searches go on meanwhile.
    """

    def __init__(
        self, dimension: int, *, large_from: int = LARGE_FROM, side_limit: int = SIDE_LIMIT, seed: int = 0
    ) -> None:
        self.dimension = dimension
        self.large_from, self.side_limit, self.seed = large_from, side_limit, seed
        self._tiers = Tiers(None, 0, 0, faiss.IndexFlatIP(dimension))
        self._lock = threading.Lock()  # over `side`, which must not grow while it is read
        self._building: threading.Thread | None = None
        self._failure: BaseException | None = None

    def __len__(self) -> int:
        tiers = self._tiers
        return int(tiers.base + tiers.side.ntotal)

    @property
    def tiers(self) -> Tiers:
        """As they are now."""
        return self._tiers

    @property
    def is_building(self) -> bool:
        """Whether a new large index is being made."""
        return self._building is not None and self._building.is_alive()

    def add(self, vectors: Vectors) -> None:
        """Append (entries, dimension); never waits for a large index to be built.

        Raises:
            UsageError: vectors of another dimension.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise UsageError(
                f"this index holds vectors of {self.dimension} numbers, not {vectors.shape[-1]}",
                hint="kedit memory rebuild makes the index anew for another encoder",
            )
        with self._lock:
            self._tiers.side.add(np.ascontiguousarray(vectors, dtype=np.float32))
        self._build_if_due()

    def search(self, queries: Vectors, k: int, mask: Mask | None = None) -> tuple[Vectors, Slots]:
        """The `k` most similar slots of each query, best first: scores and slots, (queries, k) each.

        With `mask`, (slots,), only those that are true. Missing ones have slot −1 and score −inf.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32).reshape(-1, self.dimension)
        with self._lock:
            tiers = self._tiers
            parts = [self._search_side(tiers, queries, k, mask)]
        if tiers.large is not None:
            parts.append(search_large(tiers.large, queries, k, None if mask is None else mask[: tiers.base]))
        scores = np.concatenate([scores for scores, _ in parts], axis=1)
        slots = np.concatenate([slots for _, slots in parts], axis=1)
        scores = np.where(slots < 0, -np.inf, scores)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, 1), np.take_along_axis(slots, best, 1)

    def vectors(self) -> Vectors:
        """All vectors in the order of their slots; those of the large index as it keeps them, in 16 bits."""
        with self._lock:
            tiers = self._tiers
            side = _flat_vectors(tiers.side)
        return side if tiers.large is None else np.concatenate([stored_vectors(tiers.large), side])

    def wait(self) -> None:
        """Until no large index is being built; raises what building it raised."""
        while self.is_building:
            assert self._building is not None
            self._building.join()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def restore(self, tiers: Tiers) -> None:
        """Take tiers that were saved."""
        self._tiers = tiers
        self._build_if_due()

    def _search_side(
        self, tiers: Tiers, queries: Vectors, k: int, mask: Mask | None
    ) -> tuple[Vectors, Slots]:
        own = None if mask is None else mask[tiers.base :]
        scores, slots = search_flat(tiers.side, queries, k, own)
        return scores, np.where(slots < 0, slots, slots + tiers.base)

    def _build_if_due(self) -> None:
        tiers = self._tiers
        limit = self.large_from if tiers.large is None else self.side_limit
        if tiers.side.ntotal < limit or self.is_building:
            return
        self._building = threading.Thread(target=self._build, name="kedit-memory-index", daemon=True)
        self._building.start()

    def _build(self) -> None:
        faiss.omp_set_num_threads(1)  # of this thread: searches keep the other cores
        try:
            self._swap(self._next_large)
        except BaseException as error:
            self._failure = error

    def _next_large(self, tiers: Tiers, added: Vectors) -> tuple[Any, int]:
        total = tiers.base + len(added)
        if tiers.large is not None and total < RECLUSTER_AT * tiers.clustered:
            return extended(tiers.large, added), tiers.clustered
        vectors = added if tiers.large is None else np.concatenate([stored_vectors(tiers.large), added])
        return build_large(vectors, self.seed), total

    def _swap(self, make: Callable[[Tiers, Vectors], tuple[Any, int]]) -> None:
        """Build from what the side holds now; what it takes meanwhile stays in the new side."""
        with self._lock:
            tiers = self._tiers
            added = _flat_vectors(tiers.side)
        large, clustered = make(tiers, added)
        with self._lock:
            side = faiss.IndexFlatIP(self.dimension)
            side.add(_flat_vectors(tiers.side)[len(added) :])
            self._tiers = Tiers(large, clustered, tiers.base + len(added), side)


def _flat_vectors(side: Any) -> Vectors:
    if not side.ntotal:
        return np.zeros((0, side.d), dtype=np.float32)
    return np.array(faiss.rev_swig_ptr(side.get_xb(), side.ntotal * side.d)).reshape(side.ntotal, side.d)
