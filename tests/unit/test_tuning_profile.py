"""Profiles on disk, and the whole use-case that makes one, on a tiny model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_workbench import QUICK, all_fingerprints, requests, store_files, tiny_workbench

from kedit_lifecycle import editors
from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors.rome import Rome
from kedit_lifecycle.editors.statistics import StatisticsLibrary
from kedit_lifecycle.errors import EditFailedError, RefusedError, StoreError, UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.cache import cache_folder
from kedit_lifecycle.models.delta import WeightDelta
from kedit_lifecycle.tuning.profile import Profile, list_profiles, load_profile, save_profile
from kedit_lifecycle.workbench import Workbench
from kedit_lifecycle.workbench.tuning import Budget, FinishedTrial, TuningResult, tune

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("kedit_cache")]

PROFILE = Profile("rome", "ab" * 32, "tiny", {"layer": 1, "steps": 3}, {"seed": 0, "scores": {"x": None}})
FIXED = {name: value for name, value in QUICK["rome"].items() if name not in ("layer", "learning_rate")}
BUDGET = Budget(minutes=10, edits=2, candidates=6)


def test_a_profile_is_found_by_its_digest_or_its_file(tmp_path: Path) -> None:
    path = save_profile(tmp_path, PROFILE)
    assert path == tmp_path / "profiles" / f"{PROFILE.digest}.json"
    for name in (PROFILE.digest, PROFILE.digest[:4], str(path)):
        found = load_profile(tmp_path, name, "rome", "ab" * 32)
        assert (found, found.digest) == (PROFILE, PROFILE.digest)
    renamed = path.rename(tmp_path / "mine.json")
    assert load_profile(tmp_path, str(renamed), "rome", "ab" * 32) == PROFILE


def test_the_same_content_is_one_file_and_another_is_another(tmp_path: Path) -> None:
    assert save_profile(tmp_path, PROFILE) == save_profile(tmp_path, PROFILE)
    other = replace(PROFILE, config={"layer": 2})
    save_profile(tmp_path, other)
    assert {one.digest for one in list_profiles(tmp_path)} == {PROFILE.digest, other.digest}
    assert len(list((tmp_path / "profiles").iterdir())) == 2  # and no drafts


@pytest.mark.parametrize("name", ["ffff", "abc", "", "no such file.json", "../x", "*"])
def test_an_unknown_profile_is_refused(tmp_path: Path, name: str) -> None:
    save_profile(tmp_path, PROFILE)
    with pytest.raises(UsageError, match="no profile") as refused:
        load_profile(tmp_path, name, "rome", "ab" * 32)
    assert "--list" in refused.value.hint


def test_an_ambiguous_beginning_is_refused_with_those_it_begins(tmp_path: Path) -> None:
    path = save_profile(tmp_path, PROFILE)
    twin = PROFILE.digest[:6] + "0" * 58
    path.with_name(f"{twin}.json").write_bytes(path.read_bytes())
    with pytest.raises(UsageError, match="several") as refused:
        load_profile(tmp_path, PROFILE.digest[:6], "rome", "ab" * 32)
    assert twin[:10] in str(refused.value)
    assert load_profile(tmp_path, PROFILE.digest, "rome", "ab" * 32) == PROFILE
    with pytest.raises(StoreError, match="not what was written"):
        load_profile(tmp_path, twin, "rome", "ab" * 32)


def test_another_editor_and_another_model_are_refused(tmp_path: Path) -> None:
    save_profile(tmp_path, PROFILE)
    with pytest.raises(UsageError, match="for the editor 'rome', not 'memit'"):
        load_profile(tmp_path, PROFILE.digest, "memit", "ab" * 32)
    with pytest.raises(UsageError, match=r"another model, tiny"):
        load_profile(tmp_path, PROFILE.digest, "rome", "cd" * 32)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"steps":3', '"steps":4'), ('"rome"', '"memit"'), ("{", ""), ('"seed":0', '"seed":0,"more":1')],
)
def test_a_damaged_profile_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = save_profile(tmp_path, PROFILE)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(StoreError, match=r"profiles/.*\.json"):
        load_profile(tmp_path, PROFILE.digest, "rome", "ab" * 32)
    with pytest.raises(StoreError):
        list_profiles(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"digest": 3}', "null"])
def test_a_file_that_is_no_profile_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(StoreError, match=r"other\.json"):
        load_profile(tmp_path, str(tmp_path / "other.json"), "rome", "ab" * 32)


def test_a_store_without_profiles_lists_none(tmp_path: Path) -> None:
    assert list_profiles(tmp_path) == []


# --- the use-case


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    with tiny_workbench(tmp_path) as made:
        yield made


def facts(count: int = 20) -> list[EditRequest]:
    """About half of them are known to a model, whichever of the two it prefers."""
    pairs = [("Italy", "France"), ("France", "Italy")]
    return [
        one.model_copy(update={"target_new": pairs[i % 2][0], "target_true": pairs[i % 2][1]})
        for i, one in enumerate(requests(count))
    ]


def _tune(workbench: Workbench, **more: Any) -> TuningResult:
    return tune(workbench, facts(), **{"editor": "rome", "fixed": FIXED, "budget": BUDGET, **more})


def test_tuning_stores_the_winner_and_leaves_everything_else(workbench: Workbench) -> None:
    weights, files = all_fingerprints(workbench.model), store_files(workbench.store.path)
    told: list[FinishedTrial] = []
    result = _tune(workbench, on_trial=told.append)
    assert all_fingerprints(workbench.model) == weights
    added = {k: v for k, v in store_files(workbench.store.path).items() if files.get(k) != v}
    assert set(added) == {f"profiles/{result.profile.digest}.json"}
    base = workbench.store.meta["base_digest"]
    found = load_profile(workbench.store.path, result.profile.digest[:8], "rome", base)
    assert found == result.profile
    assert workbench.edit(facts(1)[0], config=found.config).version is not None
    assert len(told) == sum(rung.tried for rung in result.rungs)


def test_the_result_says_how_it_was_found(workbench: Workbench) -> None:
    result = _tune(workbench)
    made = result.profile.made
    assert (made["seed"], made["minutes"], made["edits"], made["fixed"]) == (0, 10, 2, FIXED)
    assert [(one.edits, one.held_out) for one in result.rungs] == [(1, False), (2, False), (2, True)]
    assert all(rung.complete for rung in result.rungs)
    assert result.deciding == 2
    assert result.finalists[0].candidate == result.winner
    assert 0 in [one.candidate for one in result.finalists]
    best = result.finalists[0].trial
    assert made["scores"]["winner"]["score"] == best.score
    assert best.score == max(one.trial.score or 0 for one in result.finalists)
    assert not math.isnan(best.score or 0)
    assert len(result.facts.facts) == 4
    for name, value in FIXED.items():
        assert json.loads(json.dumps(result.profile.config[name])) == value


def test_what_the_candidates_read_off_the_model_is_made_before_the_first_is_tried(
    workbench: Workbench,
) -> None:
    tokens = 333  # as no other test has it
    shared = cache_folder() / "stats"

    def made() -> list[tuple[str, int]]:
        recipes = [entry.recipe for entry in StatisticsLibrary(shared, BlobStore(shared / "blobs")).entries()]
        return [(one["kind"], one["layer"]) for one in recipes if "layer" in one and one["tokens"] == tokens]

    told: list[list[tuple[str, int]]] = []
    small = {"steps": 1, "prefix_lengths": [[3, 2]], "second_moment_tokens": tokens, "fisher_tokens": tokens}
    assert made() == []
    _tune(
        workbench,
        editor="memit",
        fixed=small,
        budget=replace(BUDGET, candidates=9),
        on_trial=lambda trial: told.append(made()),
    )
    assert told[0] == made()
    assert {kind for kind, _ in told[0]} == {"second-moment", "output-fisher"}


def test_a_seed_decides_everything(workbench: Workbench) -> None:
    first, again = _tune(workbench), _tune(workbench)
    assert first.profile.digest == again.profile.digest
    other = _tune(workbench, budget=replace(BUDGET, seed=1))
    assert other.facts.facts != first.facts.facts


def test_no_fact_is_both_tuned_on_and_held_out(workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    class Watched(Rome):
        def plan(self, model: Any, requests: Any, *a: Any, **more: Any) -> WeightDelta:
            asked[-1].append(requests[0].digest)
            return super().plan(model, requests, *a, **more)

    monkeypatch.setitem(editors._REGISTRY, "rome", Watched)
    asked.append([])
    result = _tune(workbench, on_trial=lambda trial: asked.append([]))
    by_rung: dict[int, set[str]] = {}
    places = [place for place, rung in enumerate(result.rungs) for _ in range(rung.tried)]
    for place, digests in zip(places, asked, strict=False):
        by_rung.setdefault(place, set()).update(digests)
    assert [len(by_rung[place]) for place in range(3)] == [1, 2, 2]
    assert not by_rung[2] & (by_rung[0] | by_rung[1])


def test_an_interruption_stores_nothing_and_gives_the_model_back(workbench: Workbench) -> None:
    weights = all_fingerprints(workbench.model)

    def stop(_trial: FinishedTrial) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _tune(workbench, on_trial=stop)
    assert list_profiles(workbench.store.path) == []
    assert all_fingerprints(workbench.model) == weights


def test_a_short_budget_gives_the_best_so_far_and_says_how_far_it_came(workbench: Workbench) -> None:
    told: list[FinishedTrial] = []
    # a clock that jumps beyond the budget after the third trial
    result = _tune(workbench, on_trial=told.append, clock=lambda: 1e6 if len(told) >= 3 else 0.0)
    assert [(rung.tried, rung.complete) for rung in result.rungs] == [(3, False), (0, False), (0, False)]
    assert result.deciding == 0
    scores = {one.candidate: one.trial.score or -1 for one in told}
    assert scores[result.winner] == max(scores.values())


def test_nothing_tried_or_all_failed_is_refused(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0])
    with pytest.raises(RefusedError, match="before one candidate was tried"):
        _tune(workbench, clock=lambda: next(times, 1e6))

    class Failing(Rome):
        def plan(self, *a: Any, **more: Any) -> WeightDelta:
            raise EditFailedError("no luck")

    monkeypatch.setitem(editors._REGISTRY, "rome", Failing)
    with pytest.raises(RefusedError, match=r"every candidate failed.*no luck"):
        _tune(workbench)
    assert list_profiles(workbench.store.path) == []


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"budget": Budget(minutes=0)}, "0 minutes"),
        ({"budget": Budget(minutes=math.nan)}, "nan minutes"),
        ({"budget": Budget(minutes=math.inf)}, "inf minutes"),
        ({"budget": Budget(candidates=1)}, "2 candidates"),
        ({"budget": Budget(edits=99)}, r"the model knows \d+ of 20 facts .* needs 174"),
        ({"editor": "magic"}, "no editor 'magic'"),
        ({"fixed": {"nonsense": 1}}, "nonsense"),
        ({"budget": replace(BUDGET, seed=2**60)}, "cannot be kept"),
        ({"fixed": {**FIXED, "learning_rate": math.inf}}, "cannot be kept"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_tried(
    workbench: Workbench, more: dict[str, Any], problem: str
) -> None:
    told: list[FinishedTrial] = []
    with pytest.raises(UsageError, match=problem):
        _tune(workbench, on_trial=told.append, **more)
    assert not told


@pytest.mark.parametrize("editor", ["memit", "alphaedit", "emmet"])
def test_every_other_editor_can_be_tuned(workbench: Workbench, editor: str) -> None:
    fixed = {
        name: value for name, value in FIXED.items() if name in ("prefix_lengths", "second_moment_tokens")
    }
    result = _tune(
        workbench, editor=editor, fixed={**fixed, "steps": 2}, budget=replace(BUDGET, candidates=4)
    )
    assert result.profile.editor == editor
