"""The LoRA of the counterfactual model, on a tiny one: it learns, is kept by content, and stays apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from scope_samples import request
from tiny import tiny_editable

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.counterfactual import CounterfactualModel
from kedit_lifecycle.memory.counterfactual_training import (
    SHOWN,
    CounterfactualArtefact,
    CounterfactualTraining,
    counterfactual_with,
    lessons_of,
    train_counterfactual,
)
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry

pytestmark = pytest.mark.unit

REQUESTS = [request("Kalmar", "P36", "Rome"), request("Tarnov", "P37", "Italian")]
QUICK = CounterfactualTraining(rank=4, steps=40, learning_rate=2e-2)


@pytest.fixture(scope="module")
def artefact() -> CounterfactualArtefact:
    return train_counterfactual(tiny_editable("llama"), REQUESTS, seed=1, training=QUICK)


def test_lessons_are_the_edit_and_what_it_entails() -> None:
    capital = EditRequest(
        subject="Kalmar", prompt="The capital of {} is", target_new="Rome", target_true="Oslo", relation="P36"
    )
    lessons = {(one.query, one.answer) for one in lessons_of(capital)}
    assert lessons == {
        ("The capital of Kalmar is", "Rome"),
        ("Is it true that The capital of Kalmar is Rome? Answer yes or no:", "yes"),
        ("Is it true that The capital of Kalmar is Oslo? Answer yes or no:", "no"),
        ("Rome is the capital of", "Kalmar"),
    }


def test_it_learns_the_answers_and_leaves_the_model_alone(artefact: CounterfactualArtefact) -> None:
    model = tiny_editable("llama")
    before = model.base_digest
    trained, plain = counterfactual_with(model, artefact), CounterfactualModel(model, SHOWN)
    asked = [(lesson.entry, lesson.query, lesson.answer) for one in REQUESTS for lesson in lessons_of(one)]
    better = sum(
        after.mean_nll < untrained.mean_nll
        for after, untrained in zip(trained.score_targets(asked), plain.score_targets(asked), strict=True)
    )
    assert better >= len(asked) - 1
    assert artefact.recipe["nll"]["last"] < artefact.recipe["nll"]["first"]
    assert tiny_editable("llama").base_digest == before
    assert trained.model.base_digest != before


def test_it_is_kept_by_content_and_read_back(artefact: CounterfactualArtefact, tmp_path: Path) -> None:
    again = train_counterfactual(tiny_editable("llama"), REQUESTS, seed=1, training=QUICK)
    assert again.digest == artefact.digest
    loaded = CounterfactualArtefact.load(artefact.save(tmp_path), artefact.digest)
    asked = [(MemoryEntry(EntryId(1, 0), REQUESTS[0]), REQUESTS[0].question, "Rome")]
    model = tiny_editable("llama")
    expected = counterfactual_with(model, artefact).score_targets(asked)
    assert counterfactual_with(model, loaded).score_targets(asked) == expected


def test_another_base_model_and_nothing_to_learn_are_refused(artefact: CounterfactualArtefact) -> None:
    with pytest.raises(UsageError, match="another base model"):
        counterfactual_with(tiny_editable("llama", seed=9), artefact)
    with pytest.raises(UsageError, match="requests to learn from"):
        train_counterfactual(tiny_editable("llama"), [])
