"""Perplexity against a token-by-token loop, and the built-in monitor text."""

from __future__ import annotations

import math

import pytest
import torch
from tiny import CORE_FAMILIES, POSITIONS, tiny_editable

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.evaluation.perplexity import monitor_perplexity, monitor_text, perplexity, windows
from kedit_lifecycle.models.editable import EditableModel

TEXT = "The river runs through the city, and the bridge over the river was built two hundred years ago. " * 3


@torch.no_grad()
def plain_perplexity(model: EditableModel, ids: list[int], window: int, stride: int) -> float:
    """Token by token: position t is read from the window whose new part it falls in."""
    nlls = []
    for t in range(1, len(ids)):
        begin = 0 if t < window else (t - window) // stride * stride + stride
        context = torch.tensor([ids[begin:t]])
        nlls.append(-float(model.network(input_ids=context).logits[0, -1].log_softmax(dim=-1)[ids[t]]))
    return math.exp(sum(nlls) / len(nlls))


@pytest.mark.parametrize("family", CORE_FAMILIES)
@pytest.mark.parametrize(("window", "stride"), [(16, 8), (20, 5), (11, 10), (1000, 500)])
def test_perplexity_equals_a_token_by_token_loop(family: str, window: int, stride: int) -> None:
    model = tiny_editable(family)
    ids = list(model.tokenizer(TEXT)["input_ids"])[:70]
    measured = perplexity(model, TEXT, window=window, stride=stride, max_tokens=70)
    width = min(window, POSITIONS)
    assert measured.value == pytest.approx(plain_perplexity(model, ids, width, stride), rel=1e-3)
    assert measured.count == 69


@pytest.mark.parametrize(("length", "window", "stride"), [(2, 4, 2), (64, 16, 8), (65, 16, 8), (63, 16, 15)])
def test_every_token_but_the_first_is_scored_once_with_enough_context(
    length: int, window: int, stride: int
) -> None:
    ids = list(range(100, 100 + length))
    scored: list[int] = []
    for reading in windows(ids, window, stride):
        assert len(reading.ids) < window
        first = reading.targets[0] - 100
        assert reading.start + 1 >= min(first, window - stride)
        assert [token + 1 for token in reading.ids[reading.start :]] == list(reading.targets)
        scored += reading.targets
    assert scored == ids[1:]


def test_a_uniform_model_has_the_vocabularys_size_as_perplexity() -> None:
    model = tiny_editable("gpt2")
    model.network.get_output_embeddings().weight.data.zero_()
    assert perplexity(model, TEXT).value == pytest.approx(400.0, rel=1e-4)


def test_the_protocol_names_window_stride_tokens_and_text() -> None:
    model = tiny_editable("gpt2")
    first, second = perplexity(model, TEXT, window=32), perplexity(model, TEXT + "!", window=32)
    assert "window=32,stride=16," in first.protocol
    assert first.protocol != second.protocol
    assert (first.metric, first.scorer, first.request) == ("perplexity", "teacher-forced", None)


def test_the_window_never_exceeds_the_models_positions() -> None:
    model = tiny_editable("gpt2")
    assert f"window={POSITIONS}," in perplexity(model, TEXT, window=100_000).protocol


def test_a_broken_model_has_infinite_perplexity() -> None:
    model = tiny_editable("gpt2")
    model.network.get_output_embeddings().weight.data.fill_(math.nan)
    assert perplexity(model, TEXT).value == math.inf


@pytest.mark.parametrize("stride", [0, -1, 16, 17])
def test_a_stride_that_does_not_fit_is_refused(stride: int) -> None:
    with pytest.raises(UsageError, match="stride"):
        perplexity(tiny_editable("gpt2"), TEXT, window=16, stride=stride)


def test_a_text_too_short_is_refused() -> None:
    with pytest.raises(UsageError, match="two tokens"):
        perplexity(tiny_editable("gpt2"), ".")


def test_the_monitor_text_is_long_varied_and_plain() -> None:
    text = monitor_text()
    words = text.split()
    assert 1400 <= len(words) <= 1800
    assert len({word.lower() for word in words}) > 600
    paragraphs = text.strip().split("\n\n")
    assert len(paragraphs) == len(set(paragraphs)) >= 12


def test_the_monitor_reads_its_first_512_tokens() -> None:
    value = monitor_perplexity(tiny_editable("gpt2"))
    assert value.count == 511
    assert "tokens=512," in value.protocol
