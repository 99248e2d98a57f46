"""The history and the overview, as the engine answers them from the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from query_store import ask, attempt, commit, health_checks, new_store, remember, score
from small_store import WHO, request

from kedit_lifecycle.engine.messages import HistoryRow
from kedit_lifecycle.ledger.records import CheckDraft, Supersession
from kedit_lifecycle.ledger.store import Store

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(tmp_path / "store") as made:
        yield made


def rows(store: Store, **parameters: object) -> dict[int | None, HistoryRow]:
    return {row.number: row for row in ask(store, "/history", **parameters).rows}


def test_an_empty_history_is_the_unedited_model(store: Store) -> None:
    page = ask(store, "/history")
    assert (page.total, page.offset, page.complete) == (1, 0, True)
    (root,) = page.rows
    assert (root.number, root.parent, root.route, root.requests) == (0, None, "base", 0)
    assert [(label.name, label.kind, label.head) for label in root.labels] == [("main", "branch", True)]
    found = ask(store, "/overview")
    assert (found.head, found.versions, found.attempts) == (0, 0, 0)
    assert (found.state, found.can_undo, found.can_redo) == ("healthy", None, None)


def test_a_row_says_what_was_edited_and_what_it_did(store: Store) -> None:
    metrics = [score("efficacy", 1.0, 0), score("efficacy", 0.5, 1), score("paraphrase", 0.5)]
    metrics += [score("efficacy", 0.0, 0, evaluated=0)]  # of the unedited model
    two = [request("Lyon", "Manila"), request("Nice", "Manila")]
    gate = {"gate": {"decision": "warn", "reasons": ["drift"]}}
    made = commit(
        store,
        "Lyon",
        requests=two,
        metrics=metrics,
        checks=health_checks(1.25, "degrading"),
        diagnostics=gate,
    )
    row = rows(store)[1]
    assert (row.id, row.key, row.parent, row.operation, row.method) == (
        made.id,
        made.event,
        0,
        "edit",
        "rome",
    )
    assert (row.subject, row.target, row.requests, row.route) == ("Lyon", "Manila", 2, "weights")
    assert (row.efficacy, row.paraphrase, row.neighborhood) == (0.75, 0.5, None)
    assert (row.perplexity, row.state, row.verdict) == (1.25, "degrading", "warn")
    assert (row.message, row.time) == ("because Lyon", made.time)


def test_later_measurements_leave_a_row_as_it_was(store: Store) -> None:
    commit(store, "Lyon", metrics=[score("efficacy", 1.0)])
    commit(store, "Nice")
    store.add_metrics(
        1, [score("efficacy", 0.0, 0, evaluated=2), score("efficacy", 0.0, 0, evaluated=1)], **WHO
    )
    assert rows(store)[1].efficacy == 0.5  # measured at version 1 twice, in one protocol
    other = score("efficacy", 0.0)
    commit(
        store, "Rome", metrics=[score("efficacy", 1.0), type(other)("efficacy", "p2", "generated", 0.0, 1, 0)]
    )
    assert rows(store)[3].efficacy == 1.0  # of two protocols the first, not a mean of both


def test_perplexity_is_a_ratio_also_where_only_metrics_say_it(store: Store) -> None:
    commit(store, "Lyon", metrics=[score("perplexity", 20.0, None, 0), score("perplexity", 30.0, None)])
    assert rows(store)[1].perplexity == 1.5


def test_attempts_stand_where_they_were_made(store: Store) -> None:
    commit(store, "Lyon")
    first = attempt(store, "Toko")
    commit(store, "Nice")
    attempt(store, "Kiev", editor="serac", decision="halt")
    page = ask(store, "/history")
    assert [row.number for row in page.rows] == [None, 2, None, 1, 0]
    assert [row.key for row in page.rows] == sorted((row.key for row in page.rows), reverse=True)
    last, taken_back = page.rows[0], page.rows[2]
    assert (taken_back.key, taken_back.parent, taken_back.operation) == (first, 1, "attempt")
    assert (taken_back.subject, taken_back.target, taken_back.verdict) == ("Toko", "Oslo", "reject")
    assert (taken_back.perplexity, taken_back.efficacy, taken_back.state) == (1.6, 1.0, "collapsed")
    assert (last.route, last.verdict, last.parent) == ("memory", "halt", 2)
    second = ask(store, "/history", offset=2, limit=2)
    assert (second.total, second.rows) == (5, page.rows[2:4])


def test_what_is_off_the_line_of_head_is_told_from_what_is_on_it(store: Store) -> None:
    for label in ("one", "two"):
        commit(store, label)
    attempt(store, "lost")  # on version 2
    store.move("1", kind="rollback", **WHO)
    commit(store, "three")
    page = ask(store, "/history")
    assert [(row.number, row.on_line, row.parent) for row in page.rows] == [
        (3, True, 1),
        (None, False, 2),
        (2, False, 1),
        (1, True, 0),
        (0, True, None),
    ]
    store.undo(**WHO)
    store.undo(**WHO)
    assert [row.on_line for row in ask(store, "/history").rows] == [False, True, True, True, True]


def test_labels_stand_at_their_versions(store: Store) -> None:
    commit(store, "one")
    store.tag("good", "1", **WHO)
    store.branch("side/deep", "0", **WHO)
    found = rows(store)
    assert [(one.name, one.kind, one.head) for one in found[1].labels] == [
        ("main", "branch", True),
        ("good", "tag", False),
    ]
    assert [one.name for one in found[0].labels] == ["side/deep"]
    store.move("0", kind="switch", **WHO)
    assert [(one.name, one.kind) for one in rows(store)[0].labels] == [
        ("HEAD", "head"),
        ("side/deep", "branch"),
    ]
    assert ask(store, "/overview").branch is None


def test_a_version_is_superseded_when_all_its_facts_are_on_the_line_of_head(store: Store) -> None:
    commit(store, "Lyon", requests=[request("Lyon", "Rome"), request("Nice", "Rome")])
    commit(store, "Lyon", "Oslo", supersedes=[Supersession(0, 1, 0)])
    assert not rows(store)[1].superseded
    commit(store, "Nice", "Oslo", supersedes=[Supersession(0, 1, 1)])
    assert rows(store)[1].superseded
    store.undo(**WHO)
    assert not rows(store)[1].superseded


def test_a_filter_takes_words_of_any_case_and_accent(store: Store) -> None:
    commit(store, "São Tomé", "Manila")
    commit(store, "Lyon", "Manila", editor="memit")
    attempt(store, "SAO Paulo")
    assert [row.subject for row in ask(store, "/history", filter="sao").rows] == ["SAO Paulo", "São Tomé"]
    assert [row.number for row in ask(store, "/history", filter="manila MEMIT").rows] == [2]
    assert [row.number for row in ask(store, "/history", filter="v1").rows] == [1]
    assert ask(store, "/history", filter="reject oslo").total == 1
    assert ask(store, "/history", filter=" ").total == 4
    page = ask(store, "/history", filter="a", offset=1, limit=1)
    assert (page.total, page.offset, [row.subject for row in page.rows]) == (3, 1, ["Lyon"])
    commit(store, "Lyon", "Oslo")
    assert ask(store, "/history", filter="lyon").total == 2


@pytest.mark.parametrize("mark", ["%", "_", "*", "'", '"; --', "\\"])
def test_marks_in_a_filter_are_letters(store: Store, mark: str) -> None:
    commit(store, "Lyon")
    assert ask(store, "/history", filter=mark).total == 0
    commit(store, f"a{mark}b")
    assert [row.number for row in ask(store, "/history", filter=mark).rows] == [2]


def test_the_overview_follows_head(store: Store) -> None:
    commit(store, "Lyon", checks=health_checks(1.0))
    commit(store, "Nice", checks=health_checks(1.7, "collapsed", since=2))
    attempt(store, "Toko")
    remember(store, request("Kiev", "Rome"))
    found = ask(store, "/overview")
    assert (found.model, found.architecture, found.dtype) == ("tiny", "llama", "float32")
    assert (found.branch, found.head, found.versions, found.attempts) == ("main", 3, 3, 1)
    assert (found.state, found.state_since, found.memory_entries) == ("collapsed", 2, 1)
    assert found.can_undo == "the commit of version 3"
    assert [(number, label.name) for number, label in found.labels] == [(3, "main")]
    store.undo(**WHO)
    store.undo(**WHO)
    found = ask(store, "/overview")
    assert (found.head, found.versions, found.state, found.memory_entries) == (1, 3, "healthy", 0)
    assert (found.can_undo, found.can_redo) == ("the commit of version 1", "the commit of version 2")
    store.move("3", kind="rollback", **WHO)
    found = ask(store, "/overview")
    assert found.can_undo == f"the rollback to version {store.reader.head().short}"
    assert found.can_redo is None


def test_where_nothing_was_checked_the_state_is_unknown(store: Store) -> None:
    commit(store, "Lyon")
    assert ask(store, "/overview").state == "unknown"
    assert rows(store)[1].state == ""
    commit(store, "Nice", checks=[CheckDraft("collapse", "pass", "healthy")])
    assert ask(store, "/overview").state == "healthy"


def test_another_store_at_the_same_place_is_read_anew(tmp_path: Path) -> None:
    with new_store(tmp_path / "a") as first:
        for label in ("Lyon", "Nice", "Rome"):
            attempt(first, label)
            commit(first, label)
        assert ask(first, "/history", filter="nice").total == 2
    (tmp_path / "a").rename(tmp_path / "b")
    with new_store(tmp_path / "a") as second:
        commit(second, "Oslo")
        page = ask(second, "/history")
        assert [row.subject for row in page.rows] == ["Oslo", ""]
        assert ask(second, "/history", filter="nice").total == 0
