"""Settings of KnowledgeEditor's hyper-network and its constrained training, and what an edit is set to."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from kedit_lifecycle.editors.learned.editor import LearnedConfig, ModelShape
from kedit_lifecycle.editors.learned.settings import ON_SMOLLM2_135M, NetworkConfig, TrainingSettings


class GateConfig(NetworkConfig):
    """The network's settings (De Cao et al. 2021, §3 and §4.2; the authors' train_bert_binary_augmented)."""

    lstm_width: int = Field(default=256, ge=1, description="state of the LSTM, of each direction")
    condition_width: int = Field(default=1024, ge=1, description="of the vector that every gate is made from")
    gate_width: int = Field(default=128, ge=1, description="hidden layer between that vector and a gate")
    edit_learning_rate: float = Field(
        default=1e-2, gt=0, description="the untrained network's step along the gradient, for every weight"
    )
    margin_start: float = Field(default=0.1, gt=0, description="KL that an edit may cost at first, in nats")
    margin_end: float = Field(default=1e-3, gt=0, description="the margin is never annealed below this")
    margin_decay: float = Field(
        default=0.8, gt=0, le=1, description="the margin's factor at each validation that reaches `success`"
    )
    success: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="share of answers, to edits and their other forms, from which the margin is annealed",
    )
    multiplier_start: float = Field(default=1.0, ge=0, description="the Lagrange multiplier λ at first")
    multiplier_rate: float = Field(default=0.1, gt=0, description="step size of the ascent on λ")
    multiplier_limit: float = Field(default=100.0, gt=0, description="λ never exceeds this")
    validation_keep_weight: float = Field(
        default=50.0,
        ge=0,
        description="of the KL beside the NLL in choosing the best validation, as λ is another at each",
    )


class KnowledgeEditorConfig(LearnedConfig):
    """An edit with KnowledgeEditor. `untrained` as the artefact: a plain gradient step."""


PUBLISHED = GateConfig()
PUBLISHED_TRAINING = TrainingSettings(
    steps=200_000, batch=1, accumulate=4, learning_rate=3e-4, validate_every=5000, patience=40
)
"""The authors' train_bert_binary_augmented_kilt.py; theirs is RMSprop, the loop's Adam."""

EDITS: Mapping[ModelShape, KnowledgeEditorConfig] = {
    ("llama", 30, 576): KnowledgeEditorConfig(rounds=3, scale=0.7)
}
NETWORKS: Mapping[ModelShape, GateConfig] = {
    ("llama", 30, 576): GateConfig(
        blocks=6,
        above=20,
        matrices="output",
        tokens="subject",
        keys="own",
        whiten=256,
        lstm_width=128,
        condition_width=256,
        edit_learning_rate=100.0,
        margin_start=0.1,
        margin_end=0.02,
        multiplier_start=5.0,
        multiplier_rate=1.0,
        multiplier_limit=200.0,
        validation_keep_weight=5.0,
    ),
}
"""By model; elsewhere it is as published."""

TRAINING_ELSEWHERE = TrainingSettings(learning_rate=1e-3, enough=1.0)
TRAINING: Mapping[ModelShape, TrainingSettings] = {
    ("llama", 30, 576): ON_SMOLLM2_135M.model_copy(update={"steps": 240})
}
"""By model; how far it gets, and where it was measured, is in benchmarks/results/learned.md."""
