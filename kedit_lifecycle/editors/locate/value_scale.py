"""How large a layer's MLP output is on the unedited model's own text."""

from __future__ import annotations

import torch

from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.models.editable import EditableModel


def value_scale(model: EditableModel, layer: int, statistics: Statistics, tokens: int | None) -> float:
    """√E‖W k‖² = √tr(W E[k kᵀ] Wᵀ) of the unedited layer, its bias left out."""
    entry, moment = statistics.second_moment(layer, tokens=tokens)

    def compute() -> float:
        weight = model.base_parameter(model.architecture.mlp_down_weight(layer)).double().cpu()
        rows = weight.T if model.architecture.transposed else weight  # (d_model, d_ff)
        return float(torch.einsum("if,fg,ig->", rows, moment.double(), rows).clamp(min=0).sqrt())

    return statistics.remember(("value scale", entry.digest), compute)
