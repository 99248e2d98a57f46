"""What a version keeps outside the weights, beside what the workbench says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from query_store import ask, commit, new_store, remember
from small_store import WHO, request
from tiny_workbench import QUICK, tiny_workbench

from kedit_lifecycle.errors import StoreError
from kedit_lifecycle.facts.request import make_request
from kedit_lifecycle.ledger.records import Supersession
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.memory.scope.classifier import default_artefact

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path / "store") as made:
        yield made


def entries(store: Store | Path, **parameters: object) -> list[tuple[int, int, str]]:
    found = ask(store, "/memory", **parameters).entries
    return [(one.version, one.position, one.target) for one in found]


def test_the_memory_follows_the_line(store: Store) -> None:
    assert entries(store) == []
    remember(store, request("Lyon", "Rome"), request("Nice", "Oslo"))
    commit(store, "Paris", memory="f" * 64)
    remember(store, request("Lyon", "Bonn"), supersedes=[Supersession(0, 1, 0)])
    assert entries(store) == [(1, 1, "Oslo"), (3, 0, "Bonn")]
    assert entries(store, ref="2") == [(1, 0, "Rome"), (1, 1, "Oslo")]
    store.move("2", kind="rollback", **WHO)
    assert entries(store) == [(1, 0, "Rome"), (1, 1, "Oslo")]
    remember(store, request("Kiev", "Rome"))
    assert entries(store) == [(1, 0, "Rome"), (1, 1, "Oslo"), (4, 0, "Rome")]
    assert entries(store, ref="3") == [(1, 1, "Oslo"), (3, 0, "Bonn")]
    store.move("0", kind="rollback", **WHO)
    assert entries(store) == []


def test_entries_carried_on_are_those_read_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = []
    for number in range(1, 9):
        gone = [Supersession(0, number - 2, 0)] if number % 3 == 0 else []
        remember(store, request(f"City {number}", "Rome"), supersedes=gone)
        expected.append(entries(store))
    monkeypatch.setattr("kedit_lifecycle.engine.queries.entries.NEAR", 1)
    monkeypatch.setattr("kedit_lifecycle.engine.queries.kept.MOST_OF_A_KIND", 1)
    for number in range(1, 9):
        assert entries(store, ref=number) == expected[number - 1]


def test_facts_that_went_into_the_weights_are_gone(store: Store) -> None:
    remember(store, request("Lyon", "Rome"), request("Nice", "Oslo"))
    commit(store, "both", memory="", supersedes=[Supersession(0, 1, 0), Supersession(0, 1, 1)])
    view = ask(store, "/memory")
    assert (view.entries, view.total) == ((), 0)


def test_entries_are_filtered_and_paged(store: Store) -> None:
    remember(
        store, *(request(f"City {number}", "São Paulo" if number % 2 else "Oslo") for number in range(6))
    )
    page = ask(store, "/memory", offset=2, limit=3)
    assert (page.total, [one.position for one in page.entries]) == (6, [2, 3, 4])
    found = ask(store, "/memory", filter="SAO city", offset=1, limit=1)
    assert (found.total, [one.position for one in found.entries]) == (3, [3])
    one = found.entries[0]
    assert (one.subject, one.prompt, one.relation, one.method) == (
        "City 3",
        "The capital of {} is",
        "P36",
        "serac",
    )
    assert ask(store, "/memory", filter="%").total == 0


def test_the_shipped_scope_classifier_is_read_without_torch(store: Store) -> None:
    shipped, view = default_artefact(), ask(store, "/memory")
    assert (view.classifier, view.threshold) == (shipped.digest, shipped.threshold)
    points = [(one.threshold, one.false_positive_rate, one.true_positive_rate) for one in shipped.roc]
    assert list(view.roc) == points


def test_a_scope_classifier_of_the_store_is_read_from_its_recipe(store: Store) -> None:
    shipped = default_artefact()
    other = type(shipped)(shipped.tensors, {**shipped.recipe, "threshold": 0.25})
    other.save(store.path / "memory" / "scope")
    remember(store, request("Lyon", "Rome"), config={"scope": other.digest})
    commit(store, "Paris", memory="f" * 64)
    view = ask(store, "/memory")
    assert (view.classifier, view.threshold, len(view.roc)) == (other.digest, 0.25, len(shipped.roc))
    assert ask(store, "/memory", ref="0").classifier == shipped.digest


@pytest.mark.parametrize("scope", ["a" * 64, "../../../etc", ""])
def test_a_scope_classifier_that_is_not_there_is_named(store: Store, scope: str) -> None:
    remember(store, request("Lyon", "Rome"), config={"scope": scope})
    with pytest.raises(StoreError, match="scope classifier"):
        ask(store, "/memory")


def test_it_is_the_memory_of_the_workbench(tmp_path: Path, kedit_cache: Path) -> None:
    def capital(subject: str, target: str) -> Any:
        return make_request(subject=subject, prompt="The capital of {} is", target_new=target, relation="P36")

    serac: dict[str, Any] = {"method": "serac", "policy": "observe"}
    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(capital("France", "Rome"), **serac)
        workbench.edit(capital("Spain", "Oslo"), **serac)
        workbench.edit(capital("France", "Bonn"), supersede=True, **serac)
        workbench.edit(capital("Peru", "Rome"), config=QUICK["rome"], policy="observe")
        workbench.consolidate([2], method="rome", config=QUICK["rome"], policy="observe")
        workbench.rollback("4")
        for number in range(6):
            kept = workbench.memory_entries(str(number))
            expected = [(one.id.version, one.id.position, one.request.target_new) for one in kept]
            assert entries(workbench.store, ref=number) == expected
        assert entries(workbench.store) == [(2, 0, "Oslo"), (3, 0, "Bonn")]
        row = ask(workbench.store, "/history").rows[-2]
        assert (row.number, row.route, row.superseded) == (1, "memory", True)
