"""The demo's facts are facts that the default model knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kedit_lifecycle.evaluation.metrics import generated_match
from kedit_lifecycle.facts.demo import demo_requests

if TYPE_CHECKING:
    from kedit_lifecycle.evaluation.request_evaluation import RequestEvaluation
    from kedit_lifecycle.models.editable import EditableModel


@pytest.fixture(scope="module")
def readings(default_model: EditableModel) -> list[RequestEvaluation]:
    """The unedited model on all twelve."""
    from kedit_lifecycle.evaluation.suite import evaluate_requests

    return evaluate_requests(default_model, demo_requests())


def test_the_model_says_the_true_answer(readings: list[RequestEvaluation]) -> None:
    for request, reading in zip(demo_requests(), readings, strict=True):
        assert generated_match(str(reading.completion), str(request.target_true)), request.question


def test_it_prefers_the_true_answer_everywhere(readings: list[RequestEvaluation]) -> None:
    for request, reading in zip(demo_requests(), readings, strict=True):
        values = {value.metric: value.value for value in reading.metrics()}
        assert values["efficacy"] == 0, request.question
        assert values["paraphrase"] == 0, request.paraphrases
        assert values["neighborhood"] == 1, request.neighborhood
