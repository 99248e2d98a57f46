"""Reading history: the right rows, and few of them looked at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from build_ledger import build_ledger
from small_store import META, WHO, commit_edits, make_rich_store

from kedit_lifecycle.errors import NoStoreError, NoSuchRefError
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.verify import verify

pytestmark = pytest.mark.unit

MANY = 3000


@pytest.fixture(scope="module")
def long_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "store"
    build_ledger(path, MANY)
    return path


@pytest.fixture
def long_reader(long_store: Path) -> Iterator[LedgerReader]:
    with LedgerReader(long_store) as reader:
        yield reader


def steps(reader: LedgerReader, call: str, *arguments: object) -> int:
    """How many hundreds of SQLite instructions a call takes."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    reader._connection.sqlite.set_progress_handler(count, 100)
    getattr(reader, call)(*arguments)
    reader._connection.sqlite.set_progress_handler(None, 100)
    return taken


def test_a_built_ledger_is_a_true_one(long_store: Path, long_reader: LedgerReader) -> None:
    assert long_reader.head().number == MANY
    assert long_reader.counts()["version"] == MANY + 1
    assert [f for f in verify(long_store, "normal").findings if "is missing" not in f.problem] == []


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("log", ("HEAD", 50)),
        ("log", ("HEAD", 50, 1500)),
        ("log", ("HEAD~2000", 50)),
        ("log", ("1700", 50)),
        ("head", ()),
        ("resolve", ("HEAD~2500",)),
        ("updates", (1500,)),
        ("requests", (1500,)),
        ("metrics", (1500,)),
        ("events", (50,)),
        ("events", (50, 1000, "commit")),
        ("run_versions", ("no-such-run",)),
        ("request_history", ("Subject 7", "P7")),
    ],
)
def test_reading_a_page_does_not_walk_the_history(
    long_reader: LedgerReader, call: str, arguments: tuple[object, ...]
) -> None:
    # One walk over all versions takes at least MANY * 5 instructions; a page of 50 a few thousand.
    assert steps(long_reader, call, *arguments) * 100 < MANY * 3


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM version WHERE parent = 'x'",
        "SELECT * FROM version WHERE id = 'x'",
        "SELECT * FROM version WHERE run_id = 'x'",
        "SELECT * FROM version WHERE depth = 1",
        "SELECT * FROM edit_request WHERE subject = 'x' AND relation = 'y'",
        "SELECT * FROM metric WHERE version = 1",
        "SELECT * FROM answer WHERE evaluated = 1",
        "SELECT * FROM event WHERE kind = 'x' AND seq < 9 ORDER BY seq DESC LIMIT 5",
    ],
)
def test_the_columns_that_are_searched_are_indexed(long_reader: LedgerReader, query: str) -> None:
    plan = " ".join(str(row[-1]) for row in long_reader.select(f"EXPLAIN QUERY PLAN {query}"))
    assert "SEARCH" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan


def test_log_pages_add_up(long_reader: LedgerReader) -> None:
    whole = [version.number for version in long_reader.log("HEAD", MANY + 5)]
    assert whole == list(range(MANY, -1, -1))
    pages: list[int] = []
    before: int | None = None
    while page := long_reader.log("HEAD", 700, before):
        pages += [version.number for version in page]
        before = page[-1].depth
    assert pages == whole
    assert long_reader.log("HEAD", 0) == []


@pytest.fixture
def forked(tmp_path: Path) -> Iterator[LedgerReader]:
    """0 - 1 - 2 - 3 on main; 1 - 4 - 5 on side."""
    with Store.create(tmp_path / "store", META, **WHO) as store:
        commit_edits(store, ["a", "b", "c"])
        store.branch("side", "1", **WHO)
        store.move("side", kind="switch", **WHO)
        commit_edits(store, ["d", "e"])
        yield store.reader


def test_log_follows_parents_not_numbers(forked: LedgerReader) -> None:
    assert [v.number for v in forked.log("side")] == [5, 4, 1, 0]
    assert [v.number for v in forked.log("main")] == [3, 2, 1, 0]
    assert [v.number for v in forked.log("side", 2, before_depth=3)] == [4, 1]
    assert [v.number for v in forked.log("main", 9, before_depth=99)] == [3, 2, 1, 0]
    assert forked.resolve("side~1").number == 4
    assert forked.resolve("main~2").number == 1


def test_ancestors_paths_and_children(forked: LedgerReader) -> None:
    ids = [forked.version(number).id for number in range(6)]
    related = {(0, 5), (1, 5), (4, 5), (0, 3), (1, 3), (2, 3), (1, 4), (0, 4), (1, 2), (0, 2), (0, 1)}
    for upper in range(6):
        for lower in range(6):
            assert forked.is_ancestor(ids[upper], ids[lower]) is (upper == lower or (upper, lower) in related)
    assert [v.number for v in forked.path_between(ids[0], ids[5])] == [1, 4, 5]
    assert forked.path_between(ids[2], ids[2]) == []
    with pytest.raises(NoSuchRefError, match="not an ancestor"):
        forked.path_between(ids[2], ids[5])
    assert [v.number for v in forked.children(ids[1])] == [2, 4]
    assert [v.number for v in forked.versions([3, ids[1]])] == [3, 1]


def test_the_history_of_a_fact_is_that_of_the_line(forked: LedgerReader) -> None:
    assert [v.number for v, _ in forked.request_history("b", ref="main")] == [2]
    assert forked.request_history("b", ref="side") == []
    assert forked.request_history("a", "no relation") == []
    (version, request), *rest = forked.request_history("a", "P36")
    assert (version.number, request.subject, rest) == (1, "a", [])


def test_events_are_filtered(forked: LedgerReader) -> None:
    assert [e.kind for e in forked.events()] == ["commit"] * 2 + ["switch", "branch"] + ["commit"] * 3 + [
        "create"
    ]
    assert [e.seq for e in forked.events(kind="commit", before=7, limit=2)] == [4, 3]


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(NoStoreError):
        LedgerReader(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="drops privileges in a forked child")
@pytest.mark.parametrize("left_by", ["closed", "killed"])
def test_a_read_only_folder_is_readable(tmp_path: Path, left_by: str) -> None:
    """Read in a child that is no longer root, from a folder that nobody may write to."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="kedit-test-"))
    try:
        path = make_rich_store(folder / "store")
        if left_by == "killed":
            _commit_and_die(path)
        for root, _, files in os.walk(folder):
            os.chmod(root, 0o555)
            for name in files:
                if name.endswith("-shm"):
                    os.unlink(os.path.join(root, name))
                else:
                    os.chmod(os.path.join(root, name), 0o444)
        assert _as_nobody(path) == (5 if left_by == "killed" else 1)
    finally:
        os.chmod(folder, 0o755)
        for root, folders, _ in os.walk(folder):
            for name in folders:
                os.chmod(os.path.join(root, name), 0o755)
        shutil.rmtree(folder)


def _commit_and_die(path: Path) -> None:
    """Commit in a child that ends without closing, so that the commit is in the log only."""
    child = os.fork()
    if not child:
        try:
            commit_edits(Store.open(path), ["Oman"])
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert (path / "ledger.db-wal").stat().st_size > 0


def _as_nobody(path: Path) -> int:
    child = os.fork()
    if not child:
        code = 99
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            with LedgerReader(path) as reader:
                assert verify(path, "deep").findings == []
                code = reader.head().number
            with Store.open(path) as store:
                try:
                    store.record("note", {}, **WHO)
                    code = 98
                except Exception as error:
                    code = code if type(error).__name__ == "StoreUnwritableError" else 97
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
