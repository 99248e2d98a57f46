"""One candidate's trial on a tiny model: a sequence, measured at its end, and taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_workbench import QUICK, all_fingerprints, requests, tiny_workbench

from kedit_lifecycle.editors import Editor, EditorConfig, PastKeys
from kedit_lifecycle.editors.rome import Rome
from kedit_lifecycle.errors import EditFailedError
from kedit_lifecycle.evaluation.perplexity import monitor_perplexity
from kedit_lifecycle.evaluation.suite import aggregate, evaluate_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.delta import TensorUpdate, WeightDelta
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.tuning.halving import OutOfTime
from kedit_lifecycle.tuning.known import choose_known
from kedit_lifecycle.tuning.trial import Trial, Trials, objective
from kedit_lifecycle.workbench import Workbench
from kedit_lifecycle.workbench.editing import configure

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("kedit_cache")]


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    with tiny_workbench(tmp_path) as made:
        yield made


class Watched(Rome):
    """ROME that notes what it finds when it is asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, str]] = []  # requests, past blocks, the tensor's fingerprint
        self.fail_at = -1

    def plan(
        self, model: EditableModel, requests: Sequence[EditRequest], *a: Any, **more: Any
    ) -> WeightDelta:
        tensor = model.architecture.mlp_down_weight(1)
        past: PastKeys = more["past"]
        self.seen.append((len(requests), len(past.blocks(tensor)), model.fingerprints(tensor).served))
        if len(self.seen) - 1 == self.fail_at:
            raise EditFailedError("no value was found")
        return super().plan(model, requests, *a, **more)


class Breaking(Rome):
    """Makes the model very sure of what it does not know."""

    def plan(self, model: EditableModel, *_: Any, **more: Any) -> WeightDelta:
        return WeightDelta((TensorUpdate("lm_head.weight", "add", 20 * model.master("lm_head.weight")),))


def _trials(workbench: Workbench, editor: Editor[Any], batch: int = 1) -> tuple[Trials, EditorConfig]:
    config = configure(editor, workbench.model, QUICK["rome"])
    return Trials(workbench.model, workbench.statistics, editor, batch=batch), config


def test_each_edit_is_planned_on_the_model_as_the_earlier_ones_left_it(workbench: Workbench) -> None:
    watched, before = Watched(), all_fingerprints(workbench.model)
    trials, config = _trials(workbench, watched)
    trials.run(config, requests(3))
    assert [(count, past) for count, past, _ in watched.seen] == [(1, 0), (1, 1), (1, 2)]
    assert len({served for _, _, served in watched.seen}) == 3
    assert all_fingerprints(workbench.model) == before


def test_a_batch_is_one_edit(workbench: Workbench) -> None:
    watched, counted = Watched(), list[int]()
    trials, config = _trials(workbench, watched, batch=2)
    trials.run(config, requests(3), on_edit=counted.append)
    assert [count for count, _, _ in watched.seen] == counted == [2, 1]


def test_the_measures_are_those_of_all_facts_after_the_last_edit(workbench: Workbench) -> None:
    trials, config = _trials(workbench, Rome())
    trial = trials.run(config, requests(3))
    unedited = aggregate(evaluate_requests(workbench.model, requests(3), generate=False))
    perplexity = monitor_perplexity(workbench.model).value
    workbench.apply(requests(3), config=QUICK["rome"], policy="observe")
    found = aggregate(evaluate_requests(workbench.model, requests(3), fluency=False))
    assert trial.efficacy == found["efficacy"].value
    assert trial.paraphrase == found["paraphrase"].value
    assert trial.neighborhood == found["neighborhood"].value
    assert trial.generated_exact_match == found["generated_exact_match"].value
    assert trial.s == found["score"].value
    assert trial.unedited_neighborhood == unedited["neighborhood"].value
    ratio = monitor_perplexity(workbench.model).value / perplexity
    assert trial.perplexity_ratio == ratio != 1
    assert trial.seconds_per_edit is not None
    assert trial.seconds_per_edit > 0


def test_a_trial_begins_with_the_unedited_model_and_leaves_the_edited_one(workbench: Workbench) -> None:
    trials, config = _trials(workbench, Rome())
    fresh = trials.run(config, requests(2))
    workbench.edit(requests(5)[4], config=QUICK["rome"])
    edited = all_fingerprints(workbench.model)
    again = _trials(workbench, Rome())[0].run(config, requests(2))
    assert (again.efficacy, again.perplexity_ratio) == (fresh.efficacy, fresh.perplexity_ratio)
    assert all_fingerprints(workbench.model) == edited


