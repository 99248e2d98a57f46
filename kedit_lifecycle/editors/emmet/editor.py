"""EMMET: equality-constrained mass model editing (Gupta et al., 2024)."""

from __future__ import annotations

from torch import Tensor

from kedit_lifecycle.editors.emmet.config import EmmetConfig, default_emmet_config
from kedit_lifecycle.editors.locate.covariance import layer_covariance
from kedit_lifecycle.editors.locate.key_space import Directions, constrained_directions
from kedit_lifecycle.editors.locate.spread_editor import SpreadEditor
from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.editors.statistics.second_moment import key_width
from kedit_lifecycle.models.editable import EditableModel


class Emmet(SpreadEditor[EmmetConfig]):
    """A batch with equality constraints, as ROME's one fact: ΔW = R (Kᵀ C⁻¹ K)⁻¹ Kᵀ C⁻¹."""

    name = "emmet"
    pretty_name = "EMMET (equality-constrained mass model editing)"
    reference_url = "https://arxiv.org/abs/2403.14236"
    config_class = EmmetConfig
    residual_knob = "lower damping"

    def default_config(self, model: EditableModel) -> EmmetConfig:
        """Measured for the default model, published for three others, a rule for the rest."""
        width = model.network.config.hidden_size
        family = model.architecture.family
        return default_emmet_config(family, model.layer_count, width, key_width(model, 0))

    def directions(
        self,
        model: EditableModel,
        layer: int,
        keys: Tensor,
        config: EmmetConfig,
        statistics: Statistics,
        past: PastKeys,
    ) -> Directions:
        """Gupta et al. 2024, eq. 9; past keys as in ENCORE, Gupta et al. 2025."""
        weight, tokens = config.covariance_weight, config.second_moment_tokens
        space = layer_covariance(statistics, layer, weight, tokens=tokens)
        tensor, kept = model.architecture.mlp_down_weight(layer), past if config.past_keys else None
        damping = config.damping if len(keys) > 1 else 0.0
        return constrained_directions(space, keys, damping, tensor=tensor, past=kept)
