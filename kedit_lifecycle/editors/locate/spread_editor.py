"""What MEMIT, AlphaEdit and EMMET have in common: values at the last layer, spread over a range of layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from pydantic import Field, field_validator
from torch import Tensor

from kedit_lifecycle.editors.base import Editor
from kedit_lifecycle.editors.locate.config import ValueSearchConfig
from kedit_lifecycle.editors.locate.contexts import EditContexts, encode_contexts
from kedit_lifecycle.editors.locate.key_space import Directions
from kedit_lifecycle.editors.locate.natural import named_fisher, search_metric
from kedit_lifecycle.editors.locate.outcome import (
    POOR_RESIDUAL,
    failed_requests,
    missed_targets,
    missed_writes,
    report_searches,
    to_be_repeated,
    written_probabilities,
)
from kedit_lifecycle.editors.locate.spread import Spread, spread_is_finite, spread_over_layers
from kedit_lifecycle.editors.locate.value_scale import value_scale
from kedit_lifecycle.editors.locate.value_search import FoundValue, ValueSearch
from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.errors import EditFailedError, UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.delta import WeightDelta
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent


class SpreadConfig(ValueSearchConfig):
    """Hyper-parameters of a method that edits a range of layers."""

    layers: tuple[int, ...] = Field(
        description="decoder layers whose second MLP matrices are changed, lowest first; values are found at "
        "the last",
        min_length=1,
    )
    clamp_norm: float | None = Field(
        default=0.75,
        description="‖δ‖ is kept within this multiple of the stream's norm; null: unclamped",
        gt=0,
    )
    norm_anchor: float | None = Field(
        default=None,
        description="norm-anchor scaling (NAS, Liu et al. 2026): each solved MLP value is rescaled to this "
        "multiple of the root mean square norm of the unedited layer's MLP output; null: off",
        gt=0,
    )

    averaged_residual: bool = Field(
        default=False,
        description="what is still missing is read as the mean over the contexts that the key is averaged "
        "over; false: at the unprefixed prompt, as published",
    )

    @field_validator("layers")
    @classmethod
    def _ascending(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if any(layer < 0 for layer in layers) or list(layers) != sorted(set(layers)):
            raise ValueError("layers must be distinct and ascending, from 0")
        return layers


SpreadConfigT = TypeVar("SpreadConfigT", bound=SpreadConfig)


class SpreadEditor(Editor[SpreadConfigT]):
    """Values at the last layer, then one least-squares solve per layer."""

    residual_knob: str
    """What to turn when the layers leave much of the residual, for the warning."""

    def layers(self, config: SpreadConfigT) -> tuple[int, ...]:
        """All of them."""
        return config.layers

    @abstractmethod
    def directions(
        self,
        model: EditableModel,
        layer: int,
        keys: Tensor,
        config: SpreadConfigT,
        statistics: Statistics,
        past: PastKeys,
    ) -> Directions:
        """Where to write in one layer, for its keys (n, d_ff)."""

    def plan(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        config: SpreadConfigT,
        *,
        statistics: Statistics,
        past: PastKeys | None = None,
        progress: Progress = silent,
    ) -> WeightDelta:
        """One update per layer for all requests together."""
        _check_layers(model, config)
        last = config.layers[-1]
        moments = _moments(config, statistics)
        prefixes_entry, prefixes = statistics.prefixes(config.prefix_lengths)
        contexts = [encode_contexts(model, request, prefixes) for request in requests]
        least, metric = _least_norm(model, config, statistics), search_metric(config, last, statistics)
        search = ValueSearch(model, last, config, "stream", "end", least, metric)
        found = search.find(contexts, progress)
        failures = failed_requests(requests, found)
        kept = [index for index in range(len(requests)) if index not in failures]
        some = [contexts[index] for index in kept]

        def write(changes: Tensor) -> Spread:
            return self._write(model, some, changes, config, statistics, past, progress)

        with model.trial():
            made = _in_rounds(search, some, [found[i] for i in kept], write, statistics, progress)
        named: dict[str, Any] = {
            "prefixes": prefixes_entry.digest, **moments, **named_fisher(config, last, statistics)
        }  # fmt: skip
        searched = [(requests[i], found[i]) for i in kept]
        left = dict(zip(kept, made.spread.residual_left, strict=True))
        written = dict(zip(kept, made.probability, strict=True))
        whole = [place for place, share in enumerate(left.values()) if share <= POOR_RESIDUAL]
        return WeightDelta(
            updates=made.spread.updates,
            failures=failures,
            warnings=(
                *missed_targets(searched),
                *missed_writes([searched[p] for p in whole], [made.probability[p] for p in whole]),
                *made.spread.notes,
                *self._poor(requests, left),
            ),
            diagnostics={
                "statistics": named,
                **report_searches(found),
                "residual_left": [left.get(index) for index in range(len(requests))],
                "written_probability": [written.get(index) for index in range(len(requests))],
                "rounds": made.rounds,
            },
        )

    def _write(
        self,
        model: EditableModel,
        contexts: list[EditContexts],
        changes: Tensor,
        config: SpreadConfigT,
        statistics: Statistics,
        past: PastKeys | None,
        progress: Progress,
    ) -> Spread:
        def solve(layer: int, keys: Tensor) -> Directions:
            return self.directions(model, layer, keys, config, statistics, past or PastKeys())

        weight, averaged = config.unprefixed_weight, config.averaged_residual
        spread = spread_over_layers(
            model, contexts, changes, config.layers, weight, averaged, solve, progress
        )
        if not spread_is_finite(spread.updates):
            asked = ", ".join(repr(one.request.question) for one in contexts)
            raise EditFailedError(f"the update for {asked} is not finite")
        return spread

    def _poor(self, requests: Sequence[EditRequest], left: dict[int, float]) -> list[str]:
        return [
            f"{requests[index].question!r}: {share:.0%} of the change is missing after the last layer; "
            f"{self.residual_knob}, raise unprefixed_weight, or write to more layers"
            for index, share in left.items()
            if share > POOR_RESIDUAL
        ]


def _check_layers(model: EditableModel, config: SpreadConfig) -> None:
    if config.layers[-1] >= model.layer_count - 1:
        raise UsageError(
            f"layer {config.layers[-1]} cannot be the last edited one: {model.name} has {model.layer_count} "
            "layers, and at least one must follow"
        )


def _moments(config: SpreadConfig, statistics: Statistics) -> dict[str, str]:
    """The key covariances to be used, by blob; those not yet there are made in one pass."""
    entries = statistics.build_second_moments(config.layers, tokens=config.second_moment_tokens)
    pairs = zip(config.layers, entries, strict=True)
    return {f"second_moment.{layer}": entry.tensors["second_moment"] for layer, entry in pairs}


def _least_norm(model: EditableModel, config: SpreadConfig, statistics: Statistics) -> float:
    if not config.clamp_floor:
        return 0.0
    layer, tokens = config.layers[-1], config.second_moment_tokens
    return config.clamp_floor * value_scale(model, layer, statistics, tokens)


@dataclass(frozen=True)
class _Made:
    """All rounds of a batch: what was written, each target's probability after it, how many rounds."""

    spread: Spread
    probability: list[float]
    rounds: int


