"""The demo's facts, as far as they can be judged without a model."""

from __future__ import annotations

from kedit_lifecycle.facts.demo import demo_requests


def test_there_are_twelve_facts_each_about_its_own_subject() -> None:
    requests = demo_requests()
    assert len(requests) == 12
    assert len({request.subject for request in requests}) == 12
    assert len({request.digest for request in requests}) == 12


def test_every_fact_has_what_the_measures_need() -> None:
    for request in demo_requests():
        assert request.target_true
        assert request.target_true != request.target_new
        assert len(request.paraphrases) == 2
        assert 3 <= len(request.neighborhood) <= 4


def test_paraphrases_are_about_the_subject_and_neighbors_are_not() -> None:
    for request in demo_requests():
        assert all(request.subject in prompt for prompt in request.paraphrases)
        assert not any(request.subject in prompt for prompt in request.neighborhood)


def test_no_prompt_gives_an_answer_away() -> None:
    for request in demo_requests():
        for prompt in (request.question, *request.paraphrases, *request.neighborhood):
            assert request.target_new not in prompt
            assert str(request.target_true) not in prompt


def test_no_fact_is_in_the_neighborhood_of_another() -> None:
    asked = {request.question for request in demo_requests()}
    for request in demo_requests():
        assert asked.isdisjoint(request.neighborhood)
