"""v*: the value that makes the model say the target (Meng et al. 2022, section 3.1, eq. 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kedit_lifecycle.editors.rome.config import RomeConfig
from kedit_lifecycle.editors.suffix_forward import SuffixForward
from kedit_lifecycle.errors import EditFailedError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import EncodedFact, encode_fact
from kedit_lifecycle.progress import Progress, silent

ESSENCE_PROMPT = "{} is a"


@dataclass(frozen=True)
class ValueSearch:
    """What the optimisation found, in float32 on the CPU.

    Attributes:
        key: the edit's own key at the subject's last token, unprefixed, (d_ff,).
        mean_key: averaged over the contexts, (d_ff,).
        value: the MLP's output at `key`, (d_model,).
        mean_value: its output averaged over the contexts, (d_model,).
        delta: v* − value, (d_model,).
        losses: the whole loss at every step.
        probability: the target's probability, geometric mean over its tokens, least over contexts.
    """

    key: Tensor
    mean_key: Tensor
    value: Tensor
    mean_value: Tensor
    delta: Tensor
    losses: list[float] = field(default_factory=list)
    probability: float = 0.0


@dataclass(frozen=True)
class _Places:
    """Where in the suffixes to read logits; the last row of the batch is the essence prompt."""

    contexts: int
    target_rows: Tensor  # (targets,) row of each target token's logits
    target_columns: Tensor  # (targets,) place in the suffix that predicts it
    target_ids: Tensor  # (targets,)
    essence_column: int


def _encode(model: EditableModel, request: EditRequest, prefixes: Sequence[str]) -> list[EncodedFact]:
    tokenizer, subject = model.tokenizer, request.subject
    facts = [
        encode_fact(tokenizer, request.prompt, subject, request.target_new, prefix)
        for prefix in ("", *(f"{text}. " for text in prefixes))
    ]
    return [*facts, encode_fact(tokenizer, ESSENCE_PROMPT, subject)]


def _places(facts: Sequence[EncodedFact], device: torch.device, *, behind_essence: bool) -> _Places:
    predictions = [
        (row, position - 1 - fact.subject_last, fact.ids[position])
        for row, fact in enumerate(facts[:-1])
        for position in range(fact.target_start, len(fact.ids))
    ]
    rows, columns, ids = (torch.tensor(part, device=device) for part in zip(*predictions, strict=True))
    essence = facts[-1]
    essence_column = len(essence.ids) - 1 - essence.subject_last if behind_essence else 0
    return _Places(len(facts) - 1, rows, columns, ids, essence_column)


def search_value(
    model: EditableModel,
    request: EditRequest,
    config: RomeConfig,
    prefixes: Sequence[str],
    progress: Progress = silent,
) -> ValueSearch:
    """Optimise δ so that value + δ at the subject's last token yields the target in every context.

    Loss: mean NLL of the target over contexts + kl_factor · KL(before ‖ after) on "{subject} is a"
    + weight_decay · ‖δ‖ / ‖value‖², as in the authors' code.

    Raises:
        EditFailedError: if the loss is not finite.
    """
    facts = _encode(model, request, prefixes)
    places = _places(facts, model.device, behind_essence=config.variant != "original")
    # the last target token predicts nothing that is asked for
    sequences = [fact.ids[:-1] for fact in facts[:-1]] + [facts[-1].ids]
    forward = SuffixForward(model, config.layer, sequences, [fact.subject_last for fact in facts])
    keys, values = forward.keys[:-1].float(), forward.values[:-1].float()  # the essence prompt is no context
    delta, losses, probability = _optimise(model, request, config, forward, places, values[0], progress)
    return ValueSearch(
        key=keys[0].cpu(),
        mean_key=_average(keys, config).cpu(),
        value=values[0].cpu(),
        mean_value=_average(values, config).cpu(),
        delta=delta.detach().cpu(),
        losses=losses,
        probability=probability,
    )


def _average(contexts: Tensor, config: RomeConfig) -> Tensor:
    """Mean over the contexts, (contexts, width) -> (width,); the first is the prompt without a prefix."""
    weights = torch.ones(len(contexts), 1, device=contexts.device)
    weights[0] = config.unprefixed_weight
    return (weights * contexts).sum(0) / weights.sum()


def _optimise(
    model: EditableModel,
    request: EditRequest,
    config: RomeConfig,
    forward: SuffixForward,
    places: _Places,
    value: Tensor,
    progress: Progress,
) -> tuple[Tensor, list[float], float]:
    with torch.no_grad():
        essence = model.logits(forward.final[-1, places.essence_column]).log_softmax(-1)
    delta = torch.zeros_like(value, requires_grad=True)
    optimiser = torch.optim.Adam([delta], lr=config.learning_rate)
    losses: list[float] = []
    probability = 0.0
    for step in range(config.steps):
        nll, kl = _terms(model, forward, places, delta, essence)
        decay = config.weight_decay * delta.norm() / value.norm() ** 2
        loss = nll.mean() + config.kl_factor * kl + decay
        losses.append(float(loss.detach()))
        if not torch.isfinite(loss):
            raise EditFailedError(
                f"the optimisation of v* gave {losses[-1]} at step {step} for {request.question!r}",
                hint="a smaller learning_rate, or another layer; a float16 model may need float32",
            )
        probability = _least_context_probability(nll.detach(), places)
        progress("v*", step + 1, config.steps)
        if _may_stop(config, losses[-1], probability) or step == config.steps - 1:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        _clamp(delta, value, config.clamp_norm)
    return delta, losses, probability


def _terms(
    model: EditableModel, forward: SuffixForward, places: _Places, delta: Tensor, essence: Tensor
) -> tuple[Tensor, Tensor]:
    """NLL of each target token, (targets,), and KL(before ‖ after) on the essence prompt."""
    shifted = forward.stream[:, :1] + delta.to(forward.stream.dtype)
    final = forward.run(torch.cat([shifted, forward.stream[:, 1:]], dim=1))
    wanted = torch.cat([final[places.target_rows, places.target_columns], final[-1:, places.essence_column]])
    log_probabilities = model.logits(wanted).log_softmax(-1)  # (targets + 1, vocabulary)
    nll = -log_probabilities[:-1].gather(1, places.target_ids[:, None]).squeeze(1)
    kl = (essence.exp() * (essence - log_probabilities[-1])).sum()
    return nll, kl


def _least_context_probability(nll: Tensor, places: _Places) -> float:
    empty = torch.zeros(places.contexts, device=nll.device)
    total = empty.index_add(0, places.target_rows, nll)
    count = empty.index_add(0, places.target_rows, torch.ones_like(nll))
    return float((-(total / count)).exp().min())


def _may_stop(config: RomeConfig, loss: float, probability: float) -> bool:
    sure = config.stop_probability is not None and probability > config.stop_probability
    return loss < config.stop_loss or sure


def _clamp(delta: Tensor, value: Tensor, clamp_norm: float | None) -> None:
    if clamp_norm is None:
        return
    with torch.no_grad():
        limit = clamp_norm * value.norm()
        if delta.norm() > limit:
            delta.mul_(limit / delta.norm())
