"""The batched scorer against a plain loop: one prompt at a time, full logits, no padding."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tiny import CORE_FAMILIES, tiny_editable
from torch import Tensor

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.evaluation.scores import TargetScore
from kedit_lifecycle.evaluation.scoring import HEAD_POSITIONS, Reading, Scorer
from kedit_lifecycle.models.batching import length_buckets
from kedit_lifecycle.models.editable import EditableModel

PAIRS = [
    ("The capital of France is", "Rome"),
    ("The capital of France is", "Paris"),
    ("Big Ben is in", "the city of London, which is old"),
    ("The mother tongue of Danielle Darrieux is", "Italian"),
    ("Albert", "Einstein"),
    ("The capital of France is Paris. The capital of Italy", "is Rome"),
    ("Water boils at one hundred degrees. Mozart wrote music; Shakespeare wrote", "plays"),
    ("Albert", "Einstein"),
    ("The", "é, Ω and 東京"),
]
FAMILIES = (*CORE_FAMILIES, "llama_tied", "qwen2", "gemma")


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable(request.param)


@torch.no_grad()
def plain_logits(model: EditableModel, text: str) -> Tensor:
    """(positions, vocabulary) of one text alone, through the model's own forward."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    logits: Tensor = model.network(input_ids=ids).logits[0].float()
    return logits


def plain_score(model: EditableModel, prompt: str, target: str) -> TargetScore:
    ids = model.tokenizer(f"{prompt} {target}")["input_ids"]
    start = len(model.tokenizer(prompt)["input_ids"])
    logits = plain_logits(model, f"{prompt} {target}")
    total, matched = 0.0, True
    for position in range(start, len(ids)):
        row = logits[position - 1]
        total += float(row[ids[position]]) - math.log(sum(math.exp(value) for value in row.tolist()))
        matched = matched and max(range(len(row)), key=row.tolist().__getitem__) == ids[position]
    count = len(ids) - start
    return TargetScore(total, -total / count, count, matched)


def assert_close(scores: list[TargetScore], expected: list[TargetScore], tolerance: float = 2e-4) -> None:
    assert [score.token_count for score in scores] == [score.token_count for score in expected]
    for score, other in zip(scores, expected, strict=True):
        assert score.total_logprob == pytest.approx(other.total_logprob, abs=tolerance)
        assert score.mean_nll == pytest.approx(other.mean_nll, abs=tolerance)
        assert score.is_argmax == other.is_argmax


def test_scores_equal_a_plain_loop_with_full_logits(model: EditableModel) -> None:
    assert_close(Scorer(model).score_targets(PAIRS), [plain_score(model, *pair) for pair in PAIRS])


