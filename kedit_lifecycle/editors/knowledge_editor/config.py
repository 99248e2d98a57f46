"""Settings of KnowledgeEditor's hyper-network and its constrained training, and what an edit is set to."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kedit_lifecycle.editors.base import EditorConfig
from kedit_lifecycle.editors.learned.editor import LearnedConfig
from kedit_lifecycle.editors.learned.settings import TrainingSettings


class GateConfig(EditorConfig):
    """The network's settings (De Cao et al. 2021, §3 and §4.2; the authors' train_bert_binary_augmented)."""

    blocks: int = Field(default=3, ge=1, description="the last so many blocks, whose MLP matrices are edited")
    above: int = Field(default=0, ge=0, description="blocks above those, which stay as they are")
    tokens: Literal["all", "subject"] = Field(
        default="all",
        description="whose part of the gradient is gated: all tokens of prompt and answer, as published, or "
        "the subject's last one, where the key is its own and not its neighbors' (as in ROME)",
    )
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

_DEFAULTS: dict[tuple[str, int, int], GateConfig] = {
    # (family, layers, d_model)
    ("llama", 30, 576): GateConfig(
        lstm_width=128,
        condition_width=256,
        edit_learning_rate=0.012,
        margin_start=0.05,
        margin_end=0.005,
        multiplier_start=5.0,
        multiplier_rate=1.0,
        multiplier_limit=200.0,
    ),
}


def default_gate_config(family: str, layers: int, d_model: int) -> GateConfig:
    """What trains on two cores for the default model, else as published."""
    return _DEFAULTS.get((family, layers, d_model), PUBLISHED)


_TRAINING: dict[tuple[str, int, int], TrainingSettings] = {
    ("llama", 30, 576): TrainingSettings(
        steps=1200,
        learning_rate=1e-3,
        enough=1.0,
        validate_every=100,
        validation_edits=64,
        checkpoint_every=50,
        patience=6,
    ),
}


def default_training(family: str, layers: int, d_model: int) -> TrainingSettings:
    """What takes about 40 minutes on two cores for the default model, else a rule."""
    return _TRAINING.get((family, layers, d_model), TrainingSettings(learning_rate=1e-3, enough=1.0))
