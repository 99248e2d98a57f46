"""MEMIT's hyper-parameters, and their defaults per model."""

from __future__ import annotations

from pydantic import Field

from kedit_lifecycle.editors.locate.spread_editor import SpreadConfig


class MemitConfig(SpreadConfig):
    """Hyper-parameters of MEMIT (Meng et al. 2023, appendix B), with ENCORE's terms (Gupta et al. 2025)."""

    covariance_weight: float = Field(
        default=15000,
        description="λ of λ E[k kᵀ]: how much what the model knows weighs against the edits; scale it with "
        "d_ff",
        gt=0,
    )
    frobenius_weight: float = Field(
        default=0, description="ENCORE's penalty on ‖ΔW‖²: added to λ E[k kᵀ] as a multiple of I", ge=0
    )
    past_keys: bool = Field(
        default=False, description="ENCORE: what earlier edits wrote is kept in place as well"
    )


def default_memit_config(family: str, layers: int, d_model: int, d_ff: int) -> MemitConfig:
    """Published values for GPT-2 XL, GPT-J and Llama-3-8B, measured for the default model, else a rule."""
    if (family, layers, d_model) in _DEFAULTS:
        return _DEFAULTS[family, layers, d_model]
    first = layers // 8
    return MemitConfig(
        layers=tuple(range(first, max(min(first + 5, layers - 1), first + 1))),
        covariance_weight=d_ff,
        clamp_norm=4,
        stop_probability=0.9,
    )


_PUBLISHED_PREFIXES = ((10, 5),)
_DEFAULTS: dict[tuple[str, int, int], MemitConfig] = {
    # (family, layers, d_model); the authors' hparams/MEMIT, and for Llama-3-8B those of AlphaEdit's authors
    ("gpt2", 48, 1600): MemitConfig(
        layers=(13, 14, 15, 16, 17), covariance_weight=20000, prefix_lengths=_PUBLISHED_PREFIXES
    ),
    ("gptj", 28, 4096): MemitConfig(
        layers=(3, 4, 5, 6, 7, 8), steps=25, prefix_lengths=_PUBLISHED_PREFIXES
    ),
    ("llama", 32, 4096): MemitConfig(
        layers=(4, 5, 6, 7, 8), steps=25, learning_rate=0.1, prefix_lengths=_PUBLISHED_PREFIXES
    ),
    ("llama", 30, 576): MemitConfig(
        layers=(3, 4, 5, 6, 7), covariance_weight=1000, clamp_norm=4, stop_probability=0.95, rounds=2,
        optimiser="natural-momentum", learning_rate=0.7, steps=30, past_keys=True,
        prefix_lengths=((10, 2), (20, 2)), unprefixed_weight=4, averaged_residual=True,
        second_moment_tokens=61440,
    ),
}  # fmt: skip
