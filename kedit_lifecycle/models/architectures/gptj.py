"""GPT-J: attention and MLP read the same input and are added to the stream together."""

from __future__ import annotations

from kedit_lifecycle.models.architectures.base import Architecture

GPTJ = Architecture(
    family="gptj",
    model_types=("gptj",),
    backbone="transformer",
    layers="transformer.h",
    final_norm="transformer.ln_f",
    mlp_down="mlp.fc_out",
    attention="attn",
    mlp="mlp",
)
