"""KnowledgeEditor: editing factual knowledge in language models (De Cao et al., EMNLP 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedit_lifecycle.editors.knowledge_editor import config as settings_of
from kedit_lifecycle.editors.knowledge_editor.config import GateConfig, KnowledgeEditorConfig
from kedit_lifecycle.editors.knowledge_editor.network import GateNetwork
from kedit_lifecycle.editors.learned.editor import LearnedEditor
from kedit_lifecycle.editors.learned.gradients import sizes
from kedit_lifecycle.editors.learned.network import HyperNetwork
from kedit_lifecycle.models.editable import EditableModel


class KnowledgeEditor(LearnedEditor[KnowledgeEditorConfig]):
    """A trained LSTM reads the edit, and gates and shifts each weight's gradient."""

    name = "knowledge-editor"
    pretty_name = "KnowledgeEditor (hyper-network with gated gradients)"
    reference_url = "https://arxiv.org/abs/2104.08164"
    config_class = KnowledgeEditorConfig
    published_network = settings_of.PUBLISHED
    published_training = settings_of.PUBLISHED_TRAINING
    edits = settings_of.EDITS
    networks = settings_of.NETWORKS
    trainings = settings_of.TRAINING
    training_elsewhere = settings_of.TRAINING_ELSEWHERE

    def network(
        self, model: EditableModel, tensors: Sequence[str], settings: Mapping[str, Any]
    ) -> HyperNetwork:
        """Gates for these weights, all open and of a plain gradient step until they are trained."""
        embedding = model.network.get_input_embeddings()
        shapes = {tensor: sizes(model, tensor) for tensor in tensors}
        return GateNetwork(shapes, embedding, embedding.weight, GateConfig.model_validate(settings))
