"""GPT-NeoX and Pythia."""

from __future__ import annotations

from kedit_lifecycle.models.architectures.base import Architecture

GPT_NEOX = Architecture(
    family="gpt_neox",
    model_types=("gpt_neox",),
    backbone="gpt_neox",
    layers="gpt_neox.layers",
    final_norm="gpt_neox.final_layer_norm",
    mlp_down="mlp.dense_4h_to_h",
    attention="attention",
    mlp="mlp",
)
