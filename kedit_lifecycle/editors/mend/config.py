"""Settings of MEND's networks, and what an edit with them is set to."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kedit_lifecycle.editors.base import EditorConfig
from kedit_lifecycle.editors.learned.editor import LearnedConfig
from kedit_lifecycle.editors.learned.settings import TrainingSettings


class MendNetworkConfig(EditorConfig):
    """The networks' settings (Mitchell et al. 2022, §3.2; the authors' config/alg/mend.yaml)."""

    blocks: int = Field(default=3, ge=1, description="the last so many blocks, whose MLP matrices are edited")
    above: int = Field(default=0, ge=0, description="blocks above those, which stay as they are")
    tokens: Literal["all", "subject"] = Field(
        default="all",
        description="whose factors make the update: all tokens of prompt and answer, as published, or the "
        "subject's last one, where the key is its own and not its neighbors' (as in ROME)",
    )
    rank: int = Field(
        default=1920, ge=1, description="rank of the hidden layers' matrices; cut to half their width"
    )
    hidden_layers: int = Field(
        default=1, ge=0, description="layers before the last one, as wide as the factors"
    )
    edit_learning_rate: float = Field(
        default=1e-4, gt=0, description="α at the start; each tensor has its own, and it is learned"
    )
    rate_learning_rate: float = Field(default=1e-4, gt=0, description="Adam's step for the α")
    edit_weight: float = Field(default=0.1, gt=0, description="c_edit, of the NLL of the new answer")
    keep_weight: float = Field(default=1.0, ge=0, description="of the KL on what an edit must leave alone")


class MendConfig(LearnedConfig):
    """An edit with MEND. `untrained` as the artefact: the plain gradient step that training begins with."""


PUBLISHED = MendNetworkConfig()
PUBLISHED_TRAINING = TrainingSettings(
    steps=100_000,
    batch=1,
    accumulate=10,
    learning_rate=1e-6,
    clip=100.0,
    validate_every=500,
    patience=40,
)
"""The authors' config/alg/mend.yaml and config/config.yaml; their steps are passes, ten to one of these."""

_DEFAULTS: dict[tuple[str, int, int], MendNetworkConfig] = {
    # (family, layers, d_model)
    ("llama", 30, 576): MendNetworkConfig(rank=128, rate_learning_rate=1e-4),
}


_TRAINING: dict[tuple[str, int, int], TrainingSettings] = {
    ("llama", 30, 576): TrainingSettings(
        steps=1200,
        learning_rate=1e-4,
        clip=100.0,
        enough=0.3,
        validate_every=100,
        validation_edits=64,
        checkpoint_every=50,
    ),
}


def default_training(family: str, layers: int, d_model: int) -> TrainingSettings:
    """What takes about 40 minutes on two cores for the default model, else a rule."""
    rule = TrainingSettings(learning_rate=1e-4, clip=100.0, enough=0.3)
    return _TRAINING.get((family, layers, d_model), rule)


def default_network_config(family: str, layers: int, d_model: int) -> MendNetworkConfig:
    """What trains on two cores for the default model, else as published."""
    return _DEFAULTS.get((family, layers, d_model), PUBLISHED)
