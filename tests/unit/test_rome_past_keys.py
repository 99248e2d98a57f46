"""ROME that keeps earlier edits in place: C becomes λ E[k kᵀ] + Σ k kᵀ over their keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_editable
from tiny_workbench import QUICK, requests
from torch import Tensor

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors import PastKeys, get_editor
from kedit_lifecycle.editors.rome import RomeConfig
from kedit_lifecycle.editors.statistics import Statistics, StatisticsLibrary
from kedit_lifecycle.models.delta import TensorUpdate

pytestmark = pytest.mark.unit

WEIGHT = 3.0
KEEPING = RomeConfig.model_validate(QUICK["rome"] | {"past_keys": True, "covariance_weight": WEIGHT})


class Edits:
    """A tiny model and its statistics."""

    def __init__(self, folder: Path, family: str = "llama") -> None:
        self.model = tiny_editable(family)
        blobs = BlobStore(folder / "blobs")
        self.statistics = Statistics(self.model, StatisticsLibrary(folder / "stats", blobs))
        self.past = PastKeys()

    def plan(self, count: int, config: RomeConfig, begin: int = 0) -> tuple[TensorUpdate, ...]:
        asked = requests(begin + count)[begin:]
        delta = get_editor("rome").plan(self.model, asked, config, statistics=self.statistics, past=self.past)
        return delta.updates

    def direction(self, update: TensorUpdate) -> Tensor:
        """The unit row that the update writes along, (d_ff,)."""
        assert update.right is not None
        row: Tensor = (update.left if self.model.architecture.transposed else update.right)[0].double()
        unit: Tensor = row / row.norm()
        return unit

    def expected(self, update: TensorUpdate, past: list[Tensor]) -> Tensor:
        """(λ E[k kᵀ] + Σ k kᵀ)⁻¹ k, to unit length, by plain float64."""
        assert update.keys is not None
        moment = self.statistics.second_moment(1, tokens=KEEPING.second_moment_tokens)[1].double()
        matrix = WEIGHT * moment
        for key in past:
            matrix = matrix + torch.outer(key.double(), key.double())
        solved: Tensor = torch.linalg.solve(matrix, update.keys[0].double())
        unit: Tensor = solved / solved.norm()
        return unit


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_direction_is_that_of_the_plain_formula(tmp_path: Path, family: str) -> None:
    edits = Edits(tmp_path, family)
    seen: list[Tensor] = []
    for begin in range(4):
        (update,) = edits.plan(1, KEEPING, begin)
        torch.testing.assert_close(
            edits.direction(update), edits.expected(update, seen), rtol=1e-4, atol=1e-6
        )
        edits.model.apply([update])
        edits.past.add([update])
        assert update.keys is not None
        seen.append(update.keys[0])


def test_earlier_keys_are_moved_less_than_without(tmp_path: Path) -> None:
    def moved(config: RomeConfig) -> float:
        """|uᵀk| of the last edit's unit direction at the earlier edits' keys, summed."""
        edits = Edits(tmp_path)
        for begin in range(3):
            edits.past.add(edits.plan(1, config, begin))
        (last,) = edits.plan(1, config, 3)
        keys = torch.cat(edits.past.blocks(last.tensor)).double()
        own = last.keys
        assert own is not None
        reach = edits.direction(last) @ own[0].double()  # the step that gives the new key its value
        return float((keys @ edits.direction(last) / reach).abs().sum())

    light: dict[str, Any] = {"covariance_weight": 0.01}  # past keys outweigh what the model knows
    kept = moved(KEEPING.model_copy(update=light))
    assert kept < 0.5 * moved(KEEPING.model_copy(update=light | {"past_keys": False}))


def test_requests_of_one_call_are_past_keys_of_each_other(tmp_path: Path) -> None:
    batched = Edits(tmp_path)
    together = batched.plan(3, KEEPING)
    assert not batched.past.blocks(together[0].tensor)  # the caller's history is not written to
    alone = Edits(tmp_path)
    for begin, update in enumerate(together):
        (one,) = alone.plan(1, KEEPING, begin)
        assert torch.equal(one.left, update.left)
        assert one.right is not None
        assert update.right is not None
        assert torch.equal(one.right, update.right)
        alone.model.apply([one])
        alone.past.add([one])
