"""ROME as the paper writes it, slowly: whole model, every step, one context after another, float64.

The product's fast path is held to this. It shares no code with it beyond the encoding of facts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kedit_lifecycle.editors.rome import RomeConfig
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import EncodedFact, encode_fact


@dataclass(frozen=True)
class PlainResult:
    """v* − value, the whole loss at each step, and W' − W as (d_model, d_ff)."""

    delta: Tensor
    losses: list[float]
    change: Tensor


def plain_rome(
    model: EditableModel, request: EditRequest, config: RomeConfig, prefixes: list[str], second_moment: Tensor
) -> PlainResult:
    tokenizer = model.tokenizer
    contexts = [
        encode_fact(tokenizer, request.prompt, request.subject, request.target_new, prefix)
        for prefix in ["", *(f"{prefix}. " for prefix in prefixes)]
    ]
    essence = encode_fact(tokenizer, "{} is a", request.subject)
    module = model.network.get_submodule(model.architecture.mlp_down_path(config.layer))
    keys, values = zip(*(_key_and_value(model, module, fact) for fact in contexts), strict=True)
    essence_place = essence.subject_last if config.variant == "original" else len(essence.ids) - 1
    before = _log_probabilities(model, module, essence, None)[essence_place].detach()
    delta = torch.zeros_like(values[0], requires_grad=True)
    adam = torch.optim.Adam([delta], lr=config.learning_rate)
    losses = []
    for step in range(config.steps):
        nlls = []
        for fact in contexts:
            log_probabilities = _log_probabilities(model, module, fact, delta)
            places = range(fact.target_start, len(fact.ids))
            nlls.append(-torch.stack([log_probabilities[i - 1, fact.ids[i]] for i in places]).mean())
        after = _log_probabilities(model, module, essence, delta)[essence_place]
        kl = (before.exp() * (before - after)).sum()
        decay = delta.norm() / values[0].norm() ** 2
        loss = torch.stack(nlls).mean() + config.kl_factor * kl + config.weight_decay * decay
        losses.append(float(loss.detach()))
        if losses[-1] < config.stop_loss or step == config.steps - 1:
            break
        adam.zero_grad()
        loss.backward()
        adam.step()
        if config.clamp_norm is not None:
            with torch.no_grad():
                limit = config.clamp_norm * values[0].norm()
                if delta.norm() > limit:
                    delta.mul_(limit / delta.norm())
    found = delta.detach()
    return PlainResult(found, losses, _change(config, found, keys, values, second_moment))


def _change(
    config: RomeConfig, delta: Tensor, keys: tuple[Tensor, ...], values: tuple[Tensor, ...], moment: Tensor
) -> Tensor:
    bare = config.unprefixed_weight
    mean_key = (bare * keys[0] + sum(keys[1:])) / (bare + len(keys) - 1)
    mean_value = (bare * values[0] + sum(values[1:])) / (bare + len(values) - 1)
    weighted = torch.linalg.solve(moment.double(), mean_key)
    v_star = values[0] + delta
    if config.variant == "original":
        residual, key = v_star - values[0], keys[0]
    else:
        residual, key = v_star - mean_value, mean_key
    change: Tensor = torch.outer(residual, weighted) / (weighted @ key)
    return change


def _key_and_value(model: EditableModel, module: Any, fact: EncodedFact) -> tuple[Tensor, Tensor]:
    kept: dict[str, Tensor] = {}

    def keep(_: Any, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        kept["key"], kept["value"] = arguments[0][0, fact.subject_last], output[0, fact.subject_last]

    hook = module.register_forward_hook(keep)
    with torch.no_grad():
        model.network(input_ids=torch.tensor([fact.ids]))
    hook.remove()
    return kept["key"], kept["value"]


def _log_probabilities(model: EditableModel, module: Any, fact: EncodedFact, delta: Tensor | None) -> Tensor:
    """(positions, vocabulary) of the whole model, with δ added to the MLP's output at the subject."""

    def add(_: Any, __: Any, output: Tensor) -> Tensor:
        if delta is None:
            return output
        changed = output.clone()
        changed[0, fact.subject_last] += delta
        return changed

    hook = module.register_forward_hook(add)
    logits: Tensor = model.network(input_ids=torch.tensor([fact.ids])).logits[0]
    hook.remove()
    log_probabilities: Tensor = logits.log_softmax(-1)
    return log_probabilities
