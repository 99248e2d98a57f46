"""A sentence encoder for tests: a sum of one fixed random vector per word, so that shared words are near."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class WordEncoder:
    """Deterministic; counts the texts it was given."""

    def __init__(self, dimension: int = 64, name: str = "words") -> None:
        self.dimension = dimension
        self.digest = hashlib.sha256(f"{name} {dimension}".encode()).hexdigest()
        self.encoded = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += len(texts)
        rows = [
            sum((self._word(word) for word in re.findall(r"\w+", text.lower())), self._word(""))
            for text in texts
        ]
        vectors = np.array(rows, dtype=np.float32).reshape(len(texts), self.dimension)
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def _word(self, word: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        scale = 1.0 if word else 0.1
        return scale * np.random.default_rng(seed).standard_normal(self.dimension)
