"""Settings of MEND's networks, and what an edit with them is set to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from kedit_lifecycle.editors.learned.editor import LearnedConfig, ModelShape
from kedit_lifecycle.editors.learned.settings import ON_SMOLLM2_135M, NetworkConfig, TrainingSettings


class MendNetworkConfig(NetworkConfig):
    """The networks' settings (Mitchell et al. 2022, §3.2; the authors' config/alg/mend.yaml)."""

    rank: int = Field(
        default=1920, ge=1, description="rank of the hidden layers' matrices; cut to half their width"
    )
    hidden_layers: int = Field(
        default=1, ge=0, description="layers before the last one, as wide as the factors"
    )
    last_layer: Literal["clamped", "linear"] = Field(
        default="clamped",
        description="as published its output is only ever added to, like that of the layers before; or not",
    )
    normalise: Literal["running", "own"] = Field(
        default="running",
        description="factors before the layers: by mean and deviation of each dimension over all tokens so "
        "far, as published; or each to a size of its own: edits' gradients differ in length by far more "
        "than the changes that they need",
    )
    answer_gradient: bool = Field(
        default=False,
        description="the networks are also given the gradient at the token that predicts the answer, which "
        "says almost which answer it is; at the subject's it has come back through attention",
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

EDITS: Mapping[ModelShape, MendConfig] = {
    ("llama", 30, 576): MendConfig(rounds=5, scale=0.7, expected_gain=0.7)
}
NETWORKS: Mapping[ModelShape, MendNetworkConfig] = {
    ("llama", 30, 576): MendNetworkConfig(
        blocks=6,
        above=20,
        matrices="output",
        tokens="subject",
        keys="own",
        whiten=256,
        rank=256,
        last_layer="linear",
        normalise="own",
        answer_gradient=True,
        edit_learning_rate=1.0,
        rate_learning_rate=3e-3,
        edit_weight=0.2,
    ),
}
"""By model; elsewhere it is as published."""

TRAINING_ELSEWHERE = TrainingSettings(learning_rate=1e-4, clip=100.0, enough=0.3)
TRAINING: Mapping[ModelShape, TrainingSettings] = {
    ("llama", 30, 576): ON_SMOLLM2_135M.model_copy(update={"steps": 360, "clip": 100.0, "keep": 2})
}
"""By model; how far it gets, and where it was measured, is in benchmarks/results/learned.md."""
