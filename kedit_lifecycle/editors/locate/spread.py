"""Writing values into a range of layers, each taking its share of what is still missing.

Meng et al. 2023, section 4.3, algorithm 1: from the lowest layer up, keys are read with the layers below
already edited, and layer l of L takes (z − h)/(L − l) of the residual that is left at the last layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kedit_lifecycle.editors.locate.contexts import EditContexts
from kedit_lifecycle.editors.locate.key_space import Directions
from kedit_lifecycle.editors.locate.subject_walk import SubjectWalk
from kedit_lifecycle.models.delta import TensorUpdate
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent

_NOTHING = 1e-4  # of the stream's norm: what rounding leaves where nothing was asked for

Solve = Callable[[int, Tensor], Directions]
"""Directions (n, d_ff) of a layer for its keys (n, d_ff)."""


@dataclass(frozen=True)
class Spread:
    """The updates, lowest layer first; the share of each request's residual that is left; notes."""

    updates: tuple[TensorUpdate, ...]
    residual_left: list[float]
    notes: tuple[str, ...]

    def followed_by(self, more: Spread, asked: Sequence[int]) -> Spread:
        """This one, then another of the same requests that changed some; its keys stand for both."""
        left = list(self.residual_left)
        for place in asked:
            left[place] = more.residual_left[place]
        notes = tuple(dict.fromkeys((*self.notes, *more.notes)))
        return Spread((*without_keys(self.updates), *more.updates), left, notes)


def spread_over_layers(
    model: EditableModel,
    contexts: Sequence[EditContexts],
    changes: Tensor,
    layers: Sequence[int],
    unprefixed_weight: float,
    averaged_residual: bool,
    solve: Solve,
    progress: Progress = silent,
) -> Spread:
    """Change the stream behind the last layer by `changes` (n, d_model); the updates stay applied.

    What is still missing is read at the unprefixed prompts, as published, or with `averaged_residual` as
    the mean over the contexts that the keys are averaged over.
    """
    walk = SubjectWalk(model, contexts, layers, unprefixed_weight, averaged_residual)
    updates: list[TensorUpdate] = []
    notes: list[str] = []
    targets, wanted = walk.outputs() + changes, changes.norm(dim=1)
    for place, layer in enumerate(layers):
        walk.advance_to(layer)
        keys = walk.keys()
        residual = (targets - walk.outputs()).double() / (len(layers) - place)
        found = solve(layer, keys)
        if found.added_ridge:
            notes.append(
                f"layer {layer}: the system was singular; {found.added_ridge:.1e} was added to its diagonal"
            )
        updates.append(layer_update(model, layer, residual, found.rows, keys))
        model.apply(updates[-1:])
        progress("writing layers", place + 1, len(layers))
    missing = (targets - walk.outputs()).norm(dim=1)
    asked = wanted > _NOTHING * targets.norm(dim=1)  # a request that was true already asks for no change
    left = torch.where(asked, missing / wanted, torch.zeros_like(missing))
    return Spread(tuple(updates), left.tolist(), tuple(notes))


def without_keys(updates: Sequence[TensorUpdate]) -> tuple[TensorUpdate, ...]:
    """Updates of an earlier round: those of the last one name the keys of both."""
    return tuple(replace(update, keys=None) for update in updates)


def layer_update(
    model: EditableModel, layer: int, residual: Tensor, directions: Tensor, keys: Tensor
) -> TensorUpdate:
    """ΔW = residualᵀ · directions as factors, or dense where that is smaller.

    Args:
        model: the model whose layer is changed.
        layer: the layer.
        residual: (n, d_model), float64.
        directions: (n, d_ff), float64.
        keys: (n, d_ff), kept with the update.
    """
    name = model.architecture.mlp_down_weight(layer)
    rows, columns = (directions, residual) if model.architecture.transposed else (residual, directions)
    kept = keys.float().contiguous()
    if len(rows) * (rows.shape[1] + columns.shape[1]) >= rows.shape[1] * columns.shape[1]:
        return TensorUpdate(name, "add", (rows.T @ columns).float(), keys=kept)
    return TensorUpdate(name, "rank", rows.float().contiguous(), columns.float().contiguous(), kept)


def spread_is_finite(updates: Sequence[TensorUpdate]) -> bool:
    """Whether every factor is."""
    parts = [part for update in updates for part in (update.left, update.right) if part is not None]
    return all(bool(torch.isfinite(part).all()) for part in parts)
