"""`train_scope`: pairs from requests, a fitted head, a threshold calibrated on held-out subjects."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.scope.calibration import area_under, roc, threshold_at
from kedit_lifecycle.memory.scope.classifier import ScopeArtefact
from kedit_lifecycle.memory.scope.features import FEATURES, pair_features
from kedit_lifecycle.memory.scope.fitting import Fitting, Progress, fit_head, wordings_by_relation
from kedit_lifecycle.memory.scope.mention import folded
from kedit_lifecycle.memory.scope.pairs import LabelledPair, labelled_pairs
from kedit_lifecycle.memory.vectors_of_texts import TextEncoder, TextVectors, Vectors

FORMAT = "kedit/scope@1"
FEWEST_REQUESTS = 8
_DIGITS = 9  # of the recipe's numbers


@dataclass(frozen=True, slots=True)
class ScopeTraining:
    """How a scope classifier is trained."""

    false_positive_rate: float = 0.01
    same_subject_share: float = 0.1  # of the out-of-scope queries that the rate is stated for
    held_out: float = 0.2  # share of the subjects whose pairs choose the threshold
    fitting: Fitting = field(default_factory=Fitting)


def train_scope(
    requests: Sequence[EditRequest],
    encoder: TextEncoder,
    seed: int = 0,
    training: ScopeTraining | None = None,
    *,
    progress: Progress = lambda stage, done, total: None,
) -> ScopeArtefact:
    """Train a head on pairs made from `requests` (`pairs.py`); SERAC's classifier, Mitchell et al. 2022, §3.

    Subjects are split: the threshold is the lowest that lets pass at most `false_positive_rate` of the
    held-out subjects' out-of-scope queries, of which `same_subject_share` ask something else about the
    edit's own subject. The recipe keeps the rate of each kind and the ROC.

    Raises:
        UsageError: fewer than 8 requests, or none with a paraphrase.
    """
    how = training or ScopeTraining()
    if len(requests) < FEWEST_REQUESTS:
        raise UsageError(f"a scope classifier needs at least {FEWEST_REQUESTS} requests, not {len(requests)}")
    if not any(request.paraphrases for request in requests):
        raise UsageError("a scope classifier needs requests with paraphrases: none has any")
    vectors = TextVectors(encoder, kept=1 << 20)
    progress("making pairs", 0, 1)
    pairs = labelled_pairs(requests, vectors, seed)
    features, labels = _features(pairs, vectors, progress)

    def out(subject: str) -> bool:
        return _is_held_out(subject, seed, how.held_out)

    held = np.array([out(one.pair.request.subject) for one in pairs])
    if held.all() or not held.any():
        raise UsageError("a scope classifier needs requests about more subjects")
    wordings = wordings_by_relation([request for request in requests if not out(request.subject)])
    head = fit_head(features[~held], labels[~held], wordings, vectors, seed, how.fitting, progress)
    kinds = np.array([one.kind for one in pairs])
    measured = _Measured(head.probabilities(features[held]), labels[held], kinds[held])
    tensors = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    return ScopeArtefact(tensors, _recipe(requests, encoder, seed, how, int((~held).sum()), measured))


def _features(
    pairs: Sequence[LabelledPair], vectors: TextVectors, progress: Progress
) -> tuple[Vectors, NDArray[np.bool_]]:
    parts, step = [], 512
    for begin in range(0, len(pairs), step):
        progress("embedding pairs", begin, len(pairs))
        parts.append(pair_features([one.pair for one in pairs[begin : begin + step]], vectors))
    return np.concatenate(parts), np.array([one.in_scope for one in pairs])


def _is_held_out(subject: str, seed: int, share: float) -> bool:
    """By subject, so that no name is on both sides."""
    digest = hashlib.sha256(f"{seed}:{folded(subject)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


@dataclass(frozen=True, slots=True)
class _Measured:
    """The held-out pairs: scores, labels, kinds."""

    scores: NDArray[np.float64]
    labels: NDArray[np.bool_]
    kinds: NDArray[np.str_]

    def weights(self, same_subject_share: float) -> NDArray[np.float64]:
        """Of each out-of-scope pair, so that those of the same subject weigh their share together."""
        same = self.kinds == "same subject"
        others = ~same & ~self.labels
        if not same.any() or not others.any():
            return np.ones(len(same))
        weights = np.full(len(same), (1 - same_subject_share) / others.sum())
        weights[same] = same_subject_share / same.sum()
        return weights

    def rates(self, threshold: float) -> dict[str, float]:
        """The share of each kind that a threshold lets pass."""
        names = sorted(set(self.kinds.tolist()))
        return {
            name: round(float((self.scores[self.kinds == name] >= threshold).mean()), _DIGITS)
            for name in names
        }


def _recipe(
    requests: Sequence[EditRequest],
    encoder: TextEncoder,
    seed: int,
    how: ScopeTraining,
    trained_on: int,
    held: _Measured,
) -> dict[str, Any]:
    weights = held.weights(how.same_subject_share)
    exact = threshold_at(held.scores, held.labels, how.false_positive_rate, weights)
    threshold = min(math.ceil(exact * 10**_DIGITS) / 10**_DIGITS, 1.0)
    curve = roc(held.scores, held.labels)
    digests = "".join(request.digest for request in requests)
    return {
        "format": FORMAT,
        "features": FEATURES,
        "encoder": encoder.digest,
        "dimension": encoder.dimension,
        "seed": seed,
        "training": asdict(how),
        "requests": {"digest": hashlib.sha256(digests.encode()).hexdigest(), "count": len(requests)},
        "pairs": {"trained": trained_on, "held_out": len(held.labels)},
        "threshold": threshold,
        "passed": held.rates(threshold),
        "area_under_roc": round(area_under(curve), _DIGITS),
        "roc": [[round(value, _DIGITS) for value in asdict(point).values()] for point in curve],
    }
