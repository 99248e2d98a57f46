"""A tiny Llama as a GGUF file, as the default model's package carries one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tiny import BOS, EOS, tiny_model

_TENSORS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_LAYER_TENSORS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
}


def save_tiny_gguf(path: Path, family: str = "llama_tied") -> Path:
    """Write `tiny_model(family)`, a Llama with tied embeddings or without, as float32 GGUF."""
    network, tokenizer = tiny_model(family)
    writer = gguf.GGUFWriter(str(path), "llama")
    _write_config(writer, network.config)
    _write_vocabulary(writer, json.loads(tokenizer.backend_tokenizer.to_str())["model"])
    for name, parameter in network.named_parameters():
        values = parameter.detach().numpy()
        if ".q_proj." in name or ".k_proj." in name:
            values = _pair_rotary_halves(values, network.config.head_dim)
        writer.add_tensor(_gguf_name(name), np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_config(writer: Any, config: Any) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)


def _write_vocabulary(writer: Any, model: dict[str, Any]) -> None:
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in ("<s>", "</s>") else 1 for token in tokens])  # 3: control
    writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)


def _gguf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem in _TENSORS:
        return f"{_TENSORS[stem]}.weight"
    _, _, layer, rest = stem.split(".", 3)
    return f"blk.{layer}.{_LAYER_TENSORS[rest]}.weight"


def _pair_rotary_halves(values: Any, head_width: int) -> Any:
    """GGUF's order of a head's rows: x₀ x_{w/2} x₁ …; Hugging Face has one half, then the other."""
    heads = values.reshape(-1, 2, head_width // 2, values.shape[1])
    return heads.swapaxes(1, 2).reshape(values.shape)
