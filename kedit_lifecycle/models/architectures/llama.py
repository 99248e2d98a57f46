"""Llama and the families that share its module names: SmolLM, Mistral, Qwen2, Qwen3, Gemma."""

from __future__ import annotations

from kedit_lifecycle.models.architectures.base import Architecture

LLAMA = Architecture(
    family="llama",
    model_types=("llama", "mistral", "qwen2", "qwen3", "gemma", "smollm3"),
    backbone="model",
    layers="model.layers",
    final_norm="model.norm",
    mlp_down="mlp.down_proj",
    attention="self_attn",
    mlp="mlp",
)
