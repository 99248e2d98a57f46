"""What may be tried: a search space for each editor, and the candidates drawn from it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kedit_lifecycle.errors import UsageError

if TYPE_CHECKING:
    from kedit_lifecycle.editors import Editor
    from kedit_lifecycle.models.editable import EditableModel

WIDTHS = (1, 3, 5, 7)  # layers in a range
DEFAULT_KEPT = 0.5  # probability that a candidate keeps the default of a field
LAYERS_KEPT = 1 / 3  # of the layers, which most candidates scan
LAYER_FIELDS = frozenset({"layer", "layers"})
RIVALS = {"null_space_fraction": "null_space_threshold"}  # where one is given, the other must be null


class Distribution(Protocol):
    """Where the values of one field come from."""

    def at(self, share: float) -> Any:
        """The value that `share` (in [0, 1)) of the distribution lies below."""
        ...


@dataclass(frozen=True, slots=True)
class OneOf:
    """Equally likely values, neighbours beside each other."""

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """The value at that share of the list."""
        return self.values[int(share * len(self.values))]


@dataclass(frozen=True, slots=True)
class LogRange:
    """Uniform in the logarithm between two positive numbers, rounded to two digits."""

    low: float
    high: float

    def at(self, share: float) -> float:
        """The value low · (high / low)^share."""
        return float(f"{self.low * (self.high / self.low) ** share:.2g}")


SearchSpace = Mapping[str, Distribution]


def single_layers(count: int) -> OneOf:
    """Every layer of `count` but the last, which nothing follows."""
    return OneOf(tuple(range(max(count - 1, 1))))


def layer_ranges(count: int) -> OneOf:
    """Every contiguous range of WIDTHS layers below the last of `count`, by position in the network."""
    ranges = [
        tuple(range(first, first + width)) for width in WIDTHS for first in range(max(count - width, 0))
    ]
    return OneOf(tuple(sorted(ranges, key=lambda layers: (layers[0] + layers[-1], len(layers)))))


def _value_search() -> dict[str, Distribution]:
    return {
        "learning_rate": LogRange(0.05, 1.0),
        "steps": OneOf((10, 15, 20, 25, 35, 50)),
        "weight_decay": LogRange(0.01, 1.0),
        "optimiser": OneOf(("adam", "normalized-momentum", "natural-momentum")),
    }


def _rome(model: EditableModel, batch: int) -> SearchSpace:
    clamp = OneOf((1.0, 2.0, 3.0, 4.0, 6.0, 8.0))  # multiples of the MLP value's norm
    own = {"layer": single_layers(model.layer_count), **_value_search(), "clamp_norm": clamp}
    return {**own, "covariance_weight": _covariance_weight(model)} if _keeps_past("rome", model) else own


def _keeps_past(name: str, model: EditableModel) -> bool:
    """Whether the editor's defaults keep earlier edits in place: λ is what C weighs beside them."""
    from kedit_lifecycle.editors import get_editor

    return bool(get_editor(name).default_config(model).past_keys)


def _spread(model: EditableModel) -> dict[str, Distribution]:
    clamp = OneOf((0.75, 1.0, 2.0, 3.0, 4.0, 6.0))  # multiples of the stream's norm
    return {
        "layers": layer_ranges(model.layer_count),
        **_value_search(),
        "clamp_norm": clamp,
        "averaged_residual": OneOf((False, True)),
    }


def _covariance_weight(model: EditableModel) -> LogRange:
    """λ is relative to d_ff: the published 20,000 at 6,400 and 15,000 at 16,384 are 3 and 0.9 times it."""
    from kedit_lifecycle.editors.statistics.second_moment import key_width

    width = key_width(model, 0)
    return LogRange(width / 30, width * 30)


def _memit(model: EditableModel, batch: int) -> SearchSpace:
    return {**_spread(model), "covariance_weight": _covariance_weight(model)}


