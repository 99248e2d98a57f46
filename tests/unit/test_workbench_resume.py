"""Interrupted runs go on as if nothing had happened, and only they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_workbench import QUICK, all_fingerprints, requests, tiny_workbench

from kedit_lifecycle.errors import RefusedError
from kedit_lifecycle.workbench import ApplySummary, EditOutcome, Workbench

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("kedit_cache")]

ROME = QUICK["rome"]
FIVE = requests(5)


class Stop(BaseException):
    """What interrupts a run, as KeyboardInterrupt does."""


def stop_after(count: int) -> Callable[[EditOutcome], None]:
    left = [count]

    def heard(_: EditOutcome) -> None:
        left[0] -= 1
        if not left[0]:
            raise Stop

    return heard


def apply(workbench: Workbench, **options: Any) -> ApplySummary:
    settings: dict[str, Any] = {"config": ROME, "batch": 2, "seed": 1, "message": "m", "measure": "none"}
    return workbench.apply(FIVE, **settings | options)


@pytest.mark.parametrize("done", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_run_continued_by_another_workbench_equals_an_uninterrupted_one(
    tmp_path: Path, done: int, dtype: str
) -> None:
    (tmp_path / "whole").mkdir()
    with tiny_workbench(tmp_path / "whole", dtype=dtype) as whole:
        expected = [version.id for version in apply(whole).committed]
        final = all_fingerprints(whole.model)
    with tiny_workbench(tmp_path, dtype=dtype) as first, pytest.raises(Stop):
        apply(first, on_outcome=stop_after(done))
    with Workbench.open(tmp_path / "store") as second:
        summary = apply(second, resume=True)
        assert summary.already_done == done
        assert [version.id for version in second.store.reader.log(limit=3)[::-1]] == expected
        assert [version.id for version in summary.committed] == expected[done:]
        assert all_fingerprints(second.model) == final
        assert apply(second, resume=True).committed == ()


@pytest.mark.parametrize("step", [0, 1])
def test_an_interruption_while_planning_leaves_the_model_at_head(tmp_path: Path, step: int) -> None:
    with tiny_workbench(tmp_path) as workbench:
        recorded = [all_fingerprints(workbench.checkout_model())]
        calls: list[str] = []

        def progress(stage: str, done: int, total: int) -> None:
            calls.append(stage)
            if calls.count("v*") == 2 + 4 * step:  # in the second of the step's first three
                raise Stop

        def remember(_: EditOutcome) -> None:
            recorded.append(all_fingerprints(workbench.model))

        with pytest.raises(Stop):
            apply(workbench, batch=1, progress=progress, on_outcome=remember)
        assert workbench.store.reader.head().number == step
        assert all_fingerprints(workbench.model) == recorded[step]


@pytest.mark.parametrize(
    "other",
    [{"seed": 2}, {"batch": 1}, {"config": ROME | {"steps": 4}}, {"message": "n"}],
    ids=lambda one: next(iter(one)),
)
def test_resuming_with_other_arguments_is_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    with tiny_workbench(tmp_path) as workbench:
        with pytest.raises(RefusedError, match="nothing to resume"):
            apply(workbench, resume=True)
        with pytest.raises(Stop):
            apply(workbench, on_outcome=stop_after(1))
        head = workbench.store.reader.head()
        with pytest.raises(
            RefusedError, match=r"another run.*requests, method, config, seed, batch or message"
        ):
            apply(workbench, resume=True, **other)
        with pytest.raises(RefusedError, match="another run"):
            workbench.apply(FIVE[1:], config=ROME, batch=2, seed=1, message="m", resume=True)
        assert workbench.store.reader.head() == head


def test_a_run_may_start_above_other_edits_and_be_resumed_after_a_look_elsewhere(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(requests(6)[5], config=ROME, measure="none")
        with pytest.raises(Stop):
            apply(workbench, on_outcome=stop_after(2))
        workbench.ask("Paris is in", ref="0")
        summary = apply(workbench, resume=True)
        assert (summary.already_done, len(summary.committed)) == (2, 1)
        resumed = workbench.store.reader.head().id
        workbench.rollback("1")
        assert apply(workbench).committed[-1].id == resumed


def test_a_run_killed_before_its_first_version_is_resumed_from_its_beginning(
    tmp_path: Path, kedit_cache: Path
) -> None:
    facts, settings = requests(3), QUICK["rome"]
    (tmp_path / "whole").mkdir()
    with tiny_workbench(tmp_path / "whole") as whole:
        expected = [v.id for v in whole.apply(facts, config=settings).committed]

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "cut").mkdir()
    with tiny_workbench(tmp_path / "cut") as cut:
        with pytest.raises(KeyboardInterrupt):
            cut.apply(facts, config=settings, progress=stop)
        assert cut.store.reader.head().number == 0
        assert [v.id for v in cut.apply(facts, config=settings, resume=True).committed] == expected


def test_going_on_with_other_threads_is_said(tmp_path: Path, kedit_cache: Path) -> None:
    facts, settings = requests(2), QUICK["rome"]
    with tiny_workbench(tmp_path) as bench:
        bench.apply(facts, config=settings)
        bench.rollback("1")
        threads = torch.get_num_threads()
        torch.set_num_threads(threads + 1)
        try:
            bench.apply(facts, config=settings, resume=True)
        finally:
            torch.set_num_threads(threads)
        assert any(f"began with {threads} threads" in note for note in bench.notes)
