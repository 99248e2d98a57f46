"""F = E[g gᵀ], the Fisher information of what a layer's MLP puts out, many layers at once.

g is the gradient of a text's negative log-likelihood at the MLP's output at one of its positions. The
texts are the model's own samples, so the mean is the Fisher information of its predictions, one token
sampled where the expectation is over all (Martens 2020, section 5); it is the factor of the output side
in K-FAC (Martens & Grosse 2015). δᵀ F δ / 2 is what a small δ that does not belong there costs, in nats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from kedit_lifecycle.editors.statistics.second_moment import batches
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import pad_batch
from kedit_lifecycle.progress import Progress, silent

_BATCH_TOKENS = 512  # each with its logits and their gradient


def accumulate_output_fishers(
    model: EditableModel,
    layers: Sequence[int],
    sequences: Iterable[Sequence[int]],
    tokens: int,
    progress: Progress = silent,
) -> dict[int, Tensor]:
    """Mean of g gᵀ over the positions that a later token follows, per layer, (d_model, d_model) float32.

    The first `tokens` tokens of the sequences are read; sums are kept in float64 on the CPU.

    Raises:
        UsageError: if no token follows another in the text.
    """
    width = model.network.config.hidden_size
    sums = {layer: torch.zeros(width, width, dtype=torch.float64) for layer in layers}
    seen = positions = 0
    for batch in batches(sequences, tokens, _BATCH_TOKENS):
        input_ids, mask = pad_batch(batch, model.pad_id, model.device)
        followed = mask[:, :-1].bool() & mask[:, 1:].bool()
        seen, positions = seen + int(mask.sum()), positions + int(followed.sum())
        if followed.any():
            for layer, gradient in _gradients(model, layers, input_ids, mask, followed).items():
                rows = gradient[:, :-1][followed].double().cpu()  # (positions, d_model)
                sums[layer] += rows.T @ rows
        progress("Fisher information", min(seen, tokens), tokens)
    if not positions:
        raise UsageError("the text for the Fisher information is empty")
    return {layer: (total / positions).float() for layer, total in sums.items()}


def _gradients(
    model: EditableModel, layers: Sequence[int], input_ids: Tensor, mask: Tensor, followed: Tensor
) -> dict[int, Tensor]:
    """Of the summed NLL of all tokens, at the MLPs' outputs, (batch, positions, d_model)."""
    outputs: dict[int, Tensor] = {}

    def keep(layer: int, output: Tensor) -> Tensor:
        outputs[layer] = output.detach().requires_grad_() if layer == min(layers) else output
        return outputs[layer]

    def hook(layer: int) -> Any:
        module = model.network.get_submodule(model.architecture.mlp_down_path(layer))
        return module.register_forward_hook(lambda _, __, output: keep(layer, output))

    hooks = [hook(layer) for layer in layers]
    try:
        with torch.enable_grad():
            hidden = model.hidden_states(input_ids, mask).last_hidden_state[:, :-1]
            logits = model.logits(hidden[followed])
            loss = torch.nn.functional.cross_entropy(logits, input_ids[:, 1:][followed], reduction="sum")
            found = torch.autograd.grad(loss, [outputs[layer] for layer in layers])
    finally:
        for one in hooks:
            one.remove()
    return dict(zip(layers, found, strict=True))
