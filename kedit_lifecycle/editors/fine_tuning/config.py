"""Hyper-parameters of FT and FT-L, and their defaults per model."""

from __future__ import annotations

from pydantic import Field

from kedit_lifecycle.editors.base import EditorConfig


class FineTuningConfig(EditorConfig):
    """Hyper-parameters of FT and FT-L (Meng et al. 2022, appendix E.2, and the authors' hparams files)."""

    layer: int = Field(description="decoder layer whose second MLP matrix is trained", ge=0)
    steps: int = Field(default=25, description="steps of Adam, each on all requests together", ge=1, le=1000)
    learning_rate: float = Field(default=5e-4, description="Adam's step size for the weight", gt=0)
    weight_decay: float = Field(
        default=0.0,
        description="Adam's L2 penalty: this multiple of the weight is added to its gradient",
        ge=0,
    )
    stop_loss: float = Field(
        default=1e-2, description="stop when the targets' mean negative log-likelihood falls below", ge=0
    )
    norm_constraint: float | None = Field(
        default=None,
        description="every weight is kept within ± this of its value before the edit (L∞, Zhu et al. 2020); "
        "null: unconstrained",
        gt=0,
    )
    token_budget: int = Field(
        default=1024,
        description="padded tokens in one pass; a larger batch of requests accumulates its gradient over "
        "several: what bounds memory",
        ge=16,
    )


def default_fine_tuning_config(
    family: str, layers: int, d_model: int, *, constrained: bool
) -> FineTuningConfig:
    """Defaults of a known model; another one gets a layer two thirds of the way up."""
    rule = FineTuningConfig(layer=layers * 2 // 3, norm_constraint=5e-4)
    config = _DEFAULTS.get((family, layers, d_model), rule)
    return config if constrained else config.model_copy(update={"norm_constraint": None})


_DEFAULTS: dict[tuple[str, int, int], FineTuningConfig] = {
    # (family, layers, d_model), as of FT-L; the authors' hparams/FT. For Llama-3-8B those of AlphaEdit's
    # authors, who run no FT-L, with GPT-J's constraint
    ("gpt2", 48, 1600): FineTuningConfig(layer=21, norm_constraint=5e-4),
    ("gptj", 28, 4096): FineTuningConfig(layer=21, norm_constraint=5e-5),
    ("llama", 32, 4096): FineTuningConfig(layer=21, norm_constraint=5e-5),
    # SmolLM2-135M-Instruct, measured (benchmarks/results/sequences.md)
    ("llama", 30, 576): FineTuningConfig(layer=6, learning_rate=1e-3, norm_constraint=8e-3),
}
