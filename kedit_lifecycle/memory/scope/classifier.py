"""`ScopeClassifier`: head, threshold and recipe as one artefact, kept by content."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.memory.scope.calibration import RocPoint
from kedit_lifecycle.memory.scope.features import FEATURES, Aliases, ScopePair, pair_features
from kedit_lifecycle.memory.scope.head import ScopeHead
from kedit_lifecycle.memory.vectors_of_texts import TextEncoder, TextVectors
from kedit_lifecycle.models.artefact import TrainedArtefact


class ScopeArtefact(TrainedArtefact):
    """A scope head's tensors, and the recipe with its encoder, threshold and held-out ROC."""

    kind = "scope classifier"
    required = ("threshold", "encoder", "features", "roc")

    @property
    def threshold(self) -> float:
        """Scores of at least this are in scope."""
        return float(self.recipe["threshold"])

    @property
    def roc(self) -> tuple[RocPoint, ...]:
        """The held-out curve."""
        return tuple(RocPoint(*map(float, point)) for point in self.recipe["roc"])


def default_artefact() -> ScopeArtefact:
    """The artefact that comes with kedit, trained on built-in facts for the default encoder."""
    return ScopeArtefact.load(Path(str(files(__package__).joinpath("default"))))


class ScopeClassifier:
    """Scores (query, edit) pairs with an artefact and the encoder it was trained for.

    `aliases` are other names of subjects, by subject `folded`.

    Raises:
        UsageError: an artefact of another encoder, of other features, or whose tensors are no head's.
    """

    def __init__(
        self, artefact: ScopeArtefact, encoder: TextEncoder | TextVectors, aliases: Aliases | None = None
    ) -> None:
        self.vectors = encoder if isinstance(encoder, TextVectors) else TextVectors(encoder)
        self.artefact = artefact
        self.aliases = aliases
        _refuse_foreign(artefact, self.vectors.encoder)
        self.head = ScopeHead.of_tensors(artefact.tensors)

    @property
    def threshold(self) -> float:
        """Scores of at least this are in scope."""
        return self.artefact.threshold

    def scores(self, pairs: Sequence[ScopePair]) -> NDArray[np.float64]:
        """P(in scope) of each pair."""
        if not pairs:
            return np.zeros(0)
        return self.head.probabilities(pair_features(pairs, self.vectors, self.aliases))


def _refuse_foreign(artefact: ScopeArtefact, encoder: TextEncoder) -> None:
    recipe = artefact.recipe
    if recipe["encoder"] != encoder.digest:
        raise UsageError(
            f"this scope classifier was trained for the encoder {str(recipe['encoder'])[:10]}, "
            f"not for {encoder.digest[:10]}",
            hint="kedit train serac trains one for this encoder",
        )
    if recipe["features"] != FEATURES or artefact.tensors["project.weight"].shape[1] != encoder.dimension:
        raise UsageError(
            f"this scope classifier reads other features ({recipe['features']})", hint="kedit train serac"
        )
