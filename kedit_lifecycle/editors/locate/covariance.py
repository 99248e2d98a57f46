"""The space of a layer's key covariance, from the model's statistics."""

from __future__ import annotations

from kedit_lifecycle.editors.locate.key_space import CovarianceSpace, covariance_space
from kedit_lifecycle.editors.statistics import Statistics


def layer_covariance(
    statistics: Statistics,
    layer: int,
    weight: float,
    *,
    identity: float = 0.0,
    tokens: int | None = None,
    named: str | None = None,
) -> CovarianceSpace:
    """C = weight · E[k kᵀ] + identity · I of a layer, factorised once and kept.

    E[k kᵀ] is of so many tokens of the model's own; `named` picks another, by the beginning of its digest.
    """
    entry, moment = statistics.second_moment(layer, tokens=tokens, named=named)
    name = ("covariance", entry.digest, weight, identity)
    return statistics.remember(
        name, lambda: covariance_space(moment, weight, name, identity, device=statistics.model.device)
    )
