"""MEND: fast model editing at scale (Mitchell et al., ICLR 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedit_lifecycle.editors.learned.editor import LearnedEditor, last_layers
from kedit_lifecycle.editors.learned.gradients import sizes
from kedit_lifecycle.editors.learned.network import HyperNetwork
from kedit_lifecycle.editors.learned.settings import TrainingSettings
from kedit_lifecycle.editors.learned.training import Trainable
from kedit_lifecycle.editors.mend.config import (
    PUBLISHED,
    PUBLISHED_TRAINING,
    MendConfig,
    MendNetworkConfig,
    default_network_config,
    default_training,
)
from kedit_lifecycle.editors.mend.network import MendNetwork
from kedit_lifecycle.models.editable import EditableModel


class Mend(LearnedEditor[MendConfig]):
    """Trained networks turn the gradient's rank-one factors into those of a better update."""

    name = "mend"
    pretty_name = "MEND (model editor networks with gradient decomposition)"
    reference_url = "https://arxiv.org/abs/2110.11309"
    config_class = MendConfig
    can_be_untrained = True
    published_network = PUBLISHED.model_dump()
    published_training = PUBLISHED_TRAINING.model_dump()

    def default_config(self, model: EditableModel) -> MendConfig:
        """The store's latest network."""
        return MendConfig()

    def training_settings(self, model: EditableModel) -> TrainingSettings:
        """Set for the default model, a rule for the rest."""
        width = model.network.config.hidden_size
        return default_training(model.architecture.family, model.layer_count, width)

    def network(
        self, model: EditableModel, tensors: Sequence[str], settings: Mapping[str, Any]
    ) -> HyperNetwork:
        """Networks for these weights, the identity until they are trained."""
        config = MendNetworkConfig.model_validate(settings)
        return MendNetwork({tensor: sizes(model, tensor) for tensor in tensors}, config)

    def trainable(self, model: EditableModel, settings: Mapping[str, Any] | None = None) -> Trainable:
        """The MLP matrices of the last blocks, with this model's settings."""
        width = model.network.config.hidden_size
        default = default_network_config(model.architecture.family, model.layer_count, width)
        config = self.checked_settings(MendNetworkConfig, {**default.model_dump(), **(settings or {})})
        layers, tensors = last_layers(model, config.blocks, config.above)
        values = config.model_dump(mode="json")
        return Trainable(self.name, self.network(model, tensors, values), tensors, layers, values)
