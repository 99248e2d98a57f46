"""C = E[k kᵀ], the second moment of an MLP's keys (Meng et al. 2022, section 3.1), many layers at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.partial_run import Enough, stopped_early
from kedit_lifecycle.models.room import device_with_room
from kedit_lifecycle.models.tokens import pad_batch
from kedit_lifecycle.progress import Progress, silent

_BATCH_TOKENS = 2048


def key_width(model: EditableModel, layer: int) -> int:
    """d_ff: the number of inputs of the layer's second MLP matrix."""
    rows, columns = model.parameter(model.architecture.mlp_down_weight(layer)).shape
    return int(rows if model.architecture.transposed else columns)


def accumulate_second_moments(
    model: EditableModel,
    layers: Sequence[int],
    sequences: Iterable[Sequence[int]],
    tokens: int,
    progress: Progress = silent,
) -> dict[int, Tensor]:
    """Mean of k kᵀ over the first `tokens` tokens, per layer (d_ff, d_ff) float32; one pass for all layers.

    Sums are kept in float64: on the model's device where there is room for them, else on the CPU, with
    the same result.

    Raises:
        UsageError: if the text has no tokens.
    """
    widths = {layer: key_width(model, layer) for layer in layers}
    place = device_with_room(model.device, 8 * sum(width**2 for width in widths.values()))
    sums = {
        layer: torch.zeros(width, width, dtype=torch.float64, device=place) for layer, width in widths.items()
    }
    seen = 0
    for batch in batches(sequences, tokens, _BATCH_TOKENS):
        input_ids, mask = pad_batch(batch, model.pad_id, model.device)
        for layer, keys in _keys(model, layers, input_ids, mask).items():
            real = keys[mask.bool()].float()  # (tokens, d_ff)
            sums[layer] += (real.T @ real).to(place).double()
        seen += int(mask.sum())
        progress("key covariance", min(seen, tokens), tokens)
    if not seen:
        raise UsageError("the text for the key covariance is empty")
    return {layer: (total / seen).float().cpu() for layer, total in sums.items()}


def batches(sequences: Iterable[Sequence[int]], tokens: int, at_once: int) -> Iterator[list[Sequence[int]]]:
    """The first `tokens` tokens of the sequences, about `at_once` at a time."""
    batch: list[Sequence[int]] = []
    taken = size = 0
    for sequence in sequences:
        part = sequence[: tokens - taken]
        if not part:
            break
        batch.append(part)
        taken, size = taken + len(part), size + len(part)
        if size >= at_once:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _keys(model: EditableModel, layers: Sequence[int], input_ids: Tensor, mask: Tensor) -> dict[int, Tensor]:
    """Inputs of the layers' second MLP matrices, (batch, positions, d_ff); stops above the highest layer."""
    found: dict[int, Tensor] = {}
    top = max(layers)

    def keep(layer: int, arguments: tuple[Tensor, ...]) -> None:
        found[layer] = arguments[0].detach()
        if layer == top:
            raise Enough

    hooks = []
    for layer in layers:
        module: nn.Module = model.network.get_submodule(model.architecture.mlp_down_path(layer))
        hooks.append(module.register_forward_pre_hook(lambda _, arguments, at=layer: keep(at, arguments)))
    with stopped_early(hooks):
        model.hidden_states(input_ids, mask)
    return found
