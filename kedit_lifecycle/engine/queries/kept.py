"""What queries remember of a ledger between calls: places, folded text, lines of history.

All of it follows from rows that never change; it is only ever added to. Where a store's folder holds
another ledger than before, or an older copy of it, nothing of it is used.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, RLock
from typing import Any, TypeVar

from kedit_lifecycle.ledger.ancestry import Line
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import VersionRow
from kedit_lifecycle.ledger.search_text import FoundPage, SearchText
from kedit_lifecycle.ledger.timeline import Timeline

MOST_LEDGERS = 4
SLICE = 0.1  # seconds of reading ahead between two chances for a query
MOST_OF_A_KIND = 8  # lines, memories, indexes of conflicts

Value = TypeVar("Value")


class Kept:
    """What is remembered of one ledger. Hold `lock` while you use it."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._searching = RLock()  # reading the text of a whole history must not hold up the rest
        self._timeline, self._search = Timeline(), SearchText()
        self._end = (0, "")  # the last event seen, and its hash
        self._counts: dict[str, tuple[int, int]] = {}  # by kind: the last event counted, and how many
        self._values: dict[str, OrderedDict[str, Any]] = {}

    def fits(self, reader: LedgerReader) -> bool:
        """Whether the ledger is the one that all this was read from, as far as it had come then."""
        seq, hash_ = self._end
        found = reader.select("SELECT hash FROM event WHERE seq = ?", seq)
        if seq and (not found or found[0][0] != hash_):
            return False
        self._end = next(map(tuple, reader.select("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1")))
        return True

    def timeline(self, reader: LedgerReader) -> Timeline:
        """Where versions and attempts stand, up to date."""
        self._timeline.follow(reader)
        return self._timeline

    def search(self, reader: LedgerReader, words: str, offset: int, limit: int, seconds: float) -> FoundPage:
        """The lines of the history with some words, as far as the time goes."""
        with self._searching:
            self._search.follow(reader, seconds)
            return self._search.page(words, offset, limit, seconds)

    def read_text(self, reader: LedgerReader, seconds: float) -> bool:
        """Read some of what filters search; whether it is all read."""
        with self._searching:
            self._search.follow(reader, seconds)
            return self._search.complete

    def count(self, reader: LedgerReader, kind: str) -> int:
        """How many events there are of a kind."""
        seen, count = self._counts.get(kind, (0, 0))
        query = "SELECT count(*), max(seq) FROM event WHERE kind = ? AND seq > ?"
        came, last = reader.select(query, kind, seen)[0]
        if came:
            self._counts[kind] = (last, count + came)
        return count + int(came)

    def line(self, tip: VersionRow) -> Line:
        """The line of a version."""
        return self.value("line", tip.id, lambda: Line(tip))

    def value(self, kind: str, key: str, make: Callable[[], Value]) -> Value:
        """Something that a key decides for good, made when it is first asked for."""
        values = self._values.setdefault(kind, OrderedDict())
        if key not in values:
            values[key] = make()
            while len(values) > MOST_OF_A_KIND:
                values.popitem(last=False)
        values.move_to_end(key)
        found: Value = values[key]
        return found

    def forget(self, kind: str, key: str) -> None:
        """Something is to be another's from now on."""
        self._values.get(kind, OrderedDict()).pop(key, None)

    def newest(self, kind: str) -> tuple[str, Any] | None:
        """The key and the value of a kind that were used last."""
        values = self._values.get(kind)
        return next(reversed(values.items()), None) if values else None


_kept: OrderedDict[Path, Kept] = OrderedDict()
_lock = Lock()


@contextmanager
def opened(store: Path) -> Iterator[tuple[LedgerReader, Kept]]:
    """A reader of one moment of the ledger, and what is remembered of it.

    Raises:
        NoStoreError: there is no store.
        StoreError: it is damaged.
    """
    with LedgerReader(store) as reader:
        reader.select("BEGIN")  # the moment is that of the first row read, under the lock
        yield reader, _remembered(store.resolve(), reader)


def _remembered(path: Path, reader: LedgerReader) -> Kept:
    with _lock:
        found = _kept.get(path)
        if found is None or not found.fits(reader):
            found = _kept[path] = Kept()
            found.fits(reader)
        _kept.move_to_end(path)
        while len(_kept) > MOST_LEDGERS:
            _kept.popitem(last=False)
        return found


def warm(store: Path) -> None:
    """Read the text that filters search, so that the first filter finds all there is at once.

    Takes some ten seconds in a history of a million versions; meant for a thread of its own.
    """
    with opened(store) as (reader, kept):
        while not kept.read_text(reader, SLICE):
            time.sleep(SLICE / 10)  # for those who wait for their turn
