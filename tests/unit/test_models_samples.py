"""Text sampled from the unedited model: the same every time, whatever is applied."""

from __future__ import annotations

import pytest
import torch
from tiny import BOS, tiny_editable

from kedit_lifecycle.errors import ModelError
from kedit_lifecycle.models.delta import TensorUpdate
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.samples import (
    PREFIX_STARTS,
    sample_continuations,
    sample_corpus,
    sample_prefixes,
)
from kedit_lifecycle.models.tokens import encode

pytestmark = pytest.mark.unit


@pytest.fixture(params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable(request.param)


def edit(model: EditableModel) -> None:
    name = model.architecture.mlp_down_weight(0)
    model.apply([TensorUpdate(name, "set", model.master(name) * -3)])


def test_samples_are_the_same_every_time_and_of_the_unedited_model(model: EditableModel) -> None:
    prefixes, corpus = sample_prefixes(model, [(4, 5), (6, 3)]), sample_corpus(model, 200, length=20)
    torch.manual_seed(99)
    edit(model)
    edited = model.fingerprints(model.architecture.mlp_down_weight(0))
    assert sample_prefixes(model, [(4, 5), (6, 3)]) == prefixes
    assert sample_corpus(model, 200, length=20) == corpus
    assert model.fingerprints(model.architecture.mlp_down_weight(0)) == edited
    other = tiny_editable(model.name)
    assert sample_corpus(other, 200, length=20) == corpus
    assert sample_prefixes(other, [(4, 5), (6, 3)], seed=1) != prefixes
    assert sample_corpus(other, 200, length=20, seed=1) != corpus


def test_sampling_leaves_the_global_generator_alone(model: EditableModel) -> None:
    before = torch.get_rng_state()
    sample_prefixes(model, [(3, 2)])
    sample_corpus(model, 40, length=20)
    assert torch.equal(torch.get_rng_state(), before)


def test_prefixes_begin_as_in_the_papers_code_and_are_of_one_line(model: EditableModel) -> None:
    prefixes = sample_prefixes(model, [(4, 7), (9, 2)])
    assert len(prefixes) == 9
    for prefix, start in zip(prefixes, (*PREFIX_STARTS, *PREFIX_STARTS[:2], *PREFIX_STARTS[:2]), strict=True):
        assert prefix.startswith(start)
        assert prefix == " ".join(prefix.split())
        assert "<s>" not in prefix


def test_a_corpus_has_as_many_tokens_as_asked_for_and_no_special_ones_inside(model: EditableModel) -> None:
    done: list[tuple[int, int]] = []
    corpus = sample_corpus(
        model, 210, length=20, progress=lambda _, count, total: done.append((count, total))
    )
    assert [len(text) for text in corpus] == [20] * 11
    front = encode(model.tokenizer, "")
    assert front == ([BOS] if model.name == "llama" else [])
    for text in corpus:
        assert text[: len(front)] == front
        assert set(model.tokenizer.all_special_ids).isdisjoint(text[len(front) :])
        assert model.tokenizer.decode([text[len(front)]])[1:].isalpha()
    assert len({tuple(text) for text in corpus}) > 5
    assert done[-1] == (11, 11)


def test_the_first_sampled_tokens_follow_the_models_distribution() -> None:
    """Independent of the sampler: 400 draws of one token against the softmax of a plain forward pass."""
    model = tiny_editable("gpt2")
    start = encode(model.tokenizer, "The")
    drawn = torch.tensor(sample_continuations(model, [start] * 400, 1, seed=3)).flatten()
    with torch.no_grad():
        logits = model.network(input_ids=torch.tensor([start])).logits[0, -1].float()
    logits[model.tokenizer.all_special_ids] = -torch.inf
    expected = logits.softmax(-1)
    likely = expected.topk(5).indices
    shares = torch.stack([(drawn == token).float().mean() for token in likely])
    torch.testing.assert_close(shares, expected[likely], atol=0.08, rtol=0)
    top = torch.tensor(sample_continuations(model, [start] * 100, 1, seed=3, top_k=2)).flatten()
    assert set(top.tolist()) <= set(expected.topk(2).indices.tolist())


def test_a_longer_sample_is_read_with_its_beginning() -> None:
    """The key-value cache hides nothing: each token is among the top two of a pass over the whole text."""
    model = tiny_editable("llama")
    start = encode(model.tokenizer, "The capital")
    (drawn,) = sample_continuations(model, [start], 12, seed=5, top_k=2)
    text = [*start, *drawn]
    with torch.no_grad():
        logits = model.network(input_ids=torch.tensor([text])).logits[0].float()
    logits[:, model.tokenizer.all_special_ids] = -torch.inf
    for position in range(len(start), len(text)):
        assert text[position] in logits[position - 1].topk(2).indices


def test_a_sample_does_not_depend_on_where_it_stands_among_starts_of_other_lengths() -> None:
    model = tiny_editable("gpt2")
    starts = [encode(model.tokenizer, text) for text in ("The", "The capital of France", "I")]
    together = sample_continuations(model, starts, 6, seed=2)
    assert [len(one) for one in together] == [6, 6, 6]
    assert together[1] == sample_continuations(model, starts[1:2], 6, seed=2)[0]


def test_a_model_without_finite_logits_is_a_model_error() -> None:
    model = tiny_editable("gpt2")
    model.parameter("transformer.h.1.mlp.c_proj.weight").data[0, 0] = torch.nan
    with pytest.raises(ModelError, match="not finite"):
        sample_prefixes(model, [(3, 1)])
