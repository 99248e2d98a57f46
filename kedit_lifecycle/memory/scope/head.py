"""The trained head: features of a pair to the probability that the query is in the edit's scope."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.memory.scope.features import SCALARS
from kedit_lifecycle.memory.vectors_of_texts import Vectors

PROJECTED, HIDDEN = 64, 16
DROPOUT = 0.5
NAMED = SCALARS.index("the last sentence names the subject")
_SPREAD = 3.0  # brings the cosine to the range of the other inputs


class ScopeHead(nn.Module):
    """Do both ask the same, and of the same subject.

    The masked embeddings go through one learned projection, whose cosine tells whether they ask for the
    same relation; it joins the scalars in a small network with one hidden layer. `forward` gives logits.
    """

    def __init__(self, dimension: int, projected: int = PROJECTED, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.project = nn.Linear(dimension, projected, bias=False)
        self.drop = nn.Dropout(DROPOUT)
        self.hidden = nn.Linear(len(SCALARS) + 2, hidden)
        self.out = nn.Linear(hidden, 1)

    def projected(self, masked: Tensor) -> Tensor:
        """(texts, dimension) to (texts, projected)."""
        projected: Tensor = self.project(self.drop(masked))
        return projected

    def forward(self, features: Tensor) -> Tensor:
        """(pairs, scalars + 2 · dimension) to logits, (pairs,)."""
        width = self.project.in_features
        scalars = features[:, : len(SCALARS)]
        query, template = features[:, len(SCALARS) : -width], features[:, -width:]
        relation = _SPREAD * cosine_similarity(self.projected(query), self.projected(template), dim=-1)
        both = relation * scalars[:, NAMED]
        inputs = torch.cat([scalars, relation[:, None], both[:, None]], dim=-1)
        logits: Tensor = self.out(torch.relu(self.hidden(inputs))).squeeze(-1)
        return logits

    @torch.no_grad()
    def probabilities(self, features: Vectors) -> NDArray[np.float64]:
        """P(in scope) of each pair, float64."""
        self.eval()
        logits = self(torch.from_numpy(np.ascontiguousarray(features)))
        return np.asarray(torch.sigmoid(logits.double()).numpy())

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> ScopeHead:
        """The head of saved tensors.

        Raises:
            UsageError: if they are not a head's.
        """
        try:
            projected, dimension = tensors["project.weight"].shape
            head = cls(dimension, projected, len(tensors["hidden.weight"]))
            head.load_state_dict(dict(tensors))
        except (KeyError, ValueError, RuntimeError) as error:
            raise UsageError(f"these are no tensors of a scope head: {error}") from error
        return head.eval()
