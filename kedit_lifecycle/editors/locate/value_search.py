"""v*: the values that make the model say the targets, for a whole batch of requests at once.

Meng et al. 2022, section 3.1, eq. 4 (ROME); Meng et al. 2023, section 4.2, eq. 16 (MEMIT). A change of
the residual stream at the subject's last token behind one layer is the same as a change of that layer's
MLP output there, so both methods share this search and differ in the norm that δ is measured against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from kedit_lifecycle.editors.locate.config import EssencePlace, ValueSearchConfig
from kedit_lifecycle.editors.locate.contexts import EditContexts, context_average
from kedit_lifecycle.editors.locate.optimiser import make_optimiser, narrowed
from kedit_lifecycle.editors.locate.prefix_states import SharedHeads
from kedit_lifecycle.editors.locate.suffix_groups import (
    GroupTerms,
    SuffixGroup,
    group_rows,
    rows_of,
    suffix_tokens,
)
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent, tell

Anchor = Literal["value", "stream"]


@dataclass(frozen=True)
class FoundValue:
    """What the search found for one request; tensors in float32 on the CPU.

    Attributes:
        key: input of the layer's second MLP matrix at the subject's last token, unprefixed, (d_ff,).
        mean_key: the same averaged over the contexts, (d_ff,).
        value: the MLP's output at `key`, (d_model,).
        mean_value: its output averaged over the contexts, (d_model,).
        stream: the residual stream behind the layer there, unprefixed, (d_model,).
        delta: v* − value, (d_model,).
        losses: the whole loss at every step.
        probability: the target's probability, geometric mean over its tokens, least over contexts.
        problem: why there is no usable δ; empty when there is one.
    """

    key: Tensor
    mean_key: Tensor
    value: Tensor
    mean_value: Tensor
    stream: Tensor
    delta: Tensor
    losses: list[float] = field(default_factory=list)
    probability: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class ValueSearch:
    """One way of searching: the layer, the hyper-parameters, and what δ's norm is held against.

    `anchor` names ‖v‖ in weight decay and clamp: of the MLP's output (ROME) or of the stream (MEMIT);
    `least_norm` is the least ‖v‖ the clamp is taken of; `essence` is where the KL is read; `metric`
    (d_model, d_model) is what `natural-momentum` steps in, and is needed for it alone.
    """

    model: EditableModel
    layer: int
    config: ValueSearchConfig
    anchor: Anchor = "value"
    essence: EssencePlace = "end"
    least_norm: float = 0.0
    metric: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.config.optimiser == "natural-momentum") != (self.metric is not None):
            raise ValueError("a metric goes with natural-momentum, and with it alone")

    def find(self, contexts: Sequence[EditContexts], progress: Progress = silent) -> list[FoundValue]:
        """Optimise one δ per request so that the stream + δ yields the target in every context.

        Loss of a request: mean over contexts of the target's mean NLL + kl_factor · KL(before ‖ after)
        on "{subject} is a" + weight_decay · ‖δ‖ / ‖v‖². Requests share passes of the model and nothing
        else: each has its own δ, its own optimiser state and its own stop.
        """
        found: dict[int, FoundValue] = {}
        for chunk in self._chunks(contexts):
            batch = _Batch(self, [contexts[i] for i in chunk])

            def report(steps: int, loss: float, before: int = len(found), size: int = len(chunk)) -> None:
                done = before * self.config.steps + steps * size
                progress("v*", done, len(contexts) * self.config.steps)
                tell(progress, "loss", step=steps, value=loss)

            found.update(zip(chunk, batch.run(report), strict=True))
        return [found[index] for index in range(len(contexts))]

    def _chunks(self, contexts: Sequence[EditContexts]) -> Iterator[list[int]]:
        """Indices of requests of similar suffix length whose rows together fit the token budget."""
        chunk: list[int] = []
        tokens = 0
        for index in sorted(range(len(contexts)), key=lambda i: suffix_tokens(contexts[i])):
            own = suffix_tokens(contexts[index])
            if chunk and tokens + own > self.config.token_budget:
                yield chunk
                chunk, tokens = [], 0
            chunk.append(index)
            tokens += own
        if chunk:
            yield chunk


class _Batch:
    """Requests that are optimised together; those that are done leave it."""

    def __init__(self, search: ValueSearch, contexts: Sequence[EditContexts]) -> None:
        self._search = search
        model, config = search.model, search.config
        rows = rows_of(contexts)
        heads = SharedHeads(model, [row.ids[: row.shared] for row in rows])
        self._groups = [
            SuffixGroup(model, search.layer, group, heads, behind_essence=search.essence == "end")
            for group in group_rows(rows, config.token_budget, model.device)
        ]
        self._context_count = torch.tensor([len(c.prompts) for c in contexts], device=model.device)
        self._collect_states(len(contexts))
        self._live = list(range(len(contexts)))
        self._losses: list[list[float]] = [[] for _ in contexts]
        self._results: dict[int, tuple[Tensor, float, str]] = {}  # δ, probability, problem
        self._delta = torch.zeros_like(self._value, requires_grad=True)  # (live, d_model)
        self._optimiser = make_optimiser(config, self._delta, search.metric)

    @property
    def _loss(self) -> float:
        """Mean of the requests' last losses."""
        return sum(losses[-1] for losses in self._losses) / len(self._losses)

    def _collect_states(self, requests: int) -> None:
        """Keys, values and stream at the subject's last token, by request."""
        states = [group.states() for group in self._groups]
        owner = torch.cat([s.request for s in states])
        context = torch.cat([s.context for s in states])
        order = torch.argsort(owner * (int(context.max()) + 1) + context)
        keys, values, stream = (
            torch.cat([getattr(s, name) for s in states])[order].float()
            for name in ("keys", "values", "stream")
        )
        first = torch.searchsorted(owner[order].contiguous(), torch.arange(requests, device=owner.device))
        ends = [*first.tolist()[1:], len(owner)]
        spans = list(zip(first.tolist(), ends, strict=True))
        bare = self._search.config.unprefixed_weight
        self._key, self._value, self._stream = keys[first], values[first], stream[first]
        self._mean_key = torch.stack([context_average(keys[a:b], bare) for a, b in spans])
        self._mean_value = torch.stack([context_average(values[a:b], bare) for a, b in spans])
        anchor = self._value if self._search.anchor == "value" else self._stream
        self._norm = anchor.norm(dim=1)  # (requests,)

    def run(self, report: Callable[[int, float], None]) -> list[FoundValue]:
        """All steps; `report` is called with the number of steps done and the mean loss."""
        config = self._search.config
        for step in range(config.steps):
            self._optimiser.zero_grad()
            terms = self._forward_and_backward()
            self._keep_finished(terms, last=step == config.steps - 1)
            report(step + 1, self._loss)
            if not self._live:
                break
            self._optimiser.step()
            self._clamp()
        return [self._found(index) for index in range(len(self._losses))]

    def _forward_and_backward(self) -> GroupTerms:
        """Losses and probabilities of the live requests; the gradient of their sum is in δ."""
        config, live = self._search.config, len(self._live)
        norm, count = self._norm[self._live], self._context_count[self._live]
        total = GroupTerms.zeros(live, self._delta.device)
        for group in self._groups:
            terms = group.terms(self._delta, live)
            torch.autograd.backward((terms.nll / count + config.kl_factor * terms.kl).sum())
            total = total.merged(terms)
        decay = config.weight_decay * self._delta.norm(dim=1) / norm**2
        torch.autograd.backward(decay.sum())
        return total.finished(count, config.kl_factor, decay.detach())

    def _keep_finished(self, terms: GroupTerms, *, last: bool) -> None:
        """Write down what is done, and let it leave the batch."""
        config = self._search.config
        staying = []
        for row, (loss, probability, certain) in enumerate(terms.rows()):
            index = self._live[row]
            self._losses[index].append(loss)
            problem = "" if torch.isfinite(torch.tensor(loss)) else f"the loss became {loss}"
            done = bool(problem) or last or loss < config.stop_loss
            done = done or (config.stop_probability is not None and probability > config.stop_probability)
            if done or (config.stop_at_argmax and certain):
                self._results[index] = (self._delta[row].detach().clone(), probability, problem)
            else:
                staying.append(row)
        if len(staying) < len(self._live):
            self._narrow(staying)

    def _narrow(self, staying: list[int]) -> None:
        self._live = [self._live[row] for row in staying]
        if not staying:
            return
        rows = torch.tensor(staying, device=self._delta.device)
        self._groups = [group for group in self._groups if group.narrow(rows)]
        self._delta, self._optimiser = narrowed(self._optimiser, self._delta, rows)

    def _clamp(self) -> None:
        factor = self._search.config.clamp_norm
        if factor is None:
            return
        with torch.no_grad():
            limit = factor * self._norm[self._live].clamp(min=self._search.least_norm)
            norm = self._delta.norm(dim=1)
            self._delta.mul_(torch.where(norm > limit, limit / norm, torch.ones_like(norm))[:, None])

    def _found(self, index: int) -> FoundValue:
        delta, probability, problem = self._results[index]
        return FoundValue(
            key=self._key[index].cpu(),
            mean_key=self._mean_key[index].cpu(),
            value=self._value[index].cpu(),
            mean_value=self._mean_value[index].cpu(),
            stream=self._stream[index].cpu(),
            delta=delta.cpu(),
            losses=self._losses[index],
            probability=probability,
            problem=problem,
        )
