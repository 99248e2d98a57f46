"""AlphaEdit's hyper-parameters, and their defaults per model."""

from __future__ import annotations

from pydantic import Field, model_validator

from kedit_lifecycle.editors.locate.spread_editor import SpreadConfig


class AlphaEditConfig(SpreadConfig):
    """Hyper-parameters of AlphaEdit (Fang et al., ICLR 2025, appendix; the authors' hparams files)."""

    ridge: float = Field(default=10, description="L2: how much the size of the update costs", gt=0)
    null_space_fraction: float | None = Field(
        default=None,
        description="share of the eigenvectors of E[k kᵀ], those of the smallest eigenvalues, that may be "
        "written to; one of this and null_space_threshold",
        gt=0,
        le=1,
    )
    null_space_threshold: float | None = Field(
        default=None,
        description="as published: eigenvectors whose eigenvalue is below; depends on the scale of E[k kᵀ]",
        gt=0,
    )
    past_keys: bool = Field(default=True, description="what earlier edits wrote is kept in place as well")

    @model_validator(mode="after")
    def _one_rank(self) -> AlphaEditConfig:
        if (self.null_space_fraction is None) == (self.null_space_threshold is None):
            raise ValueError("give one of null_space_fraction and null_space_threshold, the other null")
        return self


def default_alphaedit_config(family: str, layers: int, d_model: int) -> AlphaEditConfig:
    """Published values for GPT-2 XL, GPT-J and Llama-3-8B, measured for the default model, else a rule."""
    if (family, layers, d_model) in _DEFAULTS:
        return _DEFAULTS[family, layers, d_model]
    first = layers // 8
    return AlphaEditConfig(
        layers=tuple(range(first, max(min(first + 5, layers - 1), first + 1))),
        clamp_norm=4,
        stop_probability=0.9,
        null_space_fraction=0.9,
        ridge=1,
    )


_PUBLISHED_PREFIXES = ((10, 5),)
_DEFAULTS: dict[tuple[str, int, int], AlphaEditConfig] = {
    # (family, layers, d_model); the authors' hparams/AlphaEdit
    ("gpt2", 48, 1600): AlphaEditConfig(
        layers=(13, 14, 15, 16, 17), null_space_threshold=0.02, prefix_lengths=_PUBLISHED_PREFIXES
    ),
    ("gptj", 28, 4096): AlphaEditConfig(
        layers=(3, 4, 5, 6, 7, 8), steps=25, null_space_threshold=0.02, prefix_lengths=_PUBLISHED_PREFIXES
    ),
    ("llama", 32, 4096): AlphaEditConfig(
        layers=(4, 5, 6, 7, 8), steps=25, learning_rate=0.1, null_space_threshold=0.02,
        prefix_lengths=_PUBLISHED_PREFIXES,
    ),
    ("llama", 30, 576): AlphaEditConfig(
        layers=(3, 4, 5, 6, 7), clamp_norm=4, optimiser="natural-momentum", learning_rate=0.6, steps=30,
        stop_probability=0.95, rounds=2, null_space_fraction=0.9, ridge=10,
        prefix_lengths=((10, 2), (20, 2)), unprefixed_weight=4, averaged_residual=True,
    ),
}  # fmt: skip
