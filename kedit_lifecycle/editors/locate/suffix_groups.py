"""Rows of several requests that run through the model together, cut so that padding costs little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kedit_lifecycle.editors.locate.contexts import EditContexts
from kedit_lifecycle.editors.locate.losses import losses
from kedit_lifecycle.editors.locate.prefix_states import SharedHeads
from kedit_lifecycle.editors.locate.suffix_forward import SuffixForward
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import EncodedFact

# suffix tokens of a pass from which padding costs more than another pass
_ENOUGH_ON_CPU, _ENOUGH_ON_GPU = 512, 4096


@dataclass(frozen=True)
class Row:
    """One sequence: context number `context` of request number `request`; None for its essence prompt.

    Its first `shared` tokens are those of all rows behind the same context prefix.
    """

    request: int
    context: int | None
    fact: EncodedFact
    shared: int = 0

    @property
    def ids(self) -> tuple[int, ...]:
        """What is run; a target's last token predicts nothing that is asked for."""
        return self.fact.ids if self.context is None else self.fact.ids[:-1]

    @property
    def suffix(self) -> int:
        """Tokens from the subject's last one on."""
        return len(self.ids) - self.fact.subject_last


def request_rows(contexts: EditContexts, request: int) -> list[Row]:
    """The rows of one request: its contexts, then the essence prompt."""
    rows = [Row(request, number, fact) for number, fact in enumerate(contexts.prompts)]
    return [*rows, Row(request, None, contexts.essence)]


def suffix_tokens(contexts: EditContexts) -> int:
    """Suffix tokens of all rows of a request."""
    return sum(row.suffix for row in request_rows(contexts, 0))


def rows_of(contexts: Sequence[EditContexts]) -> list[Row]:
    """All rows of all requests, each with what it shares with the others behind the same prefix."""
    rows = [row for number, one in enumerate(contexts) for row in request_rows(one, number)]
    alike: dict[int, list[Row]] = {}
    for row in rows:
        if row.context:
            alike.setdefault(row.context, []).append(row)
    lengths = {context: _common_head(group) for context, group in alike.items() if len(group) > 1}
    return [replace(row, shared=lengths.get(row.context or 0, 0)) for row in rows]


def group_rows(rows: Sequence[Row], token_budget: int, device: torch.device) -> Iterator[list[Row]]:
    """The rows, in groups of similar suffix length and at most `token_budget` padded suffix tokens."""
    enough = _ENOUGH_ON_CPU if device.type == "cpu" else _ENOUGH_ON_GPU
    group: list[Row] = []
    for row in sorted(rows, key=lambda r: r.suffix):
        too_many = (len(group) + 1) * row.suffix > token_budget
        padded = group and len(group) * group[0].suffix >= enough and row.suffix > group[0].suffix
        if group and (too_many or padded):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _common_head(rows: Sequence[Row]) -> int:
    most = min(row.fact.subject_last for row in rows)
    columns = zip(*(row.ids[:most] for row in rows), strict=True)
    return next((place for place, tokens in enumerate(columns) if len(set(tokens)) > 1), most)


@dataclass(frozen=True)
class SubjectStates:
    """States at the subject's last token of a group's context rows, one row each."""

    request: Tensor
    context: Tensor
    keys: Tensor
    values: Tensor
    stream: Tensor


@dataclass(frozen=True)
class GroupTerms:
    """Per live request, (live,): summed NLL of the contexts, KL, the worst context's NLL, certainty.

    `nll` is the sum over contexts of the target's mean NLL; `worst` the largest of them; `certain`
    whether every target token is the most probable one in every context.
    """

    nll: Tensor
    kl: Tensor
    worst: Tensor
    certain: Tensor

    @classmethod
    def zeros(cls, live: int, device: torch.device) -> GroupTerms:
        """Nothing seen yet."""
        zeros = torch.zeros(live, device=device)
        return cls(zeros, zeros, torch.full_like(zeros, -torch.inf), zeros == 0)

    def merged(self, other: GroupTerms) -> GroupTerms:
        """Of the rows of both."""
        return GroupTerms(
            self.nll + other.nll.detach(),
            self.kl + other.kl.detach(),
            torch.maximum(self.worst, other.worst),
            self.certain & other.certain,
        )

    def finished(self, contexts: Tensor, kl_factor: float, decay: Tensor) -> GroupTerms:
        """With the whole loss in `nll`."""
        whole = self.nll / contexts + kl_factor * self.kl + decay
        return GroupTerms(whole, self.kl, self.worst, self.certain)

    def rows(self) -> Iterator[tuple[float, float, bool]]:
        """Loss, least target probability and certainty of each request."""
        probabilities = (-self.worst).exp()
        yield from zip(self.nll.tolist(), probabilities.tolist(), self.certain.tolist(), strict=True)


