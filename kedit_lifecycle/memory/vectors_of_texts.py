"""What the memory asks of a sentence encoder, and vectors of texts kept for the next time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
KEPT = 20_000  # texts; 30 MB at 384 dimensions


class TextEncoder(Protocol):
    """Texts to unit vectors, as `SentenceEncoder` does it."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(texts, dimension), each row of length 1."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    @property
    def digest(self) -> str:
        """What tells this encoder's vectors from another's."""


class TextVectors:
    """An encoder that remembers the texts it was asked for last; edits share their templates."""

    def __init__(self, encoder: TextEncoder, kept: int = KEPT) -> None:
        self.encoder = encoder
        self._kept = kept
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """(texts, dimension): each distinct text is encoded once."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        found = {text: self._vectors[text] for text in texts if text in self._vectors}
        found.update(zip(missing, self.encoder.encode(missing), strict=True) if missing else ())
        for text, vector in found.items():
            self._vectors[text] = vector
            self._vectors.move_to_end(text)
        while len(self._vectors) > self._kept:
            self._vectors.popitem(last=False)
        rows = [found[text] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.encoder.dimension), dtype=np.float32)
