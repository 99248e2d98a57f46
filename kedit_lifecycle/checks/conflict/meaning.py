"""Nearest texts by meaning: unit vectors in FAISS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kedit_lifecycle.checks.conflict.names import is_ordinal, name_parts

FLAT_LIMIT = 20_000
"""Up to so many texts every vector is compared; above, a graph is searched."""
GRAPH_NEIGHBOURS, BUILD_BREADTH, SEARCH_BREADTH = 16, 40, 64  # M, efConstruction, efSearch of HNSW


class Embedder(Protocol):
    """What turns texts into unit vectors; `SentenceEncoder` is one."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, dimension) float32, each row of length 1."""


class NearestTexts:
    """Texts and their nearest neighbours by cosine similarity.

    Texts are encoded when they are first needed, all that wait in one go. Up to `FLAT_LIMIT` texts the
    search is exact (`IndexFlatIP`); above, it is a graph (HNSW, Malkov & Yashunin 2018).
    """

    def __init__(self, embedder: Embedder, flat_limit: int = FLAT_LIMIT) -> None:
        self._embedder = embedder
        self._flat_limit = flat_limit
        self._rows: dict[str, int] = {}
        self._texts: list[str] = []
        self._encoded = 0
        self._index: Any = None

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: str) -> None:
        """Remember a text; one that is known already changes nothing."""
        if text not in self._rows:
            self._rows[text] = len(self._texts)
            self._texts.append(text)

    def nearest(self, text: str, count: int = 8) -> list[tuple[str, float]]:
        """The `count` nearest texts with their cosine similarity, nearest first."""
        self._encode_waiting()
        if not self._encoded:
            return []
        similarities, rows = self._index.search(self.vector(text)[None], min(count, self._encoded))
        return [(self._texts[r], float(s)) for r, s in zip(rows[0], similarities[0], strict=True) if r >= 0]

    def similarity(self, one: str, other: str) -> float:
        """The cosine similarity of two texts; both are remembered, as few templates serve many prompts."""
        self.add(one)
        self.add(other)
        self._encode_waiting()
        return float(self.vector(one) @ self.vector(other))

    def vector(self, text: str) -> NDArray[np.float32]:
        """(dimension,) the text's unit vector, from the index where it is known."""
        row = self._rows.get(text)
        if row is None or row >= self._encoded:
            encoded: NDArray[np.float32] = self._embedder.encode([text])[0]
            return encoded
        found: NDArray[np.float32] = self._index.reconstruct(row)
        return found

    def _encode_waiting(self) -> None:
        if self._encoded < len(self._texts):
            self._store(self._embedder.encode(self._texts[self._encoded :]))

    def _store(self, vectors: NDArray[np.float32]) -> None:
        import faiss

        if self._index is None:
            self._index = faiss.IndexFlatIP(self._embedder.dimension)
        if self._is_flat and self._encoded + len(vectors) > self._flat_limit:
            earlier, self._index = self._index, self._graph()
            if earlier.ntotal:
                self._index.add(earlier.reconstruct_n(0, earlier.ntotal))
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        self._encoded += len(vectors)

    @property
    def _is_flat(self) -> bool:
        import faiss

        return isinstance(self._index, faiss.IndexFlat)

    def _graph(self) -> Any:
        import faiss

        graph = faiss.IndexHNSWFlat(self._embedder.dimension, GRAPH_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = BUILD_BREADTH
        graph.hnsw.efSearch = SEARCH_BREADTH
        return graph


def may_be_one_thing(one: str, other: str) -> bool:
    """Whether similarity may decide that two names are one: only where they share no word and no number.

    Names that share a word and differ in another (North Korea, South Korea; Windows 7, Windows 8) are near
    each other in any embedding, and are two things.
    """
    first, second = set(name_parts(one).core), set(name_parts(other).core)
    return not first & second and not any(is_ordinal(word) for word in first ^ second)