class SuffixGroup:
    """A `SuffixForward` over rows of several requests, and where in it the losses are read."""

    def __init__(
        self,
        model: EditableModel,
        layer: int,
        rows: Sequence[Row],
        heads: SharedHeads,
        *,
        behind_essence: bool,
    ) -> None:
        self._model = model
        self._rows = list(rows)
        starts = [row.fact.subject_last for row in rows]
        shared = [row.shared for row in rows]
        self._forward = SuffixForward(model, layer, [row.ids for row in rows], starts, shared, heads)
        self._request = torch.tensor([row.request for row in rows], device=model.device)  # (rows,)
        self._behind_essence = behind_essence
        self._place()
        self._essence_before: Tensor | None = None  # (essences, vocabulary)

    def _place(self) -> None:
        """Where targets and essences are predicted: the row, and the token of the stream, of each."""
        device = self._request.device
        first = self._forward.first.tolist()
        targets, essences = [], []
        for number, row in enumerate(self._rows):
            fact = row.fact
            if row.context is None:
                last = len(fact.ids) - 1 - fact.subject_last
                essences.append((number, first[number] + (last if self._behind_essence else 0)))
                continue
            count = len(fact.ids) - fact.target_start
            for position in range(fact.target_start, len(fact.ids)):
                token = first[number] + position - 1 - fact.subject_last
                targets.append((number, token, fact.ids[position], count))
        columns = torch.tensor(targets, device=device, dtype=torch.long).reshape(-1, 4)
        self._target_rows, self._target_tokens, self._target_ids, counts = columns.unbind(1)
        self._target_weights = 1.0 / counts.float()
        self._essence_rows, self._essence_tokens = (
            torch.tensor(essences, device=device, dtype=torch.long).reshape(-1, 2).unbind(1)
        )

    def states(self) -> SubjectStates:
        """Of the untouched run."""
        kept = [number for number, row in enumerate(self._rows) if row.context is not None]
        context = torch.tensor([self._rows[i].context for i in kept], device=self._request.device)
        forward = self._forward
        return SubjectStates(
            self._request[kept],
            context,
            forward.keys[kept],
            forward.values[kept],
            forward.stream[forward.first[kept]],
        )

    def terms(self, delta: Tensor, live: int) -> GroupTerms:
        """One pass with δ (live, d_model) added at the subjects' last tokens.

        The first pass must be with δ = 0: what it says of the essences is what should stay.
        """
        forward = self._forward
        shift = delta[self._request].to(forward.stream.dtype)
        final = forward.run(forward.stream.index_add(0, forward.first, shift))
        read = torch.cat([self._target_tokens, self._essence_tokens])
        logits = self._model.logits(final[read])  # (targets + essences, vocabulary)
        found = losses(logits, self._target_ids, self._essence_before)
        self._essence_before = found.now if self._essence_before is None else self._essence_before
        return self._by_request(found.nll * self._target_weights, found.kl, found.certain, live)

    def _by_request(self, nll: Tensor, kl: Tensor, certain: Tensor, live: int) -> GroupTerms:
        empty = torch.zeros(live, device=nll.device)
        by_row = torch.zeros(len(self._rows), device=nll.device).index_add(0, self._target_rows, nll.detach())
        held = torch.zeros(len(self._rows), dtype=torch.bool, device=nll.device)
        held[self._target_rows] = True
        worst = torch.full_like(empty, -torch.inf)
        worst = worst.scatter_reduce(0, self._request[held], by_row[held], "amax")
        wrong = empty.index_add(0, self._request[self._target_rows], (~certain).float())
        return GroupTerms(
            empty.index_add(0, self._request[self._target_rows], nll),
            empty.index_add(0, self._request[self._essence_rows], kl),
            worst,
            wrong == 0,
        )

    def narrow(self, requests: Tensor) -> bool:
        """Keep the rows of these requests (their places among the live ones); False if none is left."""
        place = {old: new for new, old in enumerate(requests.tolist())}
        kept = [number for number, owner in enumerate(self._request.tolist()) if owner in place]
        if not kept:
            return False
        rows = torch.tensor(kept, device=self._request.device)
        essences = [
            i for i, row in enumerate(self._essence_rows.tolist()) if self._request[row].item() in place
        ]
        if self._essence_before is not None:
            self._essence_before = self._essence_before[essences]
        owners = [place[int(self._request[number])] for number in kept]
        self._request = torch.tensor(owners, device=self._request.device)
        self._rows = [self._rows[number] for number in kept]
        self._forward.narrow(rows)
        self._place()
        return True
