"""Batched greedy and sampled generation with a key-value cache."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from kedit_lifecycle.errors import BadRecordError, UsageError
from kedit_lifecycle.models.batching import Tokens, length_buckets, position_limit
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import encode

TOKEN_BUDGET = 8192  # padded tokens per batch, prompt and continuation together


class Chooser(Protocol):
    """Picks the next token of every row from (rows, vocabulary) logits."""

    def __call__(self, logits: Tensor) -> list[int]:
        """One token id per row."""


@dataclass(frozen=True, slots=True)
class _Sampler:
    """Draws by inverse transform in float64 on the CPU, each row from a generator of its own."""

    generators: Sequence[torch.Generator]
    how: Sampling

    def __call__(self, logits: Tensor) -> list[int]:
        if self.how.never:
            logits[:, sorted(self.how.never)] = -torch.inf
        k = min(self.how.top_k or logits.shape[-1], logits.shape[-1])
        values, tokens = logits.topk(k, dim=-1) if self.how.top_k else (logits, None)
        mass = torch.softmax(values.cpu().double() / self.how.temperature, dim=-1).cumsum(dim=-1)
        uniform = torch.stack([torch.rand(1, generator=g, dtype=torch.float64) for g in self.generators])
        chosen = torch.searchsorted(mass, uniform * mass[:, -1:], right=True).clamp_(max=k - 1)
        drawn = chosen if tokens is None else tokens.cpu().gather(1, chosen)
        return [int(token) for token in drawn.squeeze(1).tolist()]


def _greedy(logits: Tensor) -> list[int]:
    return [int(token) for token in logits.argmax(dim=-1).tolist()]


def generate(
    model: EditableModel,
    prompts: Sequence[str],
    max_new_tokens: int,
    *,
    seed: int | None = None,
    temperature: float = 1.0,
    top_k: int = 0,
    stop_at_eos: bool = True,
    token_budget: int = TOKEN_BUDGET,
) -> list[list[int]]:
    """Continue each prompt, taken as it is written; token ids of the continuations, in order, without EOS.

    Without a `seed` the most probable token is taken; with one, tokens are drawn from the `top_k`
    most probable (0: all) at `temperature`. A row's draws follow from the seed, its prompt and how
    often that prompt came before in the call, not from the other prompts.

    Raises:
        BadRecordError: for a prompt of no tokens, or one that leaves no room for the continuation.
        UsageError: for a temperature that is not positive or a negative count.
    """
    if temperature <= 0 or top_k < 0 or max_new_tokens < 0:
        raise UsageError("generation needs temperature > 0, top_k >= 0 and max_new_tokens >= 0")
    encoded = [tuple(encode(model.tokenizer, prompt)) for prompt in prompts]
    _refuse_unfit(model, prompts, encoded, max_new_tokens)
    stops = eos_ids(model) if stop_at_eos else frozenset()
    sampling = None if seed is None else Sampling(seed, temperature, top_k)
    return continue_ids(model, encoded, max_new_tokens, sampling, stops=stops, token_budget=token_budget)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; those in `never` are not."""

    seed: int
    temperature: float = 1.0
    top_k: int = 0
    never: frozenset[int] = frozenset()


def continue_ids(
    model: EditableModel,
    encoded: Sequence[Tokens],
    max_new_tokens: int,
    sampling: Sampling | None = None,
    *,
    stops: frozenset[int] = frozenset(),
    token_budget: int = TOKEN_BUDGET,
) -> list[list[int]]:
    """As `generate`, on token ids: greedy without `sampling`, and past EOS unless it is in `stops`."""
    keys = _numbered(encoded, distinct=sampling is not None)
    continuations: dict[tuple[Tokens, int], list[int]] = {}
    for batch in length_buckets(sorted(set(keys)), lambda key: len(key[0]) + max_new_tokens, token_budget):
        choose: Chooser = _greedy
        if sampling is not None:
            choose = _Sampler([_row_generator(sampling.seed, *key) for key in batch], sampling)
        rows = _continue(model, [ids for ids, _ in batch], max_new_tokens, choose, stops)
        continuations.update(zip(batch, rows, strict=True))
    return [list(continuations[key]) for key in keys]


def eos_ids(model: EditableModel) -> frozenset[int]:
    """Every token that ends a text, by the tokenizer and by the model's generation config."""
    configured = getattr(model.network.generation_config, "eos_token_id", None)
    ids = [*configured] if isinstance(configured, list | tuple) else [configured]
    return frozenset(int(token) for token in (*ids, model.tokenizer.eos_token_id) if token is not None)


def _refuse_unfit(
    model: EditableModel, prompts: Sequence[str], encoded: Sequence[Tokens], max_new_tokens: int
) -> None:
    limit = position_limit(model)
    for prompt, ids in zip(prompts, encoded, strict=True):
        if not ids:
            raise BadRecordError(f"the prompt {prompt!r} has no tokens in this model's vocabulary")
        if limit is not None and len(ids) + max_new_tokens > limit:
            raise BadRecordError(
                f"a prompt of {len(ids)} tokens and {max_new_tokens} new ones exceed the {limit} "
                "positions of this model"
            )


def _numbered(encoded: Sequence[Tokens], *, distinct: bool) -> list[tuple[Tokens, int]]:
    """Each prompt with how often it came before; all the same number where repeats may share a row."""
    seen: Counter[Tokens] = Counter()
    keys = []
    for ids in encoded:
        keys.append((ids, seen[ids]))
        seen[ids] += distinct
    return keys


def _row_generator(seed: int, ids: Tokens, number: int) -> torch.Generator:
    digest = hashlib.sha256(repr((seed, ids, number)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _pad_left(sequences: Sequence[Tokens], pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Left-pad to (rows, positions) ids and mask, so that every row goes on at the same column."""
    width = max(len(sequence) for sequence in sequences)
    ids = [(pad_id,) * (width - len(sequence)) + sequence for sequence in sequences]
    mask = [(0,) * (width - len(sequence)) + (1,) * len(sequence) for sequence in sequences]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


@torch.no_grad()
def _continue(
    model: EditableModel,
    prompts: Sequence[Tokens],
    max_new_tokens: int,
    choose: Chooser,
    stops: frozenset[int],
) -> list[list[int]]:
    """Decode one batch; padded positions are masked and never counted by the position ids."""
    input_ids, mask = _pad_left(prompts, model.pad_id, model.device)
    position_ids = (mask.cumsum(dim=1) - 1).clamp_(min=0)  # (rows, positions)
    rows: list[list[int]] = [[] for _ in prompts]
    live = [True] * len(prompts)
    cache = None
    for _ in range(max_new_tokens):
        output = model.hidden_states(
            input_ids, mask, position_ids=position_ids, past_key_values=cache, use_cache=True
        )
        cache = output.past_key_values
        tokens = choose(model.logits(output.last_hidden_state[:, -1]))  # of (rows, vocabulary)
        for index, token in enumerate(tokens):
            live[index] = live[index] and token not in stops
            if live[index]:
                rows[index].append(token)
        if not any(live):
            break
        input_ids = torch.tensor(tokens, device=model.device).unsqueeze(1)
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=1)
        position_ids = position_ids[:, -1:] + 1
    return rows