def _in_rounds(
    search: ValueSearch,
    contexts: Sequence[EditContexts],
    found: Sequence[FoundValue],
    write: Callable[[Tensor], Spread],
    statistics: Statistics,
    progress: Progress,
) -> _Made:
    """Write what was found; what falls short is searched for and written again, the rest kept in place."""
    model, config = search.model, cast("SpreadConfig", search.config)
    spread, rounds = write(_changes(model, found, config, statistics)), 1
    probability = written_probabilities(model, contexts)
    while rounds < config.rounds:
        places = to_be_repeated(found, probability, spread.residual_left, config.enough_probability)
        again = search.find([contexts[place] for place in places], progress)
        usable = {place: one for place, one in zip(places, again, strict=True) if not one.problem}
        if not usable:
            break
        own = _changes(model, list(usable.values()), config, statistics)
        changes = torch.zeros(len(contexts), own.shape[1]).index_copy(0, torch.tensor(list(usable)), own)
        spread, rounds = spread.followed_by(write(changes), list(usable)), rounds + 1
        probability = written_probabilities(model, contexts)
    return _Made(spread, probability, rounds)


def _changes(
    model: EditableModel, found: Sequence[FoundValue], config: SpreadConfig, statistics: Statistics
) -> Tensor:
    """By how much the stream behind the last layer shall change, (n, d_model)."""
    delta = torch.stack([one.delta for one in found])
    if config.norm_anchor is None:
        return delta
    value = torch.stack([one.value for one in found])
    scale = value_scale(model, config.layers[-1], statistics, config.second_moment_tokens)
    solved = value + delta
    anchored: Tensor = solved * (config.norm_anchor * scale / solved.norm(dim=1, keepdim=True))
    return anchored - value
