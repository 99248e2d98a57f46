"""Tiny random models of every supported family, with a byte-level tokenizer trained here: no download."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GemmaConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from kedit_lifecycle.models.editable import EditableModel

CORE_FAMILIES = ("llama", "gpt2", "gptj", "gpt_neox")
FAMILIES = (*CORE_FAMILIES, "llama_tied", "qwen2", "qwen3", "mistral", "gemma", "gemma2")
WITH_BOS = frozenset({"llama", "llama_tied", "mistral", "gemma", "gemma2"})

BOS, EOS = 0, 1
WIDTH, LAYERS, HEADS, FEED_FORWARD, POSITIONS, VOCABULARY = 32, 3, 4, 64, 512, 400

TRAINING_TEXT = (
    "The capital of France is Paris. The capital of Italy is Rome. The capital of Japan is Tokyo.\n"
    "The Eiffel Tower is in Paris, the Colosseum is in Rome, and Big Ben is in London.\n"
    "The mother tongue of Danielle Darrieux is French. The official language of Italy is Italian.\n"
    "Albert Einstein was a physicist who was born in Germany and worked in Switzerland and America.\n"
    "The river runs through the city, and the bridge over the river was built two hundred years ago.\n"
    "Water boils at one hundred degrees. Mozart wrote music; Shakespeare wrote plays. What is it?\n"
)


@lru_cache(maxsize=2)
def _trained(with_bos: bool) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TRAINING_TEXT.splitlines(), trainer)
    if with_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BOS)]
        )
    else:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer.to_str()


def tiny_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 400 tokens; BOS where the family has one, and pad is EOS."""
    tokenizer_class: Any = PreTrainedTokenizerFast  # transformers leaves this constructor unannotated
    tokenizer: PreTrainedTokenizerFast = tokenizer_class(
        tokenizer_object=Tokenizer.from_str(_trained(family in WITH_BOS)),
        bos_token="<s>" if family in WITH_BOS else "</s>",
        eos_token="</s>",
        pad_token="</s>",
    )
    return tokenizer


_TOKENS: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
    "pad_token_id": EOS,
}
_LLAMA_LIKE: dict[str, Any] = _TOKENS | {
    "hidden_size": WIDTH,
    "intermediate_size": FEED_FORWARD,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 2,
    "max_position_embeddings": POSITIONS,
}
_GPT_LIKE: dict[str, Any] = _TOKENS | {
    "n_embd": WIDTH,
    "n_layer": LAYERS,
    "n_head": HEADS,
    "n_inner": FEED_FORWARD,
    "n_positions": POSITIONS,
}
_NEOX_LIKE = {key: value for key, value in _LLAMA_LIKE.items() if key != "num_key_value_heads"}

# Every call makes a new config, so that no two models share one.
_CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "llama": lambda: LlamaConfig(**_LLAMA_LIKE, tie_word_embeddings=False),
    "llama_tied": lambda: LlamaConfig(**_LLAMA_LIKE, tie_word_embeddings=True),
    "gpt2": lambda: GPT2Config(**_GPT_LIKE, resid_pdrop=0.1),
    "gptj": lambda: GPTJConfig(**_GPT_LIKE, rotary_dim=4, tie_word_embeddings=False),
    "gpt_neox": lambda: GPTNeoXConfig(
        **_NEOX_LIKE,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
        tie_word_embeddings=False,
    ),
    "qwen2": lambda: Qwen2Config(**_LLAMA_LIKE, tie_word_embeddings=True),
    "qwen3": lambda: Qwen3Config(**_LLAMA_LIKE, head_dim=WIDTH // HEADS, tie_word_embeddings=True),
    "mistral": lambda: MistralConfig(**_LLAMA_LIKE, sliding_window=None),
    "gemma": lambda: GemmaConfig(**_LLAMA_LIKE, head_dim=WIDTH // HEADS),
    "gemma2": lambda: Gemma2Config(
        **_LLAMA_LIKE, head_dim=WIDTH // HEADS, query_pre_attn_scalar=8, sliding_window=POSITIONS
    ),
}


def tiny_model(
    family: str, dtype: torch.dtype = torch.float32, *, seed: int = 0
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A random model of `family` (one of FAMILIES) in eval mode, and its tokenizer.

    Width 32, 3 layers, 4 heads, feed-forward 64, 512 positions, 400 tokens; equal seeds give equal
    bytes. Weights are drawn wide, so that attention, order and every layer matter to the output.
    """
    auto_class: Any = AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Any = auto_class.from_config(_CONFIGS[family](), dtype=torch.float32)
        _redraw(network)
    return network.to(dtype).eval(), tiny_tokenizer(family)


def _redraw(network: PreTrainedModel) -> None:
    """Matrices with standard deviation 0.25, biases and norm weights moved off their neutral values."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.25)
            else:
                parameter.add_(torch.randn_like(parameter), alpha=0.1)


def tiny_editable(family: str, dtype: torch.dtype = torch.float32, *, seed: int = 0) -> EditableModel:
    """`tiny_model` as an EditableModel named after its family."""
    network, tokenizer = tiny_model(family, dtype, seed=seed)
    return EditableModel(network, tokenizer, name=family, source="tiny")


def save_tiny(family: str, folder: Path | str, dtype: torch.dtype = torch.float32, *, seed: int = 0) -> Path:
    """Write `tiny_model(family, dtype, seed=seed)` as a Hugging Face folder; returns the folder."""
    network, tokenizer = tiny_model(family, dtype, seed=seed)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)