def test_an_edit_that_fails_fails_the_candidate(workbench: Workbench) -> None:
    watched, before = Watched(), all_fingerprints(workbench.model)
    watched.fail_at = 1
    trials, config = _trials(workbench, watched)
    trial = trials.run(config, requests(3))
    assert (trial.failure, trial.score, len(watched.seen)) == ("no value was found", None, 2)
    assert all_fingerprints(workbench.model) == before


def test_a_collapsed_model_fails_the_candidate(workbench: Workbench) -> None:
    before = all_fingerprints(workbench.model)
    trials, config = _trials(workbench, Breaking())
    trial = trials.run(config, requests(1))
    assert trial.failure.startswith("perplexity")
    assert trial.score is None
    assert trial.perplexity_ratio is not None
    assert trial.perplexity_ratio > 2
    assert all_fingerprints(workbench.model) == before


def test_time_that_is_up_ends_a_trial_between_edits(workbench: Workbench) -> None:
    watched, before = Watched(), all_fingerprints(workbench.model)
    trials, config = _trials(workbench, watched)
    with pytest.raises(OutOfTime):
        trials.run(config, requests(3), expired=lambda: len(watched.seen) == 2)
    assert len(watched.seen) == 2
    assert all_fingerprints(workbench.model) == before


def test_the_objective_is_one_for_a_perfect_edit_and_nothing_makes_up_for_a_loss() -> None:
    assert objective(1, 1, 0.6, 0.6, 1, 1) == 1
    assert objective(1, 1, 0.9, 0.6, 1, 0.9) == 1  # no gain above what the unedited model has
    assert objective(0, 1, 0.6, 0.6, 1, 1) == 0
    assert objective(1, 1, 0.6, 0.6, 0, 1) == 0
    assert objective(1, 1, 0, 0.6, 1, 1) == 0


def test_the_objective_weighs_as_it_says() -> None:
    assert objective(1, 0.5, 0.3, 0.6, 0.8, 1) == pytest.approx(3 / (1 + 2 + 2) * 0.8)
    assert objective(1, 1, 1, 1, 1, 1.05) == pytest.approx(1 / 1.05**2)


def test_a_part_without_prompts_is_left_out_and_nothing_can_be_lost_of_nothing() -> None:
    assert objective(1, None, None, None, 0.5, 1) == 0.5
    assert objective(1, None, 0.5, 1.0, 1, 1) == pytest.approx(2 / 3)
    assert objective(1, 1, 0.0, 0.0, 1, 1) == 1


def test_candidates_that_score_nothing_are_still_ordered_and_failed_ones_have_no_rank() -> None:
    nothing, something = (
        Trial(5, 0.0, efficacy=0.0, paraphrase=0.0),
        Trial(5, 0.0, efficacy=1.0, paraphrase=0.0),
    )
    least = Trial(5, 0.001, efficacy=0.2, paraphrase=0.1)
    ranks = [one.rank for one in (nothing, something, least)]
    assert ranks == sorted(ranks, key=lambda rank: rank or 0)
    assert len(set(ranks)) == 3
    assert Trial(5, 0.5, failure="too late").rank is None
    assert Trial(5).rank is None


def _fact(place: int, new: str, true: str | None) -> EditRequest:
    return requests(place + 1)[place].model_copy(update={"target_new": new, "target_true": true})


def test_only_what_the_model_knows_is_taken_and_the_others_are_counted(workbench: Workbench) -> None:
    pairs = [
        _fact(i, new, true) for i in range(6) for new, true in (("Italy", "France"), ("France", "Italy"))
    ]
    scores = evaluate_requests(workbench.model, pairs, generate=False)
    known = [one.edit.true.probability > one.edit.new.probability for one in scores if one.edit.true]
    for one, other in zip(known[::2], known[1::2], strict=True):
        assert one != other  # the one way round or the other
    facts = [fact for fact, yes in zip(pairs, known, strict=True) if yes]
    strange = [_fact(20, "Italy", None), facts[0]]
    found = choose_known(workbench.model, [*facts, *strange], 99, 0)
    assert {one.digest for one in found.facts} == {one.digest for one in facts}
    assert (found.unknown, found.incomparable, found.repeated, found.passed_over) == (0, 1, 1, 2)
    unknown = [fact for fact, yes in zip(pairs, known, strict=True) if not yes]
    assert choose_known(workbench.model, unknown, 99, 0).unknown == len(unknown) == 6


def test_the_order_is_the_seeds_and_no_more_are_taken_than_asked_for(workbench: Workbench) -> None:
    pairs = [_fact(i, *(("Italy", "France") if i % 2 else ("France", "Italy"))) for i in range(20)]
    whole = choose_known(workbench.model, pairs, 99, 1).facts
    assert choose_known(workbench.model, pairs, 3, 1).facts == whole[:3]
    assert choose_known(workbench.model, pairs, 99, 2).facts != whole
