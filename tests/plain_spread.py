"""MEMIT, AlphaEdit and EMMET as the papers write them, slowly, in float64.

Every step of the search runs the whole model, one context after another; every solve is of a
d_ff × d_ff system. The product's engine is held to this. It shares no code with it beyond the encoding
of facts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kedit_lifecycle.editors.locate.spread_editor import SpreadConfig
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import EncodedFact, encode_fact

Formula = Callable[[int, Tensor, Tensor], Tensor]
"""ΔW (d_model, d_ff) of a layer for keys K (d_ff, n) and residuals R (d_model, n)."""


class PlainModel:
    """A float64 copy of a model's network, whose layers can be read, pushed and changed."""

    def __init__(self, model: EditableModel) -> None:
        self.network: Any = copy.deepcopy(model.network).double()
        self.tokenizer = model.tokenizer
        self.transposed = model.architecture.transposed
        self._layers = model.architecture.layer_modules(self.network)
        self._down = [
            self.network.get_submodule(model.architecture.mlp_down_path(layer))
            for layer in range(len(self._layers))
        ]

    def down(self, layer: int) -> Any:
        """The module of a layer's second MLP matrix."""
        return self._down[layer]

    def encode(self, request: EditRequest, prefixes: Sequence[str]) -> list[EncodedFact]:
        """The prompt with its target: alone, then behind every prefix."""
        return [
            encode_fact(self.tokenizer, request.prompt, request.subject, request.target_new, prefix)
            for prefix in ["", *(f"{prefix}. " for prefix in prefixes)]
        ]

    def essence(self, request: EditRequest) -> EncodedFact:
        """ "{subject} is a"."""
        return encode_fact(self.tokenizer, "{} is a", request.subject)

    def log_probabilities(self, fact: EncodedFact, layer: int, delta: Tensor | None = None) -> Tensor:
        """(positions, vocabulary), with δ added to the output of a decoder layer at the subject's end."""

        def add(_: Any, __: Any, output: Any) -> Any:
            if delta is None:
                return output
            changed = (output[0] if isinstance(output, tuple) else output).clone()
            changed[0, fact.subject_last] += delta
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        hook = self._layers[layer].register_forward_hook(add)
        logits: Tensor = self.network(input_ids=torch.tensor([fact.ids])).logits[0]
        hook.remove()
        assert logits.dtype == torch.float64
        log_probabilities: Tensor = logits.log_softmax(-1)
        return log_probabilities

    def at_subject(self, fact: EncodedFact, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Key (d_ff,), MLP value (d_model,) and stream behind the layer (d_model,) at the subject's end."""
        kept: dict[str, Tensor] = {}

        def keep_mlp(_: Any, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            kept["key"], kept["value"] = arguments[0], output

        def keep_stream(_: Any, __: Any, output: Any) -> None:
            kept["stream"] = output[0] if isinstance(output, tuple) else output

        hooks = [
            self._down[layer].register_forward_hook(keep_mlp),
            self._layers[layer].register_forward_hook(keep_stream),
        ]
        with torch.no_grad():
            self.network(input_ids=torch.tensor([fact.ids]))
        for hook in hooks:
            hook.remove()
        key, value, stream = (kept[name][0, fact.subject_last] for name in ("key", "value", "stream"))
        return key, value, stream

    def weight(self, layer: int) -> Tensor:
        """W (d_model, d_ff) of a layer's second MLP matrix, as it is now."""
        stored: Tensor = self._down[layer].weight.detach()
        return stored.T if self.transposed else stored

    def add(self, layer: int, change: Tensor) -> None:
        """W ← W + ΔW."""
        self.weight(layer).add_(change)


@dataclass(frozen=True)
class PlainStep:
    """One step of the search, before δ is moved."""

    delta: Tensor
    loss: float
    probability: float
    certain: bool


@dataclass(frozen=True)
class PlainValue:
    """The steps up to the stop; the MLP's value and the stream at the unprefixed prompt."""

    steps: list[PlainStep]
    value: Tensor
    stream: Tensor

    @property
    def delta(self) -> Tensor:
        return self.steps[-1].delta

    @property
    def losses(self) -> list[float]:
        return [step.loss for step in self.steps]


def plain_value(
    plain: PlainModel,
    request: EditRequest,
    config: SpreadConfig,
    prefixes: Sequence[str],
    scale: float = 0.0,
    fisher: Tensor | None = None,
) -> PlainValue:
    """The search for one request; `scale` is the √E‖W k‖² that clamp_floor is a share of.

    `fisher` is the F of `natural-momentum`.
    """
    layer = config.layers[-1]
    facts, essence = plain.encode(request, prefixes), plain.essence(request)
    _, value, stream = plain.at_subject(facts[0], layer)
    before = plain.log_probabilities(essence, layer)[-1].detach()
    delta = torch.zeros_like(stream, requires_grad=True)
    move = _adam(config, delta) if fisher is None else _natural(config, delta, fisher)
    steps: list[PlainStep] = []
    while True:
        told = [_target_nll(plain, fact, layer, delta) for fact in facts]
        nll = torch.stack([one for one, _ in told])
        after = plain.log_probabilities(essence, layer, delta)[-1]
        kl = (before.exp() * (before - after)).sum()
        decay = config.weight_decay * delta.norm() / stream.norm() ** 2
        loss = nll.mean() + config.kl_factor * kl + decay
        probability, certain = float(nll.detach().max().neg().exp()), all(sure for _, sure in told)
        steps.append(PlainStep(delta.detach().clone(), float(loss.detach()), probability, certain))
        if len(steps) == config.steps or _stops(config, steps[-1]):
            return PlainValue(steps, value, stream)
        delta.grad = None
        loss.backward()
        move()
        _clamp(delta, config.clamp_norm, max(float(stream.norm()), config.clamp_floor * scale))


def _adam(config: SpreadConfig, delta: Tensor) -> Callable[[], Any]:
    return torch.optim.Adam([delta], lr=config.learning_rate).step


def _natural(config: SpreadConfig, delta: Tensor, fisher: Tensor) -> Callable[[], None]:
    """m ← μ m + g, δ ← δ − η √d u/‖u‖ with (F/f + damping I) u = m, f the mean eigenvalue of F."""
    average = torch.zeros_like(delta)
    damped = fisher / torch.linalg.eigvalsh(fisher).mean() + config.fisher_damping * torch.eye(len(fisher))

    def move() -> None:
        assert delta.grad is not None
        average.copy_(config.momentum * average + delta.grad)
        towards = torch.linalg.solve(damped, average)
        with torch.no_grad():
            delta.sub_(config.learning_rate * len(delta) ** 0.5 * towards / towards.norm())

    return move


def plain_output_fisher(plain: PlainModel, layer: int, texts: Sequence[Sequence[int]]) -> Tensor:
    """E[g gᵀ] (d_model, d_model): gradients of each text's NLL at the MLP's output, at all but its end."""
    rows: list[Tensor] = []
    for text in texts:
        kept: list[Tensor] = []

        def keep(_: Any, __: Any, output: Tensor, kept: list[Tensor] = kept) -> None:
            kept.append(output.requires_grad_())

        hook = plain.down(layer).register_forward_hook(keep)
        with torch.enable_grad():
            logits: Tensor = plain.network(input_ids=torch.tensor([list(text)])).logits[0]
            nll = -sum(logits[i].log_softmax(-1)[text[i + 1]] for i in range(len(text) - 1))
        hook.remove()
        if len(text) > 1:
            rows += torch.autograd.grad(nll, kept)[0][0, :-1]  # type: ignore[arg-type]
    together = torch.stack(rows)
    return together.T @ together / len(together)


def _target_nll(plain: PlainModel, fact: EncodedFact, layer: int, delta: Tensor) -> tuple[Tensor, bool]:
    """Mean NLL of the target's tokens, and whether each of them is the most probable one."""
    log_probabilities = plain.log_probabilities(fact, layer, delta)
    places = range(fact.target_start, len(fact.ids))
    nll = -torch.stack([log_probabilities[i - 1, fact.ids[i]] for i in places]).mean()
    return nll, all(int(log_probabilities[i - 1].argmax()) == fact.ids[i] for i in places)


def _stops(config: SpreadConfig, step: PlainStep) -> bool:
    likely = config.stop_probability is not None and step.probability > config.stop_probability
    return step.loss < config.stop_loss or likely or (config.stop_at_argmax and step.certain)


def _clamp(delta: Tensor, factor: float | None, norm: float) -> None:
    with torch.no_grad():
        if factor is not None and delta.norm() > factor * norm:
            delta.mul_(factor * norm / delta.norm())


@dataclass(frozen=True)
class PlainSpread:
    """ΔW (d_model, d_ff) of each layer, and each request's share of the residual that is left."""

    changes: list[Tensor]
    residual_left: list[float]


def plain_spread(
    plain: PlainModel,
    requests: Sequence[EditRequest],
    config: SpreadConfig,
    prefixes: Sequence[str],
    targets: Sequence[Tensor],
    formula: Formula,
) -> PlainSpread:
    """Bring the last layer's output at the unprefixed prompts to `targets`; `plain` stays changed.

    Meng et al. 2023, algorithm 1: keys and residuals are read anew before each layer. With
    `averaged_residual` the mean output of all contexts is to change as much.
    """
    facts = [plain.encode(request, prefixes) for request in requests]
    read = [one if config.averaged_residual else one[:1] for one in facts]
    weights = torch.tensor([config.unprefixed_weight, *(1.0 for _ in read[0][1:])], dtype=torch.float64)

    def outputs() -> Tensor:  # (d_model, n)
        streams = [[plain.at_subject(fact, config.layers[-1])[2] for fact in one] for one in read]
        return torch.stack([torch.stack(one, 1) @ weights / weights.sum() for one in streams], 1)

    bare = [plain.at_subject(one[0], config.layers[-1])[2] for one in facts]
    wanted = outputs() + torch.stack(list(targets), 1) - torch.stack(bare, 1)

    def residuals() -> Tensor:  # (d_model, n)
        return wanted - outputs()

    missing = residuals().norm(dim=0)
    changes = []
    for place, layer in enumerate(config.layers):
        keys = [_mean_key(plain, one, layer, config.unprefixed_weight) for one in facts]
        share = residuals() / (len(config.layers) - place)
        changes.append(formula(layer, torch.stack(keys, 1), share))
        plain.add(layer, changes[-1])
    return PlainSpread(changes, (residuals().norm(dim=0) / missing).tolist())


def _mean_key(plain: PlainModel, facts: Sequence[EncodedFact], layer: int, bare: float) -> Tensor:
    keys = [plain.at_subject(fact, layer)[0] for fact in facts]
    weights = [bare, *(1.0 for _ in keys[1:])]
    total: Tensor = sum(weight * key for weight, key in zip(weights, keys, strict=True))  # type: ignore[assignment]
    return total / sum(weights)


def plain_memit(C: Tensor, K: Tensor, R: Tensor, past: Tensor | None = None) -> Tensor:
    """ΔW = R Kᵀ (C + K Kᵀ + Kp Kpᵀ)⁻¹; C holds λ and μ   (Meng et al. 2023, eq. 14; ENCORE)."""
    A = C + K @ K.T + (0 if past is None else past @ past.T)
    change: Tensor = torch.linalg.solve(A, K @ R.T).T
    return change


def plain_null_projection(moment: Tensor, fraction: float) -> Tensor:
    """P = U Uᵀ, U the share of eigenvectors with the least eigenvalues (Fang et al. 2025, eq. 5)."""
    values, vectors = torch.linalg.eigh(moment.double())
    smallest = values.argsort()[: round(fraction * len(values))]
    U: Tensor = vectors[:, smallest]
    return U @ U.T


def plain_alphaedit(P: Tensor, K: Tensor, R: Tensor, ridge: float, past: Tensor | None = None) -> Tensor:
    """ΔW = R Kᵀ P (Kp Kpᵀ P + K Kᵀ P + L2 I)⁻¹   (Fang et al. 2025, eq. 14)."""
    A = K @ K.T @ P + ridge * torch.eye(len(P), dtype=P.dtype)
    if past is not None:
        A = A + past @ past.T @ P
    change: Tensor = R @ K.T @ P @ torch.linalg.inv(A)
    return change


def plain_emmet(C: Tensor, K: Tensor, R: Tensor, damping: float, past: Tensor | None = None) -> Tensor:
    """ΔW = R (Kᵀ C⁻¹ K + ε I)⁻¹ Kᵀ C⁻¹, C with Kp Kpᵀ   (Gupta et al. 2024, eq. 9; ENCORE)."""
    inverse = torch.linalg.inv(C if past is None else C + past @ past.T)
    middle = K.T @ inverse @ K + damping * torch.eye(K.shape[1], dtype=K.dtype)
    change: Tensor = R @ torch.linalg.inv(middle) @ K.T @ inverse
    return change


def plain_value_scale(plain: PlainModel, layer: int, moment: Tensor) -> float:
    """√E‖W k‖² = √tr(W E[k kᵀ] Wᵀ) of a layer as it is now."""
    W = plain.weight(layer)
    return float((W @ moment.double() @ W.T).trace().sqrt())


def plain_anchor(found: PlainValue, length: float) -> Tensor:
    """The stream once the MLP's solved value is given this length (norm-anchor scaling)."""
    solved = found.value + found.delta
    anchored: Tensor = solved * (length / solved.norm())
    return found.stream - found.value + anchored
