"""What kedit must know about a model family: the names of its modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Architecture:
    """Names of the modules of one family of causal language models.

    `mlp_down` is the MLP's second matrix, the one locate-then-edit methods write to (its input is
    the key of d_ff values, its output the value of d_model). `transposed` says that its weight is
    stored (d_ff, d_model), as GPT-2's Conv1D does, and not (d_model, d_ff). The output of
    `mlp_down` must be added to the residual stream as it is, with no norm or scale in between.
    """

    family: str
    model_types: tuple[str, ...]
    backbone: str
    layers: str
    final_norm: str
    mlp_down: str
    attention: str
    mlp: str
    transposed: bool = False

    def mlp_down_path(self, layer: int) -> str:
        """Dotted path of the layer's second MLP matrix."""
        return f"{self.layers}.{layer}.{self.mlp_down}"

    def mlp_down_weight(self, layer: int) -> str:
        """Name of the parameter that locate-then-edit methods change in this layer."""
        return f"{self.mlp_down_path(layer)}.weight"

    def layer_modules(self, network: nn.Module) -> list[nn.Module]:
        """The decoder layers in order."""
        return list(network.get_submodule(self.layers).children())

    def logits(self, network: Any, hidden: Tensor) -> Tensor:
        """The LM head on final-normed hidden states (…, d_model) -> (…, vocabulary), in float32."""
        logits: Tensor = network.get_output_embeddings()(hidden).float()
        cap = getattr(network.config, "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)
