"""MEMIT: mass-editing memory in a transformer (Meng et al., ICLR 2023)."""

from __future__ import annotations

from torch import Tensor

from kedit_lifecycle.editors.locate.covariance import layer_covariance
from kedit_lifecycle.editors.locate.key_space import Directions, update_directions
from kedit_lifecycle.editors.locate.spread_editor import SpreadEditor
from kedit_lifecycle.editors.memit.config import MemitConfig, default_memit_config
from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.editors.statistics.second_moment import key_width
from kedit_lifecycle.models.editable import EditableModel


class Memit(SpreadEditor[MemitConfig]):
    """Many facts at once: ΔW = R Kᵀ (λ E[k kᵀ] + K Kᵀ)⁻¹ in each of a range of layers."""

    name = "memit"
    pretty_name = "MEMIT (mass-editing memory in a transformer)"
    reference_url = "https://arxiv.org/abs/2210.07229"
    config_class = MemitConfig
    residual_knob = "lower covariance_weight"

    def default_config(self, model: EditableModel) -> MemitConfig:
        """Measured for the default model, published for three others, a rule for the rest."""
        width = model.network.config.hidden_size
        family = model.architecture.family
        return default_memit_config(family, model.layer_count, width, key_width(model, 0))

    def directions(
        self,
        model: EditableModel,
        layer: int,
        keys: Tensor,
        config: MemitConfig,
        statistics: Statistics,
        past: PastKeys,
    ) -> Directions:
        """Meng et al. 2023, eq. 14; with ENCORE's terms, Gupta et al. 2025."""
        weight, identity = config.covariance_weight, config.frobenius_weight
        tokens = config.second_moment_tokens
        space = layer_covariance(statistics, layer, weight, identity=identity, tokens=tokens)
        tensor = model.architecture.mlp_down_weight(layer)
        return update_directions(space, keys, 1.0, tensor=tensor, past=past if config.past_keys else None)
