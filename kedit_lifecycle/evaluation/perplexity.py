"""Perplexity of a text by overlapping windows, and the built-in monitor text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import blake3

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.evaluation.registry import measured
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.evaluation.scoring import Reading, Scorer
from kedit_lifecycle.models.batching import Tokens, position_limit
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import HiddenStates
from kedit_lifecycle.models.tokens import encode

MONITOR_TOKENS = 512
WINDOW = 512


@dataclass(frozen=True, slots=True)
class TextReading:
    """A text as a model reads it, token by token, and how it was cut.

    Of every token of `ids` but the first: its log-probability in nats, and the most probable token in
    its place.
    """

    ids: Tokens
    logprobs: tuple[float, ...]
    predicted: Tokens
    settings: Mapping[str, str | int]

    def perplexity(self) -> MetricValue:
        """exp(mean NLL) of every token but the first; infinite where the model answers with NaN."""
        count = len(self.logprobs)
        return measured("perplexity", _exp(-math.fsum(self.logprobs) / count), count, **self.settings)


def read_text(
    model: EditableModel,
    text: str,
    *,
    window: int = WINDOW,
    stride: int | None = None,
    max_tokens: int | None = None,
    token_budget: int = 4096,
    hidden: HiddenStates | None = None,
) -> TextReading:
    """Read the first `max_tokens` tokens of `text`.

    Windows of `window` tokens (never more than the model's positions) begin every `stride` tokens,
    by default half a window: each token is scored once, after at least `window − stride` tokens of
    context where the text has them. The text is encoded once, with BOS where the tokenizer puts it.
    The protocol names window, stride, tokens and the digest of the text. `hidden` runs the model, by
    default from its embeddings up.

    Raises:
        UsageError: for a text of fewer than two tokens, or a stride outside 1 … window − 1.
    """
    window = min(window, position_limit(model) or window)
    step = window // 2 if stride is None else stride
    if not 0 < step < window:
        raise UsageError(f"a stride of {step} does not fit windows of {window} tokens")
    ids = tuple(encode(model.tokenizer, text)[:max_tokens])
    if len(ids) < 2:
        raise UsageError("perplexity needs a text of at least two tokens")
    answers = Scorer(model, token_budget, hidden).read(list(windows(ids, window, step)))
    digest = blake3.blake3(text.encode()).hexdigest()[:12]
    return TextReading(
        ids,
        tuple(logprob for answer in answers for logprob in answer.logprobs),
        tuple(token for answer in answers for token in answer.argmax),
        {"window": window, "stride": step, "tokens": len(ids), "text": digest},
    )


def perplexity(
    model: EditableModel,
    text: str,
    *,
    window: int = WINDOW,
    stride: int | None = None,
    max_tokens: int | None = None,
    token_budget: int = 4096,
) -> MetricValue:
    """exp(mean NLL) of the first `max_tokens` tokens of `text` but the very first one; see `read_text`."""
    return read_text(
        model, text, window=window, stride=stride, max_tokens=max_tokens, token_budget=token_budget
    ).perplexity()


def _exp(nll: float) -> float:
    """exp, with infinity where a broken model goes beyond the largest float."""
    return math.exp(nll) if nll < 700 else math.inf


def windows(ids: Sequence[int], window: int, stride: int) -> Iterator[Reading]:
    """Readings that score each of `ids[1:]` once, from windows that begin every `stride` tokens."""
    scored = 1
    for begin in range(0, len(ids), stride):
        end = min(begin + window, len(ids))
        if scored < end:
            yield Reading(tuple(ids[begin : end - 1]), scored - 1 - begin, tuple(ids[scored:end]))
        scored = end
        if end == len(ids):
            return


def monitor_text() -> str:
    """The built-in text: about 1,500 words of encyclopaedic English, written for this project."""
    return resources.files(__package__).joinpath("texts/monitor.txt").read_text(encoding="utf-8")


def monitor_perplexity(model: EditableModel, *, max_tokens: int = MONITOR_TOKENS) -> MetricValue:
    """Perplexity on the first `max_tokens` tokens of the monitor text."""
    return perplexity(model, monitor_text(), max_tokens=max_tokens)
