"""ROME's hyper-parameters, and their defaults per model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kedit_lifecycle.editors.locate.config import ValueSearchConfig


class RomeConfig(ValueSearchConfig):
    """Hyper-parameters of ROME (Meng et al. 2022, appendix E.5, and the authors' hparams files)."""

    layer: int = Field(description="decoder layer whose second MLP matrix is changed", ge=0)
    variant: Literal["averaged-key", "original"] = Field(
        default="averaged-key",
        description="averaged-key: the prefix-averaged key on both sides of eq. 2 (r-ROME, Gupta et al. "
        "2024), and the KL behind the essence prompt, as in the paper; original: as in the published code, "
        "the averaged key in C⁻¹k* and the unprefixed one elsewhere, and the KL at the subject's last token",
    )
    covariance: bool = Field(
        default=True, description="weigh keys by C⁻¹; false takes C = I (no statistics needed)"
    )
    past_keys: bool = Field(
        default=False,
        description="keep what earlier edits wrote in place as well: C becomes λ E[k kᵀ] + Σ k kᵀ over "
        "their keys, as in ENCORE (Gupta et al. 2025)",
    )
    covariance_weight: float = Field(
        default=1.0, description="λ of λ E[k kᵀ]; it matters only beside past_keys", gt=0
    )
    second_moment: str | None = Field(
        default=None,
        description="the C to use, by the beginning of its digest in `kedit stats list`; null: from the "
        "model's own samples, built when it is first needed",
    )


_DEFAULTS: dict[tuple[str, int, int], RomeConfig] = {
    # (family, layers, d_model); the authors' hparams/ROME/{gpt2-xl,EleutherAI_gpt-j-6B}.json
    ("gpt2", 48, 1600): RomeConfig(layer=17),
    ("gptj", 28, 4096): RomeConfig(layer=5),
    # SmolLM2-135M-Instruct, measured by benchmarks/rome_layers.py
    ("llama", 30, 576): RomeConfig(
        layer=4,
        prefix_lengths=((10, 2), (20, 2)),
        unprefixed_weight=4.0,
        stop_probability=0.9,
        rounds=2,
        optimiser="natural-momentum",
        learning_rate=0.5,
        clamp_floor=1.0,
        past_keys=True,
        covariance_weight=100.0,
        second_moment_tokens=61440,
    ),
}


def default_rome_config(family: str, layers: int, d_model: int) -> RomeConfig:
    """Defaults of a known model; another one gets a layer a quarter of the way up.

    Causal tracing finds early-middle MLPs decisive (Meng et al. 2022, section 2).
    """
    return _DEFAULTS.get((family, layers, d_model), RomeConfig(layer=layers // 4))
