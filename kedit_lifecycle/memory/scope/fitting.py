"""How a head is fitted: first its projection on wordings alone, then all of it on pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from kedit_lifecycle.facts.relations import relation_of
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.scope.head import ScopeHead
from kedit_lifecycle.memory.scope.mention import asking
from kedit_lifecycle.memory.vectors_of_texts import TextVectors, Vectors

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Fitting:
    """Steps, rates and the contrastive temperature."""

    wording_steps: int = 300
    wording_rate: float = 2e-3
    temperature: float = 0.1
    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2


def wordings_by_relation(requests: Sequence[EditRequest]) -> dict[str, str]:
    """Each masked wording with the relation it asks for (its prompt, where a request names none)."""
    return dict(_wordings(requests))


def _wordings(requests: Sequence[EditRequest]) -> Iterator[tuple[str, str]]:
    for request in requests:
        declared = relation_of(request.relation)
        relation = declared.id if declared else request.relation or request.prompt
        for text in (request.question, *request.paraphrases):
            yield asking(text, request.subject).masked, relation


def fit_head(
    features: Vectors,
    labels: NDArray[np.bool_],
    wordings: Mapping[str, str],
    vectors: TextVectors,
    seed: int,
    how: Fitting,
    progress: Progress,
) -> ScopeHead:
    """A head fitted to (pairs, features) and their labels; equal inputs and seed give an equal head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = ScopeHead(vectors.encoder.dimension).train()
        _fit_projection(head, torch.from_numpy(vectors(list(wordings))), [*wordings.values()], how)
        _fit_pairs(head, torch.from_numpy(features), torch.from_numpy(labels).float(), how, progress)
    return head.eval()


def _fit_projection(head: ScopeHead, masked: Tensor, relations: Sequence[str], how: Fitting) -> None:
    """Supervised contrastive loss (Khosla et al. 2020, eq. 2): wordings of one relation come together."""
    numbers = {relation: number for number, relation in enumerate(dict.fromkeys(relations))}
    label = torch.tensor([numbers[relation] for relation in relations])
    itself = torch.eye(len(label), dtype=torch.bool)
    same = (label[:, None] == label[None]) & ~itself  # (wordings, wordings)
    if not same.any():
        return
    optimiser = torch.optim.AdamW(
        head.project.parameters(), lr=how.wording_rate, weight_decay=how.weight_decay
    )
    for _ in range(how.wording_steps):
        unit = normalize(head.projected(masked), dim=1)
        logits = (unit @ unit.T / how.temperature).masked_fill(itself, -1e9)
        logprobs = logits - logits.logsumexp(1, keepdim=True)
        optimiser.zero_grad()
        torch.autograd.backward(-logprobs[same].mean())
        optimiser.step()


def _fit_pairs(head: ScopeHead, features: Tensor, wanted: Tensor, how: Fitting, progress: Progress) -> None:
    """AdamW on binary cross-entropy in which both classes weigh the same."""
    loss = nn.BCEWithLogitsLoss(pos_weight=(1 - wanted).sum() / wanted.sum())
    optimiser = torch.optim.AdamW(head.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    for epoch in range(how.epochs):
        progress("training the scope classifier", epoch, how.epochs)
        for batch in torch.split(torch.randperm(len(features)), how.batch_size):
            optimiser.zero_grad()
            torch.autograd.backward(loss(head(features[batch]), wanted[batch]))
            optimiser.step()
