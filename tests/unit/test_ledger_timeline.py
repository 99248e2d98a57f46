"""Pages of versions and attempts, words found in them, lines of history: the same as reading it all."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_ledger import build_ledger
from query_store import attempt, commit, new_store
from small_store import WHO

from kedit_lifecycle.ledger import search_text
from kedit_lifecycle.ledger.ancestry import Line, common_ancestor
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.search_text import SearchText, folded
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.timeline import Place, Timeline

pytestmark = pytest.mark.unit

MANY = 700


@pytest.fixture(scope="module")
def long_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("timeline") / "store"
    build_ledger(path, MANY, attempts_every=7, checks=True)
    return path


@pytest.fixture
def forked(tmp_path: Path) -> Store:
    """0 1 2 3 on main, 4 5 beside 2 and 3, 6 7 on main again."""
    store = new_store(tmp_path / "store")
    for label in ("one", "two", "three"):
        commit(store, label)
    store.branch("side", "1", **WHO)
    store.move("side", kind="switch", **WHO)
    for label in ("four", "five"):
        commit(store, label)
    store.move("main", kind="switch", **WHO)
    for label in ("six", "seven"):
        commit(store, label)
    return store


def every_place(reader: LedgerReader) -> list[Place]:
    """All lines, newest first, by reading everything."""
    query = (
        "SELECT event, number FROM version UNION ALL SELECT seq, NULL FROM event WHERE kind = 'attempt'"
        " ORDER BY 1 DESC"
    )
    return [Place(*row) for row in reader.select(query)]


def test_a_page_at_any_offset_is_that_part_of_the_whole(long_store: Path) -> None:
    timeline = Timeline()
    with LedgerReader(long_store) as reader:
        timeline.follow(reader)
        whole = every_place(reader)
        assert (len(timeline), timeline.versions, timeline.attempts) == (801, 701, 100)
        for offset in range(0, len(whole) + 3, 13):
            for limit in (1, 6, 50):
                assert timeline.page(reader, offset, limit) == whole[offset : offset + limit]


def test_a_page_looks_at_few_rows(long_store: Path) -> None:
    timeline, taken = Timeline(), 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    with LedgerReader(long_store) as reader:
        timeline.follow(reader)
        reader._connection.sqlite.set_progress_handler(count, 1)
        timeline.page(reader, MANY // 2, 20)
        reader._connection.sqlite.set_progress_handler(None, 1)
    assert taken < MANY * 3  # the tenth of what a walk over all versions takes


def test_what_is_written_later_comes_first(tmp_path: Path) -> None:
    timeline, words = Timeline(), SearchText()
    with new_store(tmp_path / "store") as store:
        for label in ("Lyon", "Oslo"):
            timeline.follow(store.reader)
            words.follow(store.reader)
            commit(store, label)
            attempt(store, f"{label} again")
        timeline.follow(store.reader)
        words.follow(store.reader)
        assert timeline.page(store.reader, 0, 99) == every_place(store.reader)
        assert list(words.page("", 0, 99).places) == every_place(store.reader)
        assert [place.number for place in words.page("oslo", 0, 9).places] == [None, 2, None]


def test_a_reader_of_an_earlier_moment_spoils_nothing(tmp_path: Path) -> None:
    timeline, words = Timeline(), SearchText()
    with new_store(tmp_path / "store") as store, LedgerReader(tmp_path / "store") as earlier:
        attempt(store, "Lyon")
        earlier.select("BEGIN")
        earlier.last_number()
        attempt(store, "Oslo")
        commit(store, "Rome")
        for reader in (store.reader, earlier, store.reader):
            timeline.follow(reader)
            words.follow(reader)
            timeline.page(reader, 0, 9)
        assert timeline.page(store.reader, 0, 9) == every_place(store.reader)
        assert list(words.page("", 0, 9).places) == every_place(store.reader)


def test_words_are_found_as_by_reading_every_line(long_store: Path) -> None:
    words = SearchText()
    with LedgerReader(long_store) as reader:
        words.follow(reader)
        whole = every_place(reader)
    assert list(words.page("", 0, 9999).places) == whole
    found = words.page("SUBJECT 9", 0, 9999)
    expected = [place for place in whole if place.number and "9" in str(place.number)]
    assert list(found.places) == expected
    assert found.total == len(expected)
    assert list(words.page("9 subject", 20, 7).places) == expected[20:27]
    assert words.page("reject attempt", 0, 1).total == 100
    assert words.page("nowhere", 0, 9).total == 0


def test_without_time_the_newest_are_found_first_and_the_rest_later(
    long_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_text, "READ_AT_ONCE", 100)
    monkeypatch.setattr(search_text, "BLOCK_LINES", 64)
    words = SearchText()
    with LedgerReader(long_store) as reader:
        words.follow(reader, 0.0)
        first = words.page("subject", 0, 9999, 0.0)
        assert (first.total, first.complete) == (0, False)
        totals = []
        while not words.complete:
            words._read_older(reader)
            part = words.page("subject", 0, 5)
            totals.append(part.total)
            assert [place.number for place in part.places] == [700, 699, 698, 697, 696]
        assert part.complete
        assert totals == sorted(totals)
        assert totals[-1] == MANY
        assert list(words.page("", 0, 9999).places) == every_place(reader)


def test_folding_takes_case_and_accents_away() -> None:
    assert folded("  ÉCOLE\n\tStraße  Ñandú ") == "ecole strasse nandu"
    assert folded("\x1b[31m東京 ‮x") == "\x1b[31m東京 ‮x"


def test_a_line_holds_its_ancestors_and_no_others(forked: Store) -> None:
    reader = forked.reader
    every = [(one.id, one.number, one.depth) for one in map(reader.version, range(8))]
    for ref in ("main", "side", "2", "4", "0"):
        tip = reader.resolve(ref)
        expected = {one.id for one in reader.log(ref, limit=99)}
        assert Line(tip).holds(reader, every) == expected
        for depth in range(5):
            found = Line(tip).at(reader, depth)
            assert found == (reader.ancestor_at(tip, depth).id if depth <= tip.depth else None)


def test_a_straight_line_leaves_out_what_came_after_it(tmp_path: Path) -> None:
    with new_store(tmp_path / "store") as store:
        commit(store, "one")
        commit(store, "two")
        store.move("0", kind="rollback", **WHO)
        commit(store, "three")  # version 3, one above the root
        every = [(one.id, one.number, one.depth) for one in map(store.reader.version, range(4))]
        there = Line(store.reader.version(2)).holds(store.reader, every)
        assert there == {one[0] for one in every[:3]}


@pytest.mark.parametrize(("a", "b", "ancestor"), [("7", "5", 1), ("3", "7", 3), ("5", "5", 5), ("0", "7", 0)])
def test_the_common_ancestor(forked: Store, a: str, b: str, ancestor: int) -> None:
    reader = forked.reader
    lines = Line(reader.resolve(a)), Line(reader.resolve(b))
    assert common_ancestor(reader, *lines).number == ancestor
    assert common_ancestor(reader, *lines[::-1]).number == ancestor
