"""The batched scoring engine: prompts of all kinds in one pass, logits only where a score needs them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.evaluation.scores import TargetScore, TokenProbability
from kedit_lifecycle.models.batching import Tokens, length_buckets, position_limit
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import HiddenStates, run_whole
from kedit_lifecycle.models.tokens import encode, encode_with_target

HEAD_POSITIONS = 128  # positions per call of the LM head: bounds memory at 128 × vocabulary floats


@dataclass(frozen=True, slots=True)
class Reading:
    """A question to the model: what follows positions `start`, `start + 1`, … of `ids`.

    `targets[i]` is the token to score after position `start + i`; without targets the last
    position is read for its distribution alone.
    """

    ids: Tokens
    start: int
    targets: Tokens = ()


@dataclass(frozen=True, slots=True)
class Readout:
    """The answer to a `Reading`: log P(target), in nats, and the most probable token, by position.

    `top` are the most probable tokens after the last position, best first, when asked for.
    """

    logprobs: tuple[float, ...]
    argmax: Tokens
    top: tuple[TokenProbability, ...] = ()


class Scorer:
    """Scores targets and reads next tokens in length buckets of at most `token_budget` padded tokens.

    A sequence that is a prefix of another one is computed with it, since a causal model's hidden
    states do not look ahead; scores depend on the company of a prompt only by float rounding. `hidden`
    runs the model, by default from its embeddings up.
    """

    def __init__(
        self, model: EditableModel, token_budget: int = 4096, hidden: HiddenStates | None = None
    ) -> None:
        self.model = model
        self.token_budget = token_budget
        self._hidden = hidden or partial(run_whole, model)

    def prepare(self, prompts: Sequence[str]) -> None:
        """What can be done for many prompts at once before their readings are made: here nothing."""

    def score_targets(self, pairs: Sequence[tuple[str, str]]) -> list[TargetScore]:
        """Score each target after its prompt (one space between), in the order given.

        Raises:
            BadRecordError: for a target or prompt of no tokens, or one too long for the model.
        """
        self.prepare([prompt for prompt, _ in pairs])
        readings = [self.target_reading(prompt, target) for prompt, target in pairs]
        return [score_of(*pair) for pair in zip(readings, self.read(readings), strict=True)]

    def next_tokens(self, prompts: Sequence[str]) -> list[int]:
        """The most probable next token of each prompt."""
        self.prepare(prompts)
        return [answer.argmax[-1] for answer in self.read([self.prompt_reading(p) for p in prompts])]

    def next_logprobs(self, prompts: Sequence[str], k: int) -> list[list[TokenProbability]]:
        """The `k` most probable next tokens of each prompt, best first."""
        self.prepare(prompts)
        answers = self.read([self.prompt_reading(prompt) for prompt in prompts], top_k=k)
        return [list(answer.top) for answer in answers]

    def target_reading(self, prompt: str, target: str) -> Reading:
        """The reading that scores `target` after `prompt`; the target's last token is not fed in."""
        encoded = encode_with_target(self.model.tokenizer, prompt, target)
        if encoded.target_start == 0:
            raise BadRecordError(f"the prompt {prompt!r} has no tokens for the target to follow")
        return Reading(encoded.ids[:-1], encoded.target_start - 1, encoded.target)

    def prompt_reading(self, prompt: str) -> Reading:
        """The reading of the next token after `prompt`, taken as it is written."""
        ids = tuple(encode(self.model.tokenizer, prompt))
        if not ids:
            raise BadRecordError(f"the prompt {prompt!r} has no tokens in this model's vocabulary")
        return Reading(ids, len(ids) - 1)

    @torch.no_grad()
    def read(self, readings: Sequence[Reading], top_k: int = 0) -> list[Readout]:
        """Answer readings of any kind in one bucketed pass, in the order given.

        Raises:
            BadRecordError: if a sequence is longer than the model's positions.
        """
        hosts = _hosts({reading.ids for reading in readings})
        self._refuse_too_long(hosts)
        members: dict[Tokens, list[int]] = {}
        for index, reading in enumerate(readings):
            members.setdefault(hosts[reading.ids], []).append(index)
        answers: dict[int, Readout] = {}
        for batch in length_buckets(sorted(members), len, self.token_budget):
            rows = [(row, index) for row, host in enumerate(batch) for index in members[host]]
            asked = [(row, readings[index]) for row, index in rows]
            for (_, index), answer in zip(rows, self._read_batch(batch, asked, top_k), strict=True):
                answers[index] = answer
        return [answers[index] for index in range(len(readings))]

    def _refuse_too_long(self, hosts: dict[Tokens, Tokens]) -> None:
        longest = max((len(ids) for ids in hosts), default=0)
        limit = position_limit(self.model)
        if limit is not None and longest > limit:
            raise BadRecordError(f"a prompt has {longest} tokens, and this model reads at most {limit}")

    def _read_batch(
        self, batch: Sequence[Tokens], asked: Sequence[tuple[int, Reading]], top_k: int
    ) -> list[Readout]:
        hidden = self._hidden(batch)
        slots: dict[tuple[int, int], int] = {}  # (row, position) -> index into the scored positions
        for row, reading in asked:
            for position in range(reading.start, len(reading.ids)):
                slots.setdefault((row, position), len(slots))
        rows, positions = zip(*slots, strict=True)
        wanted = [
            (slots[row, reading.start + offset], token)
            for row, reading in asked
            for offset, token in enumerate(reading.targets)
        ]
        scored = _read_head(self.model, hidden[list(rows), list(positions)], wanted, top_k)
        logprobs = iter(scored.logprobs)
        return [_readout(row, reading, slots, scored, logprobs) for row, reading in asked]


