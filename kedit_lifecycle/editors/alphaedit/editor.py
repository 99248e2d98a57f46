"""AlphaEdit: null-space constrained knowledge editing (Fang et al., ICLR 2025)."""

from __future__ import annotations

from torch import Tensor

from kedit_lifecycle.editors.alphaedit.config import AlphaEditConfig, default_alphaedit_config
from kedit_lifecycle.editors.locate.key_space import Directions, null_space, update_directions
from kedit_lifecycle.editors.locate.spread_editor import SpreadEditor
from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.models.editable import EditableModel


class AlphaEdit(SpreadEditor[AlphaEditConfig]):
    """MEMIT confined to the null space of what the model knows, earlier edits kept in place."""

    name = "alphaedit"
    pretty_name = "AlphaEdit (null-space constrained editing)"
    reference_url = "https://arxiv.org/abs/2410.02355"
    config_class = AlphaEditConfig
    residual_knob = "lower ridge or raise null_space_fraction"

    def default_config(self, model: EditableModel) -> AlphaEditConfig:
        """Measured for the default model, published for three others, a rule for the rest."""
        width = model.network.config.hidden_size
        return default_alphaedit_config(model.architecture.family, model.layer_count, width)

    def directions(
        self,
        model: EditableModel,
        layer: int,
        keys: Tensor,
        config: AlphaEditConfig,
        statistics: Statistics,
        past: PastKeys,
    ) -> Directions:
        """ΔW = R Kᵀ P (Kp Kpᵀ P + K Kᵀ P + L2 I)⁻¹   (Fang et al. 2025, eq. 14)."""
        entry, moment = statistics.second_moment(layer, tokens=config.second_moment_tokens)
        fraction, threshold = config.null_space_fraction, config.null_space_threshold
        name = ("null space", entry.digest, fraction, threshold)
        space = statistics.remember(
            name,
            lambda: null_space(moment, name, fraction=fraction, threshold=threshold, device=model.device),
        )
        tensor = model.architecture.mlp_down_weight(layer)
        kept = past if config.past_keys else None
        return update_directions(space, keys, config.ridge, tensor=tensor, past=kept)
