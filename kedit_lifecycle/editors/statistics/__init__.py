"""What editors know of the unedited model: context prefixes, base samples, key covariance."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors.learned.artefact import TrainedShelf
from kedit_lifecycle.editors.statistics.corpus import Corpus
from kedit_lifecycle.editors.statistics.library import StatisticsEntry, StatisticsLibrary
from kedit_lifecycle.editors.statistics.output_fisher import accumulate_output_fishers
from kedit_lifecycle.editors.statistics.second_moment import accumulate_second_moments, key_width
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.samples import sample_corpus, sample_prefixes
from kedit_lifecycle.progress import Progress, silent

__all__ = ["Statistics", "StatisticsEntry", "StatisticsLibrary"]

_RECIPE_VERSION = 2  # raise when a statistic is made in another way
_TOKENS_PER_KEY_DIMENSION = 10
SAMPLE_LENGTH = 64
TRAINED_FOLDER = "trained"
SHIPPED = Path(__file__).parent / "shipped"  # made by scripts/build_shipped_statistics.py
OWN_SAMPLES = {"kind": "samples", "length": SAMPLE_LENGTH, "seed": 0}

Derived = TypeVar("Derived")


class Statistics:
    """Statistics of one unedited model, built when first asked for and kept in a library.

    `trained` are the networks that were trained to edit it.
    """

    def __init__(
        self,
        model: EditableModel,
        library: StatisticsLibrary,
        progress: Progress = silent,
        *,
        trained: TrainedShelf | None = None,
    ) -> None:
        self.model = model
        self.trained = trained or TrainedShelf(library.folder.parent / TRAINED_FOLDER)
        self.library = library
        self.progress = progress
        self._tensors: dict[str, Tensor] = {}  # by entry digest
        self._derived: dict[Hashable, Any] = {}

    def prefixes(self, lengths: Sequence[tuple[int, int]]) -> tuple[StatisticsEntry, list[str]]:
        """Context prefixes for each (tokens, how many)."""
        recipe = self._recipe("prefixes", lengths=[list(pair) for pair in lengths], seed=0)
        entry = self.library.obtain(recipe, lambda: ({}, sample_prefixes(self.model, lengths)))
        return entry, list(entry.texts)

    def samples(self, tokens: int, *, length: int = SAMPLE_LENGTH, seed: int = 0) -> list[list[int]]:
        """The base model's own samples, `length` tokens each, at least `tokens` in all."""
        recipe = self._recipe("samples", tokens=tokens, length=length, seed=seed)

        def make() -> tuple[dict[str, Tensor], tuple[str, ...]]:
            drawn = sample_corpus(self.model, tokens, length=length, seed=seed, progress=self.progress)
            return {"tokens": torch.tensor(drawn, dtype=torch.int32)}, ()

        entry = self.library.obtain(recipe, make)
        rows: list[list[int]] = self.library.tensor(entry, "tokens").tolist()
        return rows

    def second_moment(
        self, layer: int, *, tokens: int | None = None, named: str | None = None
    ) -> tuple[StatisticsEntry, Tensor]:
        """C = E[k kᵀ] of the keys of one layer's second MLP matrix, (d_ff, d_ff) float32 on the CPU.

        With `named`, the one in the library whose digest begins so; else from the model's own samples.

        Raises:
            UsageError: nothing of that name for this model and layer.
        """
        entry = self._named(layer, named) if named else self.build_second_moments([layer], tokens=tokens)[0]
        return entry, self._read(entry, "second_moment")

    def _read(self, entry: StatisticsEntry, name: str) -> Tensor:
        if entry.digest not in self._tensors:
            self._tensors[entry.digest] = self.library.tensor(entry, name)
        return self._tensors[entry.digest]

    def remember(self, name: Hashable, make: Callable[[], Derived]) -> Derived:
        """Something derived from statistics (a factorisation), made once in this process.

        `name` must hold the digest of what it is derived from.
        """
        if name not in self._derived:
            self._derived[name] = make()
        derived: Derived = self._derived[name]
        return derived

    def _named(self, layer: int, name: str) -> StatisticsEntry:
        wanted = {"kind": "second-moment", "base": self.model.base_digest, "layer": layer}
        for entry in self.library.entries():
            if entry.digest.startswith(name) and wanted.items() <= dict(entry.recipe).items():
                return entry
        raise UsageError(
            f"no key covariance {name!r} for layer {layer} of {self.model.name}", hint="kedit stats list"
        )

    def build_second_moments(
        self, layers: Sequence[int], *, tokens: int | None = None, corpus: Corpus | None = None
    ) -> list[StatisticsEntry]:
        """One entry per layer; all layers that are not there yet come from one pass over the corpus.

        Without a `corpus`, the text is the base model's own samples.
        """
        return self._by_layer("second-moment", accumulate_second_moments, layers, tokens, corpus)

    def output_fisher(self, layer: int, *, tokens: int | None = None) -> tuple[StatisticsEntry, Tensor]:
        """F = E[g gᵀ] at the output of one layer's MLP, (d_model, d_model) float32 on the CPU."""
        entry = self.build_output_fishers([layer], tokens=tokens)[0]
        return entry, self._read(entry, "output_fisher")

    def build_output_fishers(
        self, layers: Sequence[int], *, tokens: int | None = None
    ) -> list[StatisticsEntry]:
        """One entry per layer, of the base model's own samples; those missing come from one pass."""
        return self._by_layer("output-fisher", accumulate_output_fishers, layers, tokens, None)

    def tokens_behind(self, asked: int | None) -> int:
        """How many tokens a layer's statistic is made of: as many as asked, else 10 × d_ff."""
        return asked or _TOKENS_PER_KEY_DIMENSION * key_width(self.model, 0)

    def _by_layer(
        self,
        kind: str,
        accumulate: Callable[..., dict[int, Tensor]],
        layers: Sequence[int],
        tokens: int | None,
        corpus: Corpus | None,
    ) -> list[StatisticsEntry]:
        wanted = self.tokens_behind(tokens)
        source = OWN_SAMPLES if corpus is None else corpus.recipe()
        recipes = {layer: self._recipe(kind, layer=layer, tokens=wanted, corpus=source) for layer in layers}
        missing = [layer for layer in layers if self.library.find(recipes[layer]) is None]
        made: dict[int, Tensor] = {}

        def make(layer: int) -> Tensor:
            if not made:
                with self.model.unedited(), torch.no_grad():
                    sequences = self.samples(wanted) if corpus is None else corpus.sequences(self.model)
                    made.update(accumulate(self.model, missing, sequences, wanted, self.progress))
            return made[layer]

        return [
            self.library.obtain(
                recipes[layer],
                lambda layer=layer: ({kind.replace("-", "_"): make(layer)}, ()),  # type: ignore[misc]
            )
            for layer in layers
        ]

    def _recipe(self, kind: str, **how: Any) -> dict[str, Any]:
        return {"kind": kind, "base": self.model.base_digest, "version": _RECIPE_VERSION, **how}


def open_statistics(
    model: EditableModel,
    folder: Path,
    blobs: BlobStore,
    progress: Progress = silent,
    *,
    share: bool = True,
    may_write: Callable[[], bool] = lambda: True,
) -> Statistics:
    """Statistics kept in a store's folder and blobs, shared with other stores through the user's cache.

    What was sampled from the default model comes with this package: its statistics are of the same texts
    on every machine, and nobody waits for them to be sampled. While `may_write` says no, nothing is added
    to the folder or the blobs.
    """
    from kedit_lifecycle.models.cache import cache_folder

    shared = None
    shipped = StatisticsLibrary(SHIPPED, BlobStore(SHIPPED / "blobs"))
    if share:
        cache = cache_folder() / "stats"
        shared = StatisticsLibrary(cache, BlobStore(cache / "blobs"))
    library = StatisticsLibrary(folder, blobs, shared, shipped=shipped, may_write=may_write)
    return Statistics(model, library, progress)