@dataclass(frozen=True, slots=True)
class _Scored:
    """The head's answers: `logprobs` by wanted pair, `argmax` and `top` by scored position."""

    logprobs: list[float]
    argmax: list[int]
    top: list[tuple[TokenProbability, ...]]


def _readout(
    row: int,
    reading: Reading,
    slots: dict[tuple[int, int], int],
    scored: _Scored,
    logprobs: Iterator[float],
) -> Readout:
    own = [slots[row, position] for position in range(reading.start, len(reading.ids))]
    return Readout(
        logprobs=tuple(next(logprobs) for _ in reading.targets),
        argmax=tuple(scored.argmax[slot] for slot in own),
        top=scored.top[own[-1]],
    )


def _read_head(
    model: EditableModel, hidden: Tensor, wanted: Sequence[tuple[int, int]], top_k: int
) -> _Scored:
    """Read (slots, d_model) hidden states through the head, HEAD_POSITIONS of them at a time."""
    slot_of, token_of = torch.tensor(wanted, dtype=torch.long, device=hidden.device).reshape(-1, 2).unbind(1)
    gathered = torch.zeros(len(wanted), device=hidden.device)
    argmax: list[int] = []
    top: list[tuple[TokenProbability, ...]] = []
    for part in head_parts(hidden):
        logprobs = torch.log_softmax(model.logits(part), dim=-1)  # (slots of this part, vocabulary)
        here = (slot_of >= len(argmax)) & (slot_of < len(argmax) + len(part))
        gathered[here] = logprobs[slot_of[here] - len(argmax), token_of[here]]
        argmax += logprobs.argmax(dim=-1).tolist()
        top += _top(logprobs, top_k)
    gathered = gathered.nan_to_num(nan=-math.inf, neginf=-math.inf)  # a broken model gives no probability
    return _Scored(gathered.tolist(), argmax, top)


def head_parts(hidden: Tensor) -> Iterator[Tensor]:
    """(positions, d_model) in slices of HEAD_POSITIONS, so that the head's memory stays bounded."""
    for begin in range(0, len(hidden), HEAD_POSITIONS):
        yield hidden[begin : begin + HEAD_POSITIONS]


def _top(logprobs: Tensor, k: int) -> list[tuple[TokenProbability, ...]]:
    if k == 0:
        return [()] * len(logprobs)
    values, tokens = logprobs.topk(min(k, logprobs.shape[-1]), dim=-1)
    return [
        tuple(TokenProbability(token, probability) for token, probability in zip(*row, strict=True))
        for row in zip(tokens.tolist(), values.exp().tolist(), strict=True)
    ]


def score_of(reading: Reading, answer: Readout) -> TargetScore:
    """The target's score from its readout."""
    total, count = sum(answer.logprobs), len(reading.targets)
    return TargetScore(total, -total / count, count, answer.argmax == reading.targets)


def _hosts(sequences: set[Tokens]) -> dict[Tokens, Tokens]:
    """For each sequence, the longest given one in line that starts with it (itself, mostly).

    In lexicographic order everything that starts with a sequence comes right after it.
    """
    hosts: dict[Tokens, Tokens] = {}
    following: Tokens = ()
    for sequence in sorted(sequences, reverse=True):
        starts_it = following[: len(sequence)] == sequence
        hosts[sequence] = hosts[following] if starts_it else sequence
        following = sequence
    return hosts
