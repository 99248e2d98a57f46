"""What the scoring engine reads and what a metric is, as plain frozen dataclasses (no torch)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

ScorerKind = Literal["teacher-forced", "greedy-generation", "sampled-generation", "weights"]
"""How a number was read; `weights` are looked at without asking the model anything."""


@dataclass(frozen=True, slots=True)
class TargetScore:
    """How a model takes to a target after a prompt, under teacher forcing. Log-probabilities in nats.

    `is_argmax`: every token of the target is the most probable one at its position.
    """

    total_logprob: float
    mean_nll: float
    token_count: int
    is_argmax: bool

    @property
    def probability(self) -> float:
        """P(target | prompt), the product over its tokens."""
        return math.exp(self.total_logprob)

    @property
    def token_probability(self) -> float:
        """exp(−mean NLL): the geometric mean of the tokens' probabilities, what CounterFact compares."""
        return math.exp(-self.mean_nll)


@dataclass(frozen=True, slots=True)
class PromptScore:
    """One prompt with its new target and, where the request has one, its true target."""

    new: TargetScore
    true: TargetScore | None = None


@dataclass(frozen=True, slots=True)
class TokenProbability:
    """A vocabulary entry and its probability as the next token."""

    token: int
    probability: float


@dataclass(frozen=True, slots=True)
class MetricValue:
    """One number and how it was made.

    `count` is the number of readings averaged: prompts within one request, requests in an
    aggregate, tokens for perplexity, positions for drift. `request` is the request's position in
    its batch, None for a number about all of them or about the model.
    """

    metric: str
    protocol: str
    scorer: ScorerKind
    value: float
    count: int
    request: int | None = None
