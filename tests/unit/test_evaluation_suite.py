"""The suite against a plain evaluation: one prompt at a time, metrics written out again."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny import CORE_FAMILIES, tiny_editable

from kedit_lifecycle.errors import BadRecordError, UsageError
from kedit_lifecycle.evaluation.metrics import ngram_entropy
from kedit_lifecycle.evaluation.registry import METRICS
from kedit_lifecycle.evaluation.scores import PromptScore, TargetScore
from kedit_lifecycle.evaluation.suite import (
    BaselineReadings,
    RequestEvaluation,
    aggregate,
    evaluate_requests,
    read_neighborhood,
)
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel

FULL = EditRequest(
    subject="Eiffel Tower",
    prompt="The {} is in",
    target_new="Rome",
    target_true="Paris",
    paraphrases=("Where is the Eiffel Tower? It is in", "The Eiffel Tower was built in"),
    neighborhood=("The Colosseum is in", "Big Ben is in", "Notre-Dame is in"),
    generation_prompts=("The Eiffel Tower", "Visitors to the Eiffel Tower"),
)
SECOND = EditRequest(
    subject="Danielle Darrieux",
    prompt="The mother tongue of {} is",
    target_new="old Italian",
    target_true="French",
    paraphrases=("Danielle Darrieux speaks",),
    neighborhood=("The mother tongue of Mozart is",),
)
NO_TRUE = EditRequest(
    subject="Albert Einstein",
    prompt="{} was a",
    target_new="writer of plays",
    paraphrases=("Albert Einstein worked as a",),
    neighborhood=("Mozart was a", "Shakespeare was a"),
)
BARE = EditRequest(subject="Water", prompt="{} boils at", target_new="two degrees")
REQUESTS = [FULL, SECOND, NO_TRUE, BARE]

TWO_TARGETS = {"efficacy", "efficacy_magnitude", "neighborhood", "neighborhood_magnitude", "score"} | {
    "paraphrase",
    "paraphrase_magnitude",
}


@pytest.fixture(scope="module", params=CORE_FAMILIES)
def model(request: pytest.FixtureRequest) -> EditableModel:
    return tiny_editable(request.param)


@torch.no_grad()
def plain_nll(model: EditableModel, prompt: str, target: str) -> float:
    ids = model.tokenizer(f"{prompt} {target}")["input_ids"]
    start = len(model.tokenizer(prompt)["input_ids"])
    rows = model.network(input_ids=torch.tensor([ids])).logits[0].log_softmax(dim=-1)
    return -sum(float(rows[i - 1, ids[i]]) for i in range(start, len(ids))) / (len(ids) - start)


@torch.no_grad()
def plain_next(model: EditableModel, prompt: str) -> int:
    ids = torch.tensor([model.tokenizer(prompt)["input_ids"]])
    return int(model.network(input_ids=ids).logits[0, -1].argmax())


def plain_metrics(model: EditableModel, request: EditRequest) -> dict[str, float]:
    """ES … S of one request with both targets, as the published evaluation code writes them."""
    assert request.target_true is not None
    groups = {
        "efficacy": ([request.question], 1),
        "paraphrase": (request.paraphrases, 1),
        "neighborhood": (request.neighborhood, -1),
    }
    values: dict[str, float] = {}
    for metric, (prompts, sign) in groups.items():
        new = [plain_nll(model, prompt, request.target_new) for prompt in prompts]
        true = [plain_nll(model, prompt, request.target_true) for prompt in prompts]
        gaps = [sign * (t - n) for n, t in zip(new, true, strict=True)]
        values[metric] = sum(gap > 0 for gap in gaps) / len(gaps)
        magnitudes = [sign * (math.exp(-n) - math.exp(-t)) for n, t in zip(new, true, strict=True)]
        values[f"{metric}_magnitude"] = sum(magnitudes) / len(magnitudes)
    return values


def by_metric(evaluation: RequestEvaluation) -> dict[str, float]:
    return {value.metric: value.value for value in evaluation.metrics()}


def harmonic(parts: list[float]) -> float:
    return 0.0 if 0.0 in parts else len(parts) / sum(1 / part for part in parts)


def test_metrics_of_each_request_equal_a_plain_evaluation(model: EditableModel) -> None:
    evaluations = evaluate_requests(model, REQUESTS, generate=False)
    for request, evaluation in zip(REQUESTS[:2], evaluations[:2], strict=True):
        expected = plain_metrics(model, request)
        measured = by_metric(evaluation)
        assert {metric: measured[metric] for metric in expected} == pytest.approx(expected, abs=1e-4)
        parts = [expected[metric] for metric in ("efficacy", "paraphrase", "neighborhood")]
        assert measured["score"] == pytest.approx(harmonic(parts))


def test_a_request_is_evaluated_the_same_alone_and_in_company(model: EditableModel) -> None:
    together = evaluate_requests(model, REQUESTS)
    for position, request in enumerate(REQUESTS):
        (alone,) = evaluate_requests(model, [request], token_budget=30)
        assert by_metric(together[position]) == pytest.approx(by_metric(alone), abs=1e-4)
        assert together[position].completion == alone.completion
        assert together[position].fluency_texts == alone.fluency_texts


def test_positions_are_set_and_every_number_says_how_it_was_made(model: EditableModel) -> None:
    before = read_neighborhood(model, REQUESTS)
    for position, evaluation in enumerate(evaluate_requests(model, REQUESTS, before=before)):
        for value in evaluation.metrics():
            definition = METRICS[value.metric]
            assert value.request == position
            assert value.protocol.split(":")[0] == definition.protocol
            assert value.scorer == definition.scorer
            assert value.count >= 1
            assert math.isfinite(value.value)


def test_what_there_is_nothing_to_measure_with_is_absent() -> None:
    model = tiny_editable("llama")
    full, _, no_true, bare = evaluate_requests(model, REQUESTS, before=read_neighborhood(model, REQUESTS))
    always = {"exact_match", "generated_exact_match"}
    one_target = always | {"paraphrase_exact_match", "neighborhood_unchanged"}
    assert set(by_metric(full)) == one_target | TWO_TARGETS | {"fluency"}
    assert set(by_metric(no_true)) == one_target
    assert set(by_metric(bare)) == always
    silent = evaluate_requests(model, [FULL], generate=False)
    assert {"generated_exact_match", "fluency", "neighborhood_unchanged"}.isdisjoint(by_metric(silent[0]))
    assert "fluency" not in by_metric(evaluate_requests(model, [FULL], fluency=False)[0])


def test_counts_are_the_prompts_read() -> None:
    model = tiny_editable("gpt2")
    (full,) = evaluate_requests(model, [FULL], before=read_neighborhood(model, [FULL]))
    counts = {value.metric: value.count for value in full.metrics()}
    assert (counts["efficacy"], counts["paraphrase"], counts["neighborhood"]) == (1, 2, 3)
    assert (counts["neighborhood_unchanged"], counts["fluency"]) == (3, 2)


def test_unchanged_share_compares_next_tokens_with_the_model_before(model: EditableModel) -> None:
    before = read_neighborhood(model, REQUESTS)
    assert before.next_tokens["Big Ben is in"] == plain_next(model, "Big Ben is in")
    (same,) = evaluate_requests(model, [FULL], before=before, generate=False)
    assert by_metric(same)["neighborhood_unchanged"] == 1.0
    other = tiny_editable(model.name, seed=1)
    (changed,) = evaluate_requests(other, [FULL], before=before, generate=False)
    same_tokens = [plain_next(model, p) == plain_next(other, p) for p in FULL.neighborhood]
    assert by_metric(changed)["neighborhood_unchanged"] == pytest.approx(sum(same_tokens) / 3)
    assert sum(same_tokens) < 3


def test_unchanged_share_says_what_it_was_compared_with() -> None:
    model = tiny_editable("gpt2")
    protocols = set()
    for against in ("base", "parent"):
        before = replace(read_neighborhood(model, [FULL]), against=against)
        (evaluation,) = evaluate_requests(model, [FULL], before=before, generate=False)
        protocols |= {v.protocol for v in evaluation.metrics() if v.metric == "neighborhood_unchanged"}
    assert protocols == {f"kedit/next-token-unchanged@1:against={against}" for against in ("base", "parent")}


def test_a_baseline_that_misses_a_prompt_gives_no_share() -> None:
    model = tiny_editable("gpt2")
    partial = BaselineReadings({FULL.neighborhood[0]: 3})
    (evaluation,) = evaluate_requests(model, [FULL], before=partial, generate=False)
    assert "neighborhood_unchanged" not in by_metric(evaluation)


def greedy_words(model: EditableModel, prompt: str, count: int) -> str:
    ids = list(model.tokenizer(prompt)["input_ids"])
    start = len(ids)
    for _ in range(count):
        with torch.no_grad():
            ids.append(int(model.network(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    text: str = model.tokenizer.decode(ids[start:])
    return text


def test_the_completion_is_greedy_and_longer_than_the_target() -> None:
    model = tiny_editable("gptj")
    (evaluation,) = evaluate_requests(model, [FULL])
    length = len(model.tokenizer(" Rome")["input_ids"]) + 4
    assert evaluation.completion == greedy_words(model, FULL.question, length)


def test_exact_matches_hold_for_a_target_the_model_says_itself() -> None:
    model = favouring("gpt2", " Rome")
    evaluation, other = evaluate_requests(
        model, [FULL, FULL.model_copy(update={"target_new": "Paris", "target_true": "Rome"})]
    )
    assert evaluation.completion is not None
    assert evaluation.completion.startswith(" Rome Rome")
    exact = ("exact_match", "paraphrase_exact_match", "generated_exact_match", "efficacy")
    assert [by_metric(evaluation)[metric] for metric in exact] == [1.0] * 4
    assert [by_metric(other)[metric] for metric in exact] == [0.0] * 4
    assert by_metric(evaluation)["neighborhood"] == 0.0
    assert by_metric(other)["neighborhood"] == 1.0


def favouring(family: str, word: str) -> EditableModel:
    """A model whose every next token is the (single) token of `word`."""
    model = tiny_editable(family)
    (token,) = model.tokenizer(word, add_special_tokens=False)["input_ids"]
    final_norm = model.network.get_submodule(model.architecture.final_norm)
    final_norm.weight.data.zero_()
    final_norm.bias.data.fill_(1.0)
    head = model.network.get_output_embeddings().weight.data
    head.zero_()
    head[token] = 1.0
    return model


def test_the_target_probability_is_the_product_over_its_tokens() -> None:
    model = tiny_editable("llama")
    (evaluation,) = evaluate_requests(model, [SECOND], generate=False)
    count = evaluation.edit.new.token_count
    assert count >= 2
    expected = math.exp(-count * plain_nll(model, SECOND.question, SECOND.target_new))
    assert evaluation.target_probability == pytest.approx(expected, rel=1e-3)


def test_fluency_texts_are_prompt_and_continuation_of_100_tokens_and_seeded() -> None:
    model = tiny_editable("gpt2")
    (evaluation,) = evaluate_requests(model, [FULL], seed=4)
    assert len(evaluation.fluency_texts) == 2
    assert evaluation.fluency_texts[0].startswith("The Eiffel Tower")
    assert all(len(text) > 60 for text in evaluation.fluency_texts)
    expected = sum(map(ngram_entropy, evaluation.fluency_texts)) / 2
    assert by_metric(evaluation)["fluency"] == pytest.approx(expected)
    assert evaluate_requests(model, [FULL], seed=4)[0].fluency_texts == evaluation.fluency_texts
    assert evaluate_requests(model, [FULL], seed=5)[0].fluency_texts != evaluation.fluency_texts


def test_fluency_goes_on_past_eos() -> None:
    model = favouring("gpt2", " Rome")
    model.network.generation_config.eos_token_id = model.tokenizer(" Rome")["input_ids"]
    (evaluation,) = evaluate_requests(model, [FULL])
    assert evaluation.completion == ""
    assert evaluation.fluency_texts[0].count(" Rome") > 80


def test_aggregate_takes_means_over_requests_of_means_over_prompts(model: EditableModel) -> None:
    evaluations = evaluate_requests(model, REQUESTS, before=read_neighborhood(model, REQUESTS))
    table = aggregate(evaluations)
    assert list(table) == [metric for metric in METRICS if metric in table]
    first, second = plain_metrics(model, FULL), plain_metrics(model, SECOND)
    for metric in TWO_TARGETS - {"score"}:
        assert table[metric].value == pytest.approx((first[metric] + second[metric]) / 2, abs=1e-4)
        assert (table[metric].count, table[metric].request) == (2, None)
    parts = [table[metric].value for metric in ("efficacy", "paraphrase", "neighborhood")]
    assert table["score"].value == pytest.approx(harmonic(parts))
    assert (table["exact_match"].count, table["paraphrase_exact_match"].count) == (4, 3)
    assert table["fluency"].count == 1


def test_the_aggregate_score_is_of_the_means_not_the_mean_of_scores() -> None:
    likely, unlikely = TargetScore(-1.0, 1.0, 1, True), TargetScore(-2.0, 2.0, 1, False)
    new_wins, true_wins = PromptScore(likely, unlikely), PromptScore(unlikely, likely)
    whole = RequestEvaluation(0, "Rome", new_wins, (new_wins,), (true_wins,))
    failed = RequestEvaluation(1, "Rome", true_wins, (new_wins,), (true_wins,))
    assert [by_metric(one)["score"] for one in (whole, failed)] == [1.0, 0.0]
    assert aggregate([whole, failed])["score"].value == pytest.approx(3 / (1 / 0.5 + 1 + 1))


def test_aggregate_of_nothing_is_empty_and_of_bare_requests_has_no_score() -> None:
    assert aggregate([]) == {}
    assert "score" not in aggregate(evaluate_requests(tiny_editable("gpt2"), [BARE, NO_TRUE]))


def test_aggregate_refuses_to_average_different_protocols() -> None:
    model = tiny_editable("gpt2")
    before = read_neighborhood(model, [FULL])
    (base,) = evaluate_requests(model, [FULL], before=before, generate=False)
    with pytest.raises(UsageError, match="different protocols"):
        aggregate([base, replace(base, against="parent")])


def test_no_requests_give_no_evaluations() -> None:
    model = tiny_editable("gpt2")
    assert evaluate_requests(model, []) == []
    assert read_neighborhood(model, []).next_tokens == {}


def test_a_prompt_too_long_is_refused() -> None:
    long = BARE.model_copy(update={"paraphrases": ("Rome " * 600,)})
    with pytest.raises(BadRecordError, match="at most 512"):
        evaluate_requests(tiny_editable("gpt2"), [FULL, long])
