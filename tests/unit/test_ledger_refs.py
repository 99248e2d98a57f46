"""Undo, redo, rollback, switch, names and ref expressions."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_store import META, WHO, commit_edits

from kedit_lifecycle.errors import NoSuchRefError, RefusedError, UsageError
from kedit_lifecycle.ledger.names import check_name
from kedit_lifecycle.ledger.store import Store

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Versions 0 to 3 on `main`."""
    store = Store.create(tmp_path / "store", META, **WHO)
    commit_edits(store, ["a", "b", "c"])
    return store


def at(store: Store) -> int:
    return store.reader.head().number


def test_undo_and_redo_walk_the_commits(store: Store) -> None:
    assert [store.undo(**WHO).number for _ in range(3)] == [2, 1, 0]
    with pytest.raises(RefusedError, match="nothing to undo"):
        store.undo(**WHO)
    assert [store.redo(**WHO).number for _ in range(3)] == [1, 2, 3]
    with pytest.raises(RefusedError, match="nothing to redo"):
        store.redo(**WHO)
    assert at(store) == 3
    assert store.reader.counts()["version"] == 4


def test_undo_of_a_rollback_brings_the_place_back(store: Store) -> None:
    assert store.move("HEAD~2", kind="rollback", message="bad", **WHO).number == 1
    assert store.reader.events(1)[0].payload["message"] == "bad"
    commit_edits(store, ["d"])
    assert [store.undo(**WHO).number for _ in range(3)] == [1, 3, 2]
    assert [store.redo(**WHO).number for _ in range(3)] == [3, 1, 4]


def test_new_work_clears_redo_but_records_do_not(store: Store) -> None:
    store.undo(**WHO)
    store.record("note", {}, **WHO)
    store.tag("here", **WHO)
    assert store.redo(**WHO).number == 3
    store.undo(**WHO)
    commit_edits(store, ["d"])
    with pytest.raises(RefusedError):
        store.redo(**WHO)
    assert store.undo(**WHO).number == 2
    assert store.undo(**WHO).number == 1


def test_switch_can_be_undone_and_branches_move_apart(store: Store) -> None:
    assert store.branch("side", "1", **WHO).kind == "branch"
    assert at(store) == 3
    assert store.move("side", kind="switch", **WHO).number == 1
    commit_edits(store, ["d"])
    assert store.reader.head_ref()[0] == "side"
    assert (store.reader.resolve("main").number, store.reader.resolve("side").number) == (3, 4)
    assert [store.undo(**WHO).number for _ in range(2)] == [1, 3]
    assert store.reader.head_ref()[0] == "main"
    assert [store.redo(**WHO).number for _ in range(2)] == [1, 4]
    assert store.reader.head_ref()[0] == "side"


def test_a_detached_head_commits_without_moving_branches(store: Store) -> None:
    store.tag("t", "1", **WHO)
    assert store.move("t", kind="switch", **WHO).number == 1
    assert store.reader.head_ref() == (None, store.reader.version(1).id)
    commit_edits(store, ["d"])
    assert at(store) == 4
    assert store.reader.resolve("main").number == 3
    assert store.reader.resolve("t").number == 1
    store.move("main", kind="switch", **WHO)
    assert store.reader.head_ref()[0] == "main"


def test_going_where_we_are_is_refused(store: Store) -> None:
    events = store.reader.counts()["event"]
    for target, kind in (("HEAD", "rollback"), ("3", "rollback"), ("main", "switch")):
        with pytest.raises(RefusedError, match="already"):
            store.move(target, kind=kind, **WHO)  # type: ignore[arg-type]
    with pytest.raises(NoSuchRefError):
        store.move("nowhere", kind="rollback", **WHO)
    assert store.reader.counts()["event"] == events


def test_a_name_is_taken_once(store: Store) -> None:
    store.branch("x", **WHO)
    for make in (store.branch, store.tag):
        with pytest.raises(RefusedError, match="branch 'x' already"):
            make("x", "1", **WHO)
        with pytest.raises(NoSuchRefError):
            make("y", "nowhere", **WHO)


