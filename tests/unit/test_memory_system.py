"""Model and memory as one: bit for bit the model out of scope, the base with the edit in view in scope."""

from __future__ import annotations

import math

import pytest
import torch
from scope_samples import entry, quick_artefact
from tiny import tiny_editable
from word_encoder import WordEncoder

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.evaluation.scoring import Scorer
from kedit_lifecycle.evaluation.suite import evaluate_requests, read_neighborhood
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.counterfactual import IN_CONTEXT, Conditioning, CounterfactualModel
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry
from kedit_lifecycle.memory.index import MemoryIndex
from kedit_lifecycle.memory.routing import ScopeRouter
from kedit_lifecycle.memory.scope.classifier import ScopeClassifier
from kedit_lifecycle.memory.system import RoutedModel
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.generation import generate

pytestmark = pytest.mark.unit

KALMAR, TARNOV = entry(1, "Kalmar", target="Rome"), entry(2, "Tarnov", target="Paris")
IN_SCOPE = [KALMAR.text, TARNOV.request.paraphrases[0]]
OUTSIDE = ["The capital city of Elsewhere is", "Water boils at one hundred", "Albert Einstein was"]


@pytest.fixture
def model() -> EditableModel:
    """With an edited weight, so that base and edited answers differ."""
    made = tiny_editable("llama")
    name = "lm_head.weight"
    master = made.master(name)
    generator = torch.Generator().manual_seed(1)
    left, right = (
        torch.randn(master.shape[0], 1, generator=generator),
        torch.randn(1, master.shape[1], generator=generator),
    )
    made.restore({name: master + left @ right})
    return made


def system(model: EditableModel, counterfactual: EditableModel | None = None) -> RoutedModel:
    encoder, entries = WordEncoder(), [KALMAR, TARNOV]
    index = MemoryIndex(encoder)
    index.add(entries)
    router = ScopeRouter(entries, index, ScopeClassifier(quick_artefact(), encoder))
    return RoutedModel(model, router, CounterfactualModel(counterfactual or model))


def conditioned(query: str) -> str:
    return IN_CONTEXT.prompt(KALMAR if "Kalmar" in query else TARNOV, query)


def test_the_edit_stands_before_the_last_sentence_of_the_query() -> None:
    prompt = Conditioning("Answer {target}: {fact}.\n{query}").prompt(KALMAR, f"Rain fell. {KALMAR.text} ")
    assert prompt == f"Answer Rome: {KALMAR.text} Rome.\n{KALMAR.text} "


def test_braces_in_edit_and_query_are_text() -> None:
    odd = MemoryEntry(EntryId(1, 0), EditRequest(subject="{query}", prompt="{} is", target_new="{fact}"))
    assert (
        Conditioning("{fact}|{query}").prompt(odd, "{target} of {query}")
        == "{query} is {fact}|{target} of {query}"
    )


@pytest.mark.parametrize("template", ["{query}", "{fact}", "{fact} {query}?", ""])
def test_a_template_without_its_places_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="conditioning"):
        Conditioning(template)


def test_out_of_scope_every_bit_is_the_models_even_beside_what_is_in_scope(model: EditableModel) -> None:
    pairs = [(prompt, target) for prompt in (*OUTSIDE, *IN_SCOPE) for target in ("Rome", "Paris")]
    plain, routed = Scorer(model), system(model).scorer()
    kept = 2 * len(OUTSIDE)
    assert routed.score_targets(pairs)[:kept] == plain.score_targets(pairs)[:kept]
    prompts = [*OUTSIDE, *IN_SCOPE]
    assert routed.next_logprobs(prompts, 5)[: len(OUTSIDE)] == plain.next_logprobs(prompts, 5)[: len(OUTSIDE)]
    assert system(model).generate(OUTSIDE, 8) == generate(model, OUTSIDE, 8)
    assert system(model).generate(OUTSIDE, 8, seed=3, top_k=9) == generate(model, OUTSIDE, 8, seed=3, top_k=9)


