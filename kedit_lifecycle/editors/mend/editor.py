"""MEND: fast model editing at scale (Mitchell et al., ICLR 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedit_lifecycle.editors.learned.editor import LearnedEditor
from kedit_lifecycle.editors.learned.gradients import sizes
from kedit_lifecycle.editors.learned.network import HyperNetwork
from kedit_lifecycle.editors.mend import config as settings_of
from kedit_lifecycle.editors.mend.config import MendConfig, MendNetworkConfig
from kedit_lifecycle.editors.mend.network import MendNetwork
from kedit_lifecycle.models.editable import EditableModel


class Mend(LearnedEditor[MendConfig]):
    """Trained networks turn the gradient's rank-one factors into those of a better update."""

    name = "mend"
    pretty_name = "MEND (model editor networks with gradient decomposition)"
    reference_url = "https://arxiv.org/abs/2110.11309"
    config_class = MendConfig
    published_network = settings_of.PUBLISHED
    published_training = settings_of.PUBLISHED_TRAINING
    edits = settings_of.EDITS
    networks = settings_of.NETWORKS
    trainings = settings_of.TRAINING
    training_elsewhere = settings_of.TRAINING_ELSEWHERE

    def network(
        self, model: EditableModel, tensors: Sequence[str], settings: Mapping[str, Any]
    ) -> HyperNetwork:
        """Networks for these weights, the identity until they are trained."""
        config = MendNetworkConfig.model_validate(settings)
        return MendNetwork({tensor: sizes(model, tensor) for tensor in tensors}, config)
