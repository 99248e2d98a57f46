"""ROME: rank-one model editing (Meng et al., NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kedit_lifecycle.editors.base import Editor
from kedit_lifecycle.editors.locate.config import EssencePlace
from kedit_lifecycle.editors.locate.contexts import EditContexts, encode_contexts
from kedit_lifecycle.editors.locate.covariance import layer_covariance
from kedit_lifecycle.editors.locate.key_space import CovarianceSpace, update_directions
from kedit_lifecycle.editors.locate.natural import named_fisher, search_metric
from kedit_lifecycle.editors.locate.outcome import (
    failed_requests,
    missed_targets,
    missed_writes,
    report_searches,
    to_be_repeated,
    written_probabilities,
)
from kedit_lifecycle.editors.locate.spread import without_keys
from kedit_lifecycle.editors.locate.value_scale import value_scale
from kedit_lifecycle.editors.locate.value_search import FoundValue, ValueSearch
from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.editors.rome.config import RomeConfig, default_rome_config
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.errors import EditFailedError, UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.delta import TensorUpdate, WeightDelta
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent


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
        past: PastKeys | None = None,
        progress: Progress = silent,
    ) -> WeightDelta:
        """One rank-one update per request, each planned on the model as the ones before it leave it."""
        _check_layer(model, config)
        made: list[_Made] = []
        written = past or PastKeys()
        if len(requests) > 1:
            written = written.copy()
        with model.trial():
            for request in requests:
                made.append(_in_rounds(model, request, config, statistics, written, progress))
                if len(requests) > 1:
                    written.add(made[-1].updates)
        searches = [one.search for one in made]
        failures = failed_requests(requests, searches)
        sound = [index for index in range(len(requests)) if index not in failures]
        searched = [(requests[index], searches[index]) for index in sound]
        return WeightDelta(
            updates=tuple(update for one in made for update in one.updates),
            failures=failures,
            warnings=(
                *missed_targets(searched),
                *missed_writes(searched, [made[index].probability for index in sound]),
                *_ridge_notes(config, statistics),
            ),
            diagnostics={
                "statistics": _named(config, statistics),
                **report_searches(searches),
                "written_probability": [
                    None if index in failures else one.probability for index, one in enumerate(made)
                ],
                "rounds": max(one.rounds for one in made),
            },
        )


@dataclass(frozen=True)
class _Made:
    """One request's first search, its updates (they stay applied), and how probable they made its target."""

    search: FoundValue
    updates: tuple[TensorUpdate, ...] = ()
    probability: float = 0.0
    rounds: int = 1


def _in_rounds(
    model: EditableModel,
    request: EditRequest,
    config: RomeConfig,
    statistics: Statistics,
    past: PastKeys,
    progress: Progress,
) -> _Made:
    contexts = encode_contexts(model, request, statistics.prefixes(config.prefix_lengths)[1])
    first = search = _search(model, contexts, config, statistics, progress)
    made = _Made(first)
    for rounds in range(1, config.rounds + 1):
        if search.problem:
            break
        update = _update(model, request, search, config, statistics, past)
        model.apply([update])
        probability = written_probabilities(model, [contexts])[0]
        made = _Made(first, (*without_keys(made.updates), update), probability, rounds)
        again = to_be_repeated([first], [probability], [0.0], config.enough_probability)
        if rounds == config.rounds or not again:
            break
        search = _search(model, contexts, config, statistics, progress)
    return made


def _check_layer(model: EditableModel, config: RomeConfig) -> None:
    if config.layer >= model.layer_count - 1:
        raise UsageError(
            f"layer {config.layer} is not one ROME can edit: {model.name} has {model.layer_count} layers, "
            "and at least one must follow the edited one"
        )


def _search(
    model: EditableModel,
    contexts: EditContexts,
    config: RomeConfig,
    statistics: Statistics,
    progress: Progress,
) -> FoundValue:
    least = 0.0
    if config.clamp_floor:
        tokens = config.second_moment_tokens
        least = config.clamp_floor * value_scale(model, config.layer, statistics, tokens)
    essence: EssencePlace = "subject" if config.variant == "original" else "end"
    metric = search_metric(config, config.layer, statistics)
    search = ValueSearch(model, config.layer, config, "value", essence, least, metric)
    return search.find([contexts], progress)[0]


def _update(
    model: EditableModel,
    request: EditRequest,
    search: FoundValue,
    config: RomeConfig,
    statistics: Statistics,
    past: PastKeys,
) -> TensorUpdate:
    weighted = search.mean_key.double()[None]
    weight = model.architecture.mlp_down_weight(config.layer)
    if config.covariance:
        space = _space(config, statistics)
        kept = past if config.past_keys else None
        weighted = update_directions(space, search.mean_key[None], 1.0, tensor=weight, past=kept).rows
    residual, key = _residual_and_key(search, config)
    left, right = rank_one_factors(residual, key, weighted[0])
    if not (torch.isfinite(left).all() and torch.isfinite(right).all()):
        raise EditFailedError(f"the update for {request.question!r} is not finite")
    rows, columns = (right, left) if model.architecture.transposed else (left, right)
    return TensorUpdate(weight, "rank", rows[None], columns[None], search.mean_key[None])


def _space(config: RomeConfig, statistics: Statistics) -> CovarianceSpace:
    tokens, named = config.second_moment_tokens, config.second_moment
    return layer_covariance(statistics, config.layer, config.covariance_weight, tokens=tokens, named=named)


def _ridge_notes(config: RomeConfig, statistics: Statistics) -> list[str]:
    ridge = _space(config, statistics).ridge if config.covariance else 0.0
    return [
        f"layer {config.layer}: the key covariance is singular; {ridge:.1e} was added to its diagonal"
    ] * (ridge > 0)


def _residual_and_key(search: FoundValue, config: RomeConfig) -> tuple[Tensor, Tensor]:
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


def _named(config: RomeConfig, statistics: Statistics) -> dict[str, Any]:
    named = {"prefixes": statistics.prefixes(config.prefix_lengths)[0].digest}
    named |= named_fisher(config, config.layer, statistics)
    if config.covariance:
        tokens, asked = config.second_moment_tokens, config.second_moment
        entry, _ = statistics.second_moment(config.layer, tokens=tokens, named=asked)
        named["second_moment"] = entry.tensors["second_moment"]
    return named
