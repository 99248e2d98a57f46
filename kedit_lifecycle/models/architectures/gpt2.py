"""GPT-2: Conv1D modules keep their weight as (inputs, outputs)."""

from __future__ import annotations

from kedit_lifecycle.models.architectures.base import Architecture

GPT2 = Architecture(
    family="gpt2",
    model_types=("gpt2",),
    backbone="transformer",
    layers="transformer.h",
    final_norm="transformer.ln_f",
    mlp_down="mlp.c_proj",
    attention="attn",
    mlp="mlp",
    transposed=True,
)
