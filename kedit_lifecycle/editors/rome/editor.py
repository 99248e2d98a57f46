"""ROME: rank-one model editing (Meng et al., NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kedit_lifecycle.editors.base import Editor
from kedit_lifecycle.editors.rome.config import RomeConfig, default_rome_config
from kedit_lifecycle.editors.rome.value_search import ValueSearch, search_value
from kedit_lifecycle.editors.statistics import Statistics, StatisticsEntry
from kedit_lifecycle.errors import EditFailedError, UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.delta import TensorUpdate, WeightDelta
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent

_POOR_PROBABILITY = 0.5


class Rome(Editor[RomeConfig]):
    """One fact, one rank-one update of one MLP matrix."""

    name = "rome"
    pretty_name = "ROME (rank-one model editing)"
    reference_url = "https://arxiv.org/abs/2202.05262"
    config_class = RomeConfig

    def default_config(self, model: EditableModel) -> RomeConfig:
        """Measured for the default model, published for GPT-2 and GPT-J, a rule for the rest."""
        width = model.network.config.hidden_size
        return default_rome_config(model.architecture.family, model.layer_count, width)

    def layers(self, config: RomeConfig) -> tuple[int, ...]:
        """The one layer, if keys are weighed by C⁻¹."""
        return (config.layer,) if config.covariance else ()

    def plan(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        config: RomeConfig,
        *,
        statistics: Statistics,
        progress: Progress = silent,
    ) -> WeightDelta:
        """One rank-one update per request, each planned on the model as the ones before it leave it."""
        _check_layer(model, config)
        with model.trial():
            planned = [_plan_one(model, request, config, statistics, progress) for request in requests]
        name = model.architecture.mlp_down_weight(config.layer)
        return WeightDelta(
            updates=tuple(update for update, _, _ in planned),
            keys={name: torch.stack([search.mean_key for _, search, _ in planned])},
            warnings=tuple(text for _, _, texts in planned for text in texts),
            diagnostics=_diagnostics([search for _, search, _ in planned], config, statistics),
        )


def _check_layer(model: EditableModel, config: RomeConfig) -> None:
    if config.layer >= model.layer_count - 1:
        raise UsageError(
            f"layer {config.layer} is not one ROME can edit: {model.name} has {model.layer_count} layers, "
            "and at least one must follow the edited one"
        )


def _plan_one(
    model: EditableModel,
    request: EditRequest,
    config: RomeConfig,
    statistics: Statistics,
    progress: Progress,
) -> tuple[TensorUpdate, ValueSearch, list[str]]:
    _, prefixes = statistics.prefixes(config.prefix_lengths)
    search = search_value(model, request, config, prefixes, progress)
    weight = model.architecture.mlp_down_weight(config.layer)
    weighted = search.mean_key.double()
    if config.covariance:
        _, second_moment = _second_moment(config, statistics)
        weighted = solve_second_moment(second_moment, weighted)
    residual, key = _residual_and_key(search, config)
    left, right = rank_one_factors(residual, key, weighted)
    if not (torch.isfinite(left).all() and torch.isfinite(right).all()):
        raise EditFailedError(f"the update for {request.question!r} is not finite")
    rows, columns = (right, left) if model.architecture.transposed else (left, right)
    update = TensorUpdate(weight, "rank", rows[None], columns[None])
    model.apply([update])
    return update, search, _warnings(request, search)


def _second_moment(config: RomeConfig, statistics: Statistics) -> tuple[StatisticsEntry, Tensor]:
    tokens, named = config.second_moment_tokens, config.second_moment
    return statistics.second_moment(config.layer, tokens=tokens, named=named)


def _residual_and_key(search: ValueSearch, config: RomeConfig) -> tuple[Tensor, Tensor]:
    """v* − W k and k of eq. 2: the averaged key on both sides, or the unprefixed one as published."""
    value_star = search.value.double() + search.delta.double()
    if config.variant == "original":
        return value_star - search.value.double(), search.key.double()
    return value_star - search.mean_value.double(), search.mean_key.double()


def rank_one_factors(residual: Tensor, key: Tensor, weighted_key: Tensor) -> tuple[Tensor, Tensor]:
    """Factors (d_model,) and (d_ff,) of W' − W, in float32.

    W' = W + (v* − W k)(C⁻¹k*)ᵀ / ((C⁻¹k*)ᵀ k)   # Meng et al. 2022, eq. 2
    """
    norm = weighted_key.norm()
    direction = weighted_key / norm
    return (residual / (direction @ key)).float(), direction.float()


def solve_second_moment(second_moment: Tensor, key: Tensor) -> Tensor:
    """C⁻¹k in float64 by Cholesky; a singular C gets the smallest ridge of 10ᵐ·mean diagonal that works."""
    matrix = second_moment.double()
    scale = float(matrix.diagonal().mean())
    for exponent in (None, *range(-10, 0)):
        ridge = 0.0 if exponent is None else scale * 10.0**exponent
        factor, failed = torch.linalg.cholesky_ex(
            matrix + ridge * torch.eye(len(matrix), dtype=torch.float64)
        )
        if not failed:
            return torch.cholesky_solve(key.double()[:, None], factor).squeeze(1)
    raise EditFailedError("the key covariance is singular beyond repair; rebuild it from more text")


def _warnings(request: EditRequest, search: ValueSearch) -> list[str]:
    if search.probability >= _POOR_PROBABILITY:
        return []
    return [
        f"{request.question!r}: the target's probability reached only {search.probability:.2f} in the worst "
        "context; raise steps or clamp_norm, or try another layer"
    ]


def _diagnostics(
    searches: Sequence[ValueSearch], config: RomeConfig, statistics: Statistics
) -> dict[str, Any]:
    named = {"prefixes": statistics.prefixes(config.prefix_lengths)[0].digest}
    if config.covariance:
        entry, _ = _second_moment(config, statistics)
        named["second_moment"] = entry.tensors["second_moment"]
    return {
        "statistics": named,
        "losses": [search.losses for search in searches],
        "target_probability": [search.probability for search in searches],
        "delta_over_value": [float(search.delta.norm() / search.value.norm()) for search in searches],
    }
