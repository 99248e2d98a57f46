"""Rounds: what falls short once it is written is searched for and written again; the rest stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_editable
from tiny_workbench import QUICK, requests
from torch import Tensor

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.editors.locate import outcome
from kedit_lifecycle.editors.locate.outcome import missed_writes
from kedit_lifecycle.editors.locate.value_search import FoundValue
from kedit_lifecycle.editors.statistics import Statistics, StatisticsLibrary
from kedit_lifecycle.evaluation.scoring import Scorer
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.delta import WeightDelta

pytestmark = pytest.mark.unit

WEAK: dict[str, dict[str, Any]] = {
    "rome": {"unprefixed_weight": 0.01},
    "memit": {"covariance_weight": 30.0},
    "emmet": {"damping": 0.002},
}
"""Settings by which part of a change is not written."""
HARDLY: dict[str, dict[str, Any]] = {
    "rome": WEAK["rome"],
    "memit": {"covariance_weight": 1e3},
    "alphaedit": {"ridge": 100.0},
}
"""Settings by which next to nothing is."""
SEARCH = {"steps": 60, "learning_rate": 0.2, "clamp_norm": None, "weight_decay": 0.0, "stop_loss": 0.0}
"""As far as the search gets on a random model: to two or four times the unedited probability."""


class Edits:
    """A tiny model and its statistics."""

    def __init__(self, folder: Path, method: str, family: str = "llama", **settings: Any) -> None:
        self.model, self.editor = tiny_editable(family), get_editor(method)
        blobs = BlobStore(folder / "blobs")
        self.statistics = Statistics(self.model, StatisticsLibrary(folder / "stats", blobs))
        self.weak = QUICK[method] | SEARCH | (settings or WEAK[method])

    def plan(self, asked: list[EditRequest], **settings: Any) -> WeightDelta:
        config = self.editor.config_class.model_validate(self.weak | settings)
        return self.editor.plan(self.model, asked, config, statistics=self.statistics)

    def between(self, asked: list[EditRequest]) -> float:
        """A probability that the search reaches, and the writing does not."""
        told = self.plan(asked).diagnostics
        (written,), (reached,) = told["written_probability"], told["target_probability"]
        assert written < reached
        middle: float = (written + reached) / 2
        return middle

    def probabilities(self, asked: list[EditRequest]) -> list[float]:
        scores = Scorer(self.model).score_targets([(one.question, one.target_new) for one in asked])
        return [float(torch.tensor(-one.mean_nll).exp()) for one in scores]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("method", ["rome", "memit", "alphaedit"])
def test_a_second_round_is_the_same_edit_made_again(
    tmp_path: Path, method: str, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "POOR_RESIDUAL", 1.0)  # however little the first one wrote
    edits, asked = Edits(tmp_path, method, family, **HARDLY[method]), requests(1)
    enough = edits.between(asked)
    found = edits.plan(asked, rounds=2, enough_probability=enough)
    assert found.diagnostics["rounds"] == 2
    with edits.model.trial():
        first = edits.plan(asked).updates
        edits.model.apply(first)
        second = edits.plan(asked).updates
        edits.model.apply(second)
        told = edits.probabilities(asked)
    assert len(found.updates) == len(first) + len(second)
    for ours, plain in zip(found.updates, [*first, *second], strict=True):
        assert ours.tensor == plain.tensor
        torch.testing.assert_close(ours.left, plain.left)
        torch.testing.assert_close(ours.right, plain.right)
    assert found.diagnostics["written_probability"] == pytest.approx(told, rel=1e-4)


@pytest.mark.parametrize("method", ["memit", "emmet"])
def test_in_a_batch_one_is_written_again_and_the_others_stay(tmp_path: Path, method: str) -> None:
    """The others' values would not do either: nothing more is asked for them."""
    edits, asked = Edits(tmp_path, method, "gpt2"), requests(3)
    once = edits.plan(asked)
    before, reached = once.diagnostics["written_probability"], once.diagnostics["target_probability"]
    enough = (reached[1] + max(reached[0], reached[2])) / 2
    assert before[1] < enough < reached[1]
    twice = edits.plan(asked, rounds=2, enough_probability=enough)
    after = twice.diagnostics["written_probability"]
    assert twice.diagnostics["rounds"] == 2
    assert after[1] > before[1]
    assert after[::2] == pytest.approx(before[::2], rel=0.3)
    layers = len(once.updates)
    assert [one.keys for one in twice.updates[:layers]] == [None] * layers
    assert [one.keys is not None and len(one.keys) for one in twice.updates[layers:]] == [3] * layers


def test_what_cannot_be_written_there_is_not_tried_again(tmp_path: Path) -> None:
    edits, asked = Edits(tmp_path, "memit", **HARDLY["memit"]), requests(1)
    once = edits.plan(asked)
    assert once.diagnostics["residual_left"][0] > 0.5
    enough = (once.diagnostics["written_probability"][0] + once.diagnostics["target_probability"][0]) / 2
    again = edits.plan(asked, rounds=2, enough_probability=enough)
    assert again.diagnostics["rounds"] == 1
    assert same(again, once)


@pytest.mark.parametrize("method", ["rome", "memit"])
def test_nothing_is_repeated_that_is_there_or_that_no_value_reaches(tmp_path: Path, method: str) -> None:
    edits, asked = Edits(tmp_path, method), requests(1)
    once = edits.plan(asked)
    written = once.diagnostics["written_probability"][0]
    there = edits.plan(asked, rounds=3, enough_probability=max(written * 0.9, 1e-6))
    assert same(there, once)
    assert there.diagnostics["rounds"] == 1
    short = edits.plan(asked, steps=1)
    beyond = (1 + short.diagnostics["target_probability"][0]) / 2
    assert same(edits.plan(asked, steps=1, rounds=3, enough_probability=beyond), short)


def test_a_target_that_the_writing_missed_is_named() -> None:
    none = torch.zeros(1)
    found = [FoundValue(none, none, none, none, none, none, [], value) for value in (0.9, 0.9, 0.2)]
    asked = requests(3)
    (said,) = missed_writes(list(zip(asked, found, strict=True)), [0.8, 0.1, 0.1])
    assert asked[1].question in said
    assert "0.10 once written" in said
    assert "raise rounds" in said


def same(one: WeightDelta, other: WeightDelta) -> bool:
    def parts(delta: WeightDelta) -> list[Tensor | None]:
        return [part for update in delta.updates for part in (update.left, update.right, update.keys)]

    return all(
        (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))
        for a, b in zip(parts(one), parts(other), strict=True)
    )
