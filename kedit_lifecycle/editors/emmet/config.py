"""EMMET's hyper-parameters, and their defaults per model."""

from __future__ import annotations

from pydantic import Field

from kedit_lifecycle.editors.locate.spread_editor import SpreadConfig


class EmmetConfig(SpreadConfig):
    """Hyper-parameters of EMMET (Gupta et al. 2024, and the authors' hparams files)."""

    covariance_weight: float = Field(
        default=10000, description="λ of λ E[k kᵀ]; it matters only beside damping and past_keys", gt=0
    )
    damping: float = Field(
        default=0.1,
        description="added to the diagonal of Kᵀ(λ E[k kᵀ])⁻¹K in batches of more than one: near-equal keys "
        "make the equality constraints contradict each other",
        ge=0,
    )
    past_keys: bool = Field(
        default=False,
        description="keep what earlier edits wrote in place as well: C becomes λ E[k kᵀ] + Σ k kᵀ over "
        "their keys, as in ENCORE (Gupta et al. 2025)",
    )


def default_emmet_config(family: str, layers: int, d_model: int, d_ff: int) -> EmmetConfig:
    """Published values for GPT-2 XL, GPT-J and Llama, measured for the default model, else a rule."""
    if (family, layers, d_model) in _DEFAULTS:
        return _DEFAULTS[family, layers, d_model]
    return EmmetConfig(layers=(layers // 6,), covariance_weight=d_ff, clamp_norm=4, stop_probability=0.9)


_PUBLISHED_PREFIXES = ((10, 5),)
_DEFAULTS: dict[tuple[str, int, int], EmmetConfig] = {
    # (family, layers, d_model); the authors' hparams/EMMET: one layer
    ("gpt2", 48, 1600): EmmetConfig(layers=(17,), prefix_lengths=_PUBLISHED_PREFIXES),
    ("gptj", 28, 4096): EmmetConfig(layers=(5,), steps=25, prefix_lengths=_PUBLISHED_PREFIXES),
    ("llama", 32, 4096): EmmetConfig(
        layers=(5,), steps=25, learning_rate=0.1, prefix_lengths=_PUBLISHED_PREFIXES
    ),
    ("llama", 30, 576): EmmetConfig(
        layers=(3, 4, 5, 6, 7), covariance_weight=1000, clamp_norm=4, stop_probability=0.9,
        optimiser="natural-momentum", learning_rate=0.7, steps=30, past_keys=True,
        prefix_lengths=((10, 2), (20, 2)), unprefixed_weight=4, second_moment_tokens=61440,
    ),
}  # fmt: skip