def _alphaedit(model: EditableModel, batch: int) -> SearchSpace:
    fractions = OneOf((0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98))
    return {**_spread(model), "ridge": LogRange(0.05, 50), "null_space_fraction": fractions}


def _emmet(model: EditableModel, batch: int) -> SearchSpace:
    """Damping is added in batches of more than one; without it and past keys λ cancels.

    Gupta et al. 2024, eq. 9.
    """
    more: dict[str, Distribution] = {"damping": LogRange(1e-4, 1.0)} if batch > 1 else {}
    if more or _keeps_past("emmet", model):
        more["covariance_weight"] = _covariance_weight(model)
    return {**_spread(model), **more}


def _fine_tuning(model: EditableModel, batch: int) -> dict[str, Distribution]:
    return {
        "layer": single_layers(model.layer_count),
        "learning_rate": LogRange(1e-5, 1e-2),
        "steps": OneOf((10, 15, 25, 35, 50)),
        "weight_decay": OneOf((0.0, 1e-4, 1e-3, 1e-2)),
    }


def _fine_tuning_constrained(model: EditableModel, batch: int) -> SearchSpace:
    return {**_fine_tuning(model, batch), "norm_constraint": LogRange(1e-5, 1e-2)}


Declaration = Callable[["EditableModel", int], SearchSpace]
_DECLARED: dict[str, Declaration] = {
    "rome": _rome,
    "memit": _memit,
    "alphaedit": _alphaedit,
    "emmet": _emmet,
    "ft": _fine_tuning,
    "ft-l": _fine_tuning_constrained,
}


def search_space(editor: Editor[Any], model: EditableModel, *, batch: int = 1) -> SearchSpace:
    """Field -> distribution of an editor, for this model and so many requests to an edit.

    A supplied editor declares its own: a method `search_space(model, batch)`.

    Raises:
        UsageError: the editor declares none; the message names those that do.
    """
    declared: Declaration | None = getattr(editor, "search_space", None) or _DECLARED.get(editor.name)
    if declared is None:
        raise UsageError(
            f"the editor {editor.name!r} declares no search space", hint=f"tune one of {', '.join(tunable())}"
        )
    return declared(model, batch)


def tunable() -> list[str]:
    """Names of the registered editors that declare a search space."""
    from kedit_lifecycle.editors import editor_names, get_editor

    return [name for name in editor_names() if name in _DECLARED or hasattr(get_editor(name), "search_space")]


def draw_candidates(
    space: SearchSpace, default: Mapping[str, Any], count: int, seed: int
) -> list[dict[str, Any]]:
    """At most `count` different candidates, as the settings that differ from `default`.

    Candidate 0 is the default itself, {}. The others are a Latin hypercube (McKay et al. 1979): each
    field's values are spread evenly over the candidates, so that few of them still scan all layers.
    Fields keep the default in about half the candidates, the layers in a third, since a default is
    seldom wrong in everything at once.
    """
    drawn: list[dict[str, Any]] = [{} for _ in range(count)]
    for name in sorted(space):
        for candidate, value in zip(drawn[1:], _column(name, space[name], count - 1, seed), strict=True):
            if value is not _KEPT and value != default.get(name):
                candidate[name] = value
                if default.get(RIVALS.get(name, "")) is not None:
                    candidate[RIVALS[name]] = None
    different: list[dict[str, Any]] = []
    for candidate in drawn:
        if candidate not in different:
            different.append(candidate)
    return different


_KEPT = object()


def _column(name: str, distribution: Distribution, count: int, seed: int) -> list[Any]:
    """One field's value for each of `count` candidates: kept, or spread evenly over the others."""
    source = random.Random(f"{seed}/{name}")
    share_kept = LAYERS_KEPT if name in LAYER_FIELDS else DEFAULT_KEPT
    kept = [source.random() < share_kept for _ in range(count)]
    changed = count - sum(kept)
    shares = [(place + source.random()) / changed for place in range(changed)]
    source.shuffle(shares)
    return [_KEPT if keep else distribution.at(shares.pop()) for keep in kept]
