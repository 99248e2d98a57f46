"""Batches and carried state through a store: conflicts, requests that fail, past keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_workbench import QUICK, all_fingerprints, broken_for_tilde, requests, tiny_workbench

from kedit_lifecycle.errors import RefusedError
from kedit_lifecycle.facts.request import EditRequest, make_request
from kedit_lifecycle.workbench import EditOutcome, Workbench

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("kedit_cache")]

FOUR = requests(4)
ALPHA: dict[str, Any] = {"method": "alphaedit", "config": QUICK["alphaedit"], "measure": "none"}
MEMIT: dict[str, Any] = {"method": "memit", "config": QUICK["memit"], "measure": "none"}


def capital(target: str, relation: str | None = "P36") -> EditRequest:
    return make_request(subject="France", prompt="The capital of {} is", target_new=target, relation=relation)


@pytest.mark.parametrize("relation", ["P36", None])
def test_two_targets_for_one_slot_in_a_batch_are_refused(tmp_path: Path, relation: str | None) -> None:
    pair = [FOUR[0], capital("Rome", relation), capital("Tokyo", relation)]
    with tiny_workbench(tmp_path) as workbench:
        with pytest.raises(RefusedError, match=r"'The capital of France is'.*'Rome'.*'Tokyo'") as refused:
            workbench.apply(pair, batch=3, **MEMIT)
        assert "--batch 1" in refused.value.hint
        assert workbench.store.reader.head().number == 0
        assert len(workbench.apply(pair, batch=3, allow_conflicts=True, **MEMIT).committed) == 1


def test_other_relations_versions_and_equal_targets_do_not_conflict(tmp_path: Path) -> None:
    other = capital("Tokyo").model_copy(update={"relation": "P17"})
    with tiny_workbench(tmp_path) as workbench:
        workbench.apply([capital("Rome"), other], batch=2, **MEMIT)
        workbench.apply([capital("Rome"), capital("Tokyo")], batch=1, policy="observe", **MEMIT)
        workbench.apply([capital("Rome"), capital("Rome")], batch=2, policy="observe", **MEMIT)
        assert workbench.store.reader.head().number == 4


def test_a_batch_is_one_version_with_one_update_per_layer(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        (version,) = workbench.apply(FOUR, batch=4, **MEMIT).committed
        updates = workbench.store.reader.updates(version.number)
        assert [(u.tensor.split(".")[2], u.rank) for u in updates] == [("0", 4), ("1", 4)]
        assert all(u.keys is not None for u in updates)
        assert version.operation == "batch"


@pytest.mark.parametrize("method", ["rome", "memit", "alphaedit", "emmet"])
def test_a_request_that_fails_is_named_and_the_others_go_on(method: str, tmp_path: Path) -> None:
    broken_for_tilde(tmp_path)
    bad = make_request(subject="City ~", prompt="{} is in the country of", target_new="Japan")
    settings: dict[str, Any] = {"method": method, "config": QUICK[method], "measure": "none"}
    outcomes: list[EditOutcome] = []
    with tiny_workbench(tmp_path) as workbench:
        workbench.apply([FOUR[0], bad, FOUR[1]], batch=3, on_outcome=outcomes.append, **settings)
        (outcome,) = outcomes
        assert outcome.requests == (FOUR[0], FOUR[1])
        assert any("'City ~ is in the country of'" in warning for warning in outcome.warnings)
        assert outcome.version is not None
        kept = workbench.store.reader.requests(outcome.version.number)
        assert [request.digest for request in kept] == [FOUR[0].digest, FOUR[1].digest]
        together = all_fingerprints(workbench.model)
        workbench.rollback("0")
        workbench.apply([FOUR[0], FOUR[1]], batch=2, **settings)
        again = workbench.store.reader.head()
        if method == "rome":  # its requests share no system, so nothing of the bad one is left
            assert all_fingerprints(workbench.model) == together
        assert [r.digest for r in workbench.store.reader.requests(again.number)] == [r.digest for r in kept]


def test_past_keys_come_from_the_ledger_and_roll_back_with_it(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as workbench:
        first, second = (workbench.edit(one, **ALPHA).version for one in FOUR[:2])
        other = workbench.edit(FOUR[2], **ALPHA).version
    assert first is not None
    assert second is not None
    assert other is not None
    with Workbench.open(tmp_path / "store") as anew:
        anew.rollback("2")
        assert anew.edit(FOUR[2], **ALPHA).version == other  # read from the ledger, the very same edit
        anew.rollback("1")
        on_first = anew.edit(FOUR[2], **ALPHA).version
        forgetful = {**ALPHA, "config": {**QUICK["alphaedit"], "past_keys": False}}
        anew.rollback("1")
        without = anew.edit(FOUR[2], **forgetful).version
    assert on_first is not None
    assert without is not None
    assert on_first.tensors != other.tensors
    assert on_first.tensors != without.tensors  # the first edit's keys were there


class StoppedError(Exception):
    """The run is cut off."""


@pytest.mark.parametrize("method", ["memit", "alphaedit"])
def test_a_resumed_run_equals_an_unbroken_one(method: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"method": method, "config": QUICK[method], "measure": "none", "batch": 1}

    def stop(outcome: EditOutcome) -> None:
        if outcome.version is not None and outcome.version.number == 2:
            raise StoppedError

    with tiny_workbench(tmp_path / "a") as whole:
        unbroken = [version.id for version in whole.apply(FOUR, **settings).committed]
    with tiny_workbench(tmp_path / "b") as broken, pytest.raises(StoppedError):
        broken.apply(FOUR, on_outcome=stop, **settings)
    with Workbench.open(tmp_path / "b" / "store") as again:
        rest = again.apply(FOUR, resume=True, **settings)
        assert rest.already_done == 2
        assert [version.id for version in rest.committed] == unbroken[2:]