@pytest.mark.parametrize("token_budget", [1, 40, 100_000])
def test_scores_do_not_depend_on_the_batch(model: EditableModel, token_budget: int) -> None:
    alone = [Scorer(model).score_targets([pair])[0] for pair in PAIRS]
    assert_close(Scorer(model, token_budget).score_targets(PAIRS), alone)
    reordered = Scorer(model, token_budget).score_targets(PAIRS[::-1])
    assert_close(reordered[::-1], alone)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_half_precision_models_take_their_log_softmax_in_float32(
    family: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_editable(family, dtype)
    seen: list[torch.Tensor] = []

    def kept(hidden: torch.Tensor) -> torch.Tensor:
        seen.append(type(model).logits(model, hidden))
        return seen[-1]

    monkeypatch.setattr(model, "logits", kept)
    rounding = 0.05  # of the logits, which is another for another number of rows of a product
    for prompt, target in PAIRS[:4]:
        seen.clear()
        (score,) = Scorer(model).score_targets([(prompt, target)])
        rows = torch.cat(seen).double().log_softmax(1)
        ids = model.tokenizer(f"{prompt} {target}")["input_ids"][-len(rows) :]
        exact = sum(float(row[token]) for row, token in zip(rows, ids, strict=True))
        assert score.total_logprob == pytest.approx(exact, abs=1e-5)
        assert exact == pytest.approx(plain_score(model, prompt, target).total_logprob, abs=rounding)
    together = Scorer(model).score_targets(PAIRS)
    expected = [plain_score(model, *pair).mean_nll for pair in PAIRS]
    assert [score.mean_nll for score in together] == pytest.approx(expected, abs=0.15)


def greedy_text(model: EditableModel, prompt: str, count: int) -> list[int]:
    ids = list(model.tokenizer(prompt)["input_ids"])
    for _ in range(count):
        with torch.no_grad():
            ids.append(int(model.network(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids


def test_is_argmax_needs_every_token(model: EditableModel) -> None:
    prompt = "The capital of France is"
    ids = greedy_text(model, prompt, 3)
    start = len(ids) - 3
    said = Reading(tuple(ids[:-1]), start - 1, tuple(ids[start:]))
    scorer = Scorer(model)
    (answer,) = scorer.read([said])
    assert answer.argmax == said.targets
    for wrong in range(3):
        targets = list(said.targets)
        targets[wrong] = (targets[wrong] + 1) % 400
        (other,) = scorer.read([Reading(said.ids, said.start, tuple(targets))])
        assert other.argmax != tuple(targets)


def test_next_tokens_and_probabilities_come_from_the_last_position(model: EditableModel) -> None:
    prompts = [prompt for prompt, _ in PAIRS]
    rows = [plain_logits(model, prompt)[-1].softmax(dim=-1) for prompt in prompts]
    assert Scorer(model).next_tokens(prompts) == [int(row.argmax()) for row in rows]
    for listed, row in zip(Scorer(model, 32).next_logprobs(prompts, 5), rows, strict=True):
        best = sorted(range(400), key=lambda token: -row[token].item())[:5]
        assert [entry.token for entry in listed] == best
        assert [entry.probability for entry in listed] == pytest.approx(
            [row[t].item() for t in best], rel=1e-3
        )


def test_more_next_tokens_than_the_vocabulary_gives_all_of_it(model: EditableModel) -> None:
    (listed,) = Scorer(model).next_logprobs(["The"], 10_000)
    assert len(listed) == 400
    assert sum(entry.probability for entry in listed) == pytest.approx(1.0, abs=1e-5)


class CountingModel(EditableModel):
    """Counts the tokens fed to the backbone and the positions fed to the head."""

    fed = 0
    read = 0
    widest_head = 0

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor, **kwargs: Any) -> Any:
        self.fed += int(attention_mask.sum())
        return super().hidden_states(input_ids, attention_mask, **kwargs)

    def logits(self, hidden: Tensor) -> Tensor:
        self.read += len(hidden)
        self.widest_head = max(self.widest_head, len(hidden))
        return super().logits(hidden)


def counting(family: str) -> CountingModel:
    plain = tiny_editable(family)
    return CountingModel(plain.network, plain.tokenizer, name=family, source="tiny")


def test_shared_prefixes_are_computed_once_and_the_head_reads_only_scored_positions() -> None:
    model = counting("llama")
    prompt = "The capital of France is"
    length = len(model.tokenizer(prompt)["input_ids"])
    scorer = Scorer(model)
    paris, rome = scorer.target_reading(prompt, "Paris"), scorer.target_reading(prompt, "Rome")
    assert len(paris.targets) == len(rome.targets) == 1
    scorer.read([paris, rome, scorer.prompt_reading(prompt), paris])
    assert (model.fed, model.read) == (length, 1)


def test_a_prefix_is_read_from_the_longer_sequence_that_starts_with_it() -> None:
    model = counting("gpt2")
    scorer = Scorer(model)
    texts = [
        "The capital of France",
        "The capital of France is Paris. The",
        "The",
        "The capital of France is",
    ]
    answers = scorer.next_tokens(texts)
    assert model.fed == len(model.tokenizer(texts[1])["input_ids"])
    assert answers == [int(plain_logits(model, text)[-1].argmax()) for text in texts]


def test_the_head_reads_a_bounded_number_of_positions_at_a_time() -> None:
    model = counting("gpt2")
    ids = tuple(range(2, 302))
    (answer,) = Scorer(model).read([Reading(ids, 0, (*ids[1:], 5))])
    assert (model.read, model.widest_head) == (300, HEAD_POSITIONS)
    with torch.no_grad():
        full = model.network(input_ids=torch.tensor([ids])).logits[0].log_softmax(dim=-1)
    expected = [float(full[i, token]) for i, token in enumerate((*ids[1:], 5))]
    assert answer.logprobs == pytest.approx(expected, abs=2e-4)


def test_length_buckets_hold_the_budget_and_every_sequence() -> None:
    sequences = [(0,) * length for length in (3, 50, 3, 1, 20, 7, 7, 2)]
    batches = list(length_buckets(sequences, len, 21))
    assert sorted(map(len, sequences)) == [len(s) for batch in batches for s in batch]
    assert all(len(batch) == 1 or len(batch) * max(map(len, batch)) <= 21 for batch in batches)
    assert [[len(s) for s in batch] for batch in batches] == [[1, 2, 3, 3], [7, 7], [20], [50]]
    assert [len(batch) for batch in length_buckets([(0,) * 10, (0,) * 9], len, 19)] == [1, 1]
    assert [len(batch) for batch in length_buckets([(0,) * 10, (0,) * 9], len, 20)] == [2]


def test_nothing_to_score_gives_nothing() -> None:
    scorer = Scorer(tiny_editable("gpt2"))
    assert scorer.score_targets([]) == []
    assert scorer.next_tokens([]) == []


def test_a_prompt_without_tokens_is_refused_by_name() -> None:
    scorer = Scorer(tiny_editable("gpt2"))
    with pytest.raises(BadRecordError, match="has no tokens"):
        scorer.next_tokens([""])
    with pytest.raises(BadRecordError, match="has no tokens"):
        scorer.score_targets([("", "Rome")])


def test_a_prompt_beyond_the_models_positions_is_refused() -> None:
    scorer = Scorer(tiny_editable("gpt2"))
    with pytest.raises(BadRecordError, match=r"at most 512"):
        scorer.next_tokens(["The", "Rome " * 600])


def test_a_model_that_answers_nan_gives_its_targets_no_probability() -> None:
    model = tiny_editable("gpt2")
    model.network.get_output_embeddings().weight.data.fill_(math.nan)
    (score,) = Scorer(model).score_targets([("The capital of France is", "Paris")])
    assert score.total_logprob == -math.inf
    assert score.token_probability == score.probability == 0.0
    assert not score.is_argmax
