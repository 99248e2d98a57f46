"""KnowledgeEditor: editing factual knowledge in language models (De Cao et al., EMNLP 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedit_lifecycle.editors.knowledge_editor.config import (
    PUBLISHED,
    PUBLISHED_TRAINING,
    GateConfig,
    KnowledgeEditorConfig,
    default_gate_config,
    default_training,
)
from kedit_lifecycle.editors.knowledge_editor.network import GateNetwork
from kedit_lifecycle.editors.learned.editor import LearnedEditor, last_layers
from kedit_lifecycle.editors.learned.gradients import sizes
from kedit_lifecycle.editors.learned.network import HyperNetwork
from kedit_lifecycle.editors.learned.settings import TrainingSettings
from kedit_lifecycle.editors.learned.training import Trainable
from kedit_lifecycle.models.editable import EditableModel


class KnowledgeEditor(LearnedEditor[KnowledgeEditorConfig]):
    """A trained LSTM reads the edit, and gates and shifts each weight's gradient."""

    name = "knowledge-editor"
    pretty_name = "KnowledgeEditor (hyper-network with gated gradients)"
    reference_url = "https://arxiv.org/abs/2104.08164"
    config_class = KnowledgeEditorConfig
    can_be_untrained = True
    published_network = PUBLISHED.model_dump()
    published_training = PUBLISHED_TRAINING.model_dump()

    def default_config(self, model: EditableModel) -> KnowledgeEditorConfig:
        """The store's latest network."""
        return KnowledgeEditorConfig()

    def training_settings(self, model: EditableModel) -> TrainingSettings:
        """Set for the default model, a rule for the rest."""
        width = model.network.config.hidden_size
        return default_training(model.architecture.family, model.layer_count, width)

    def network(
        self, model: EditableModel, tensors: Sequence[str], settings: Mapping[str, Any]
    ) -> HyperNetwork:
        """Gates for these weights, all open and of a plain gradient step until they are trained."""
        embedding = model.network.get_input_embeddings()
        shapes = {tensor: sizes(model, tensor) for tensor in tensors}
        return GateNetwork(shapes, embedding, embedding.weight, GateConfig.model_validate(settings))

    def trainable(self, model: EditableModel, settings: Mapping[str, Any] | None = None) -> Trainable:
        """The MLP matrices of the last blocks, with this model's settings."""
        width = model.network.config.hidden_size
        default = default_gate_config(model.architecture.family, model.layer_count, width)
        config = self.checked_settings(GateConfig, {**default.model_dump(), **(settings or {})})
        layers, tensors = last_layers(model, config.blocks, config.above)
        values = config.model_dump(mode="json")
        return Trainable(self.name, self.network(model, tensors, values), tensors, layers, values)