WITH_FORBIDDEN_SIGNS = ["a b", "a\tb", "a\x1b[31m", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "a..b"]
UNPRINTABLE = ["", "a\u202eb", "\ud800", "a\u200bb", "a\x7f", "a\x00"]
READ_AS_SOMETHING_ELSE = ["HEAD", "head", "-x", "12", "v12", "²", "beef", "DEADBEEF", "f" * 64]
LIKE_A_PATH_OR_TOO_LONG = ["a/", "/a", ".a", "x.lock", "x" * 201]


@pytest.mark.parametrize(
    "name", [*WITH_FORBIDDEN_SIGNS, *UNPRINTABLE, *READ_AS_SOMETHING_ELSE, *LIKE_A_PATH_OR_TOO_LONG]
)
def test_names_that_could_be_misread_are_refused(store: Store, name: str) -> None:
    with pytest.raises(UsageError):
        store.tag(name, **WHO)


@pytest.mark.parametrize(
    "name", ["main", "v1.0", "be", "feature/x", "Ünïcode", "before-merge", "12th", "日本"]
)
def test_other_names_are_fine(name: str) -> None:
    assert check_name(name) == name


def test_ref_expressions(store: Store) -> None:
    reader = store.reader
    store.tag("good", "2", **WHO)
    two = reader.version(2)
    for text in (
        "2",
        "v2",
        "good",
        "HEAD~1",
        "HEAD~",
        "HEAD^",
        "main^",
        " main~1 ",
        "3~1",
        "@~",
        two.id,
        two.id[:9],
    ):
        assert reader.resolve(text) == two, text
    for text in ("HEAD^^", "HEAD~2", "HEAD~1^", "good~", f"{two.id[:8].upper()}^", "v3~0~2"):
        assert reader.resolve(text).number == 1, text
    assert reader.resolve("HEAD~3").number == 0


@pytest.mark.parametrize(
    "text", ["", "~1", "4", "v99", "nope", "HEAD~4", "0^", "HEAD^2", "abc", "99999999999999"]
)
def test_a_ref_to_nothing_lists_what_there_is(store: Store, text: str) -> None:
    with pytest.raises(NoSuchRefError) as caught:
        store.reader.resolve(text)
    assert caught.value.exit_code == 2
    if text in ("4", "nope"):
        assert "HEAD, main" in str(caught.value)
        assert "0 to 3" in str(caught.value)


def test_an_ambiguous_id_lists_its_versions(store: Store) -> None:
    start = _commit_until_two_share(store)
    with pytest.raises(NoSuchRefError, match="start of several ids") as caught:
        store.reader.resolve(start)
    assert str(caught.value).count("(version ") >= 2


def _commit_until_two_share(store: Store) -> str:
    """Two ids with the same first four digits, made by hand in a copy of the tables."""
    import sqlite3

    ids = [version.id for version in store.reader.log()]
    start = "abcd"
    connection = sqlite3.connect(store.path / "ledger.db")
    for number, identity in enumerate(ids[:2]):
        connection.execute(
            "UPDATE version SET id = ? WHERE id = ?", (f"{start}{number}{identity[5:]}", identity)
        )
    connection.commit()
    connection.close()
    return start


def test_a_number_goes_before_an_id_and_a_name_before_both(store: Store) -> None:
    import sqlite3

    connection = sqlite3.connect(store.path / "ledger.db")
    connection.execute("UPDATE version SET id = '1234' || substr(id, 5) WHERE number = 3")
    connection.execute("UPDATE ref SET target = '1234' || substr(target, 5) WHERE name = 'main'")
    connection.commit()
    assert store.reader.resolve("1234").number == 3
    connection.execute("UPDATE version SET number = 1234 WHERE number = 2")
    connection.commit()
    connection.close()
    assert store.reader.resolve("1234").number == 1234