def test_in_scope_the_base_weights_answer_with_the_edit_in_view(model: EditableModel) -> None:
    pairs = [(prompt, target) for prompt in IN_SCOPE for target in ("Rome", "the city of London")]
    scores = system(model).scorer().score_targets([*pairs, (OUTSIDE[0], "Rome")])[: len(pairs)]
    shown = [(conditioned(prompt), target) for prompt, target in pairs]
    with model.unedited():
        expected = Scorer(model).score_targets(shown)
        tokens = Scorer(model).next_tokens([conditioned(prompt) for prompt in IN_SCOPE])
        texts = generate(model, [conditioned(prompt) for prompt in IN_SCOPE], 8)
    assert [one.total_logprob for one in scores] == pytest.approx(
        [one.total_logprob for one in expected], abs=1e-4
    )
    edited = Scorer(model).score_targets(shown)
    assert all(
        not math.isclose(a.total_logprob, b.total_logprob, abs_tol=1e-2)
        for a, b in zip(scores, edited, strict=True)
    )
    assert system(model).scorer().next_tokens(IN_SCOPE) == tokens
    mixed = [IN_SCOPE[0], OUTSIDE[0], IN_SCOPE[1]]
    assert system(model).generate(mixed, 8) == [texts[0], generate(model, [OUTSIDE[0]], 8)[0], texts[1]]


def test_asking_leaves_the_edited_weights_as_they_were(model: EditableModel) -> None:
    before = {name: model.fingerprints(name) for name in model.masters}
    routed = system(model)
    routed.scorer().score_targets([(KALMAR.text, "Rome")])
    routed.generate([KALMAR.text], 3)
    assert before == {name: model.fingerprints(name) for name in model.masters} != {}


def test_every_metric_of_an_evaluation_is_of_the_whole_system(model: EditableModel) -> None:
    far = {"neighborhood": ("The capital city of Belvia is", "The capital city of Monton is")}
    requests = [one.request.model_copy(update=far) for one in (KALMAR, TARNOV)]
    routed, base = system(model), read_neighborhood(model, requests)
    assert all(route.answered_by == "memory" for route in routed.routes(IN_SCOPE))
    found = evaluate_requests(model, requests, before=base, system=routed, fluency=False)
    for one, request in zip(found, requests, strict=True):
        (expected,) = routed.scorer().score_targets([(request.question, request.target_new)])
        assert one.edit.new.total_logprob == pytest.approx(expected.total_logprob, abs=1e-4)
        ids = routed.generate([request.question], 40)[0]
        assert one.completion
        assert model.tokenizer.decode(ids).startswith(one.completion[:5])
    plain = evaluate_requests(model, requests, before=base, fluency=False)
    assert [one.neighborhood_next for one in found] == [one.neighborhood_next for one in plain]
    assert [one.edit for one in found] != [one.edit for one in plain]
    assert read_neighborhood(model, requests, system=routed) == base


def test_another_model_can_answer_for_the_memory_and_its_tokens_become_ours(model: EditableModel) -> None:
    other = tiny_editable("gpt2", seed=5)
    routed = system(model, other)
    assert not routed.has_own_tokens
    (score,) = routed.scorer().score_targets([(KALMAR.text, "Rome")])
    (expected,) = Scorer(other).score_targets([(conditioned(KALMAR.text), "Rome")])
    assert score == expected
    (ids,) = routed.generate([KALMAR.text], 6)
    text = other.tokenizer.decode(generate(other, [conditioned(KALMAR.text)], 6)[0], skip_special_tokens=True)
    assert model.tokenizer.decode(ids) == text
    (token,) = routed.scorer().next_tokens([KALMAR.text])
    (own,) = Scorer(other).next_tokens([conditioned(KALMAR.text)])
    assert other.tokenizer.decode([own]).startswith(model.tokenizer.decode([token]))


def test_the_counterfactual_model_scores_by_itself(model: EditableModel) -> None:
    remembering = CounterfactualModel(model)
    (score,) = remembering.score_targets([(KALMAR, KALMAR.text, "Rome")])
    with model.unedited():
        (expected,) = Scorer(model).score_targets([(conditioned(KALMAR.text), "Rome")])
    assert score == expected
