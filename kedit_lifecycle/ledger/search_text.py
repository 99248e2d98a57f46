"""Finding words in a whole history: the text of every line of its timeline, folded, kept in memory.

SQLite would read every request for each letter typed, and fold ASCII alone. The text is read once, some 60
bytes of it for an edit: backwards from the newest line, so that the newest are found at once, and followed
as the ledger grows.
"""

from __future__ import annotations

import time
import unicodedata
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kedit_lifecycle.ledger.loading import json_object
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.timeline import ATTEMPT, Place

BLOCK_LINES = 2048
READ_AT_ONCE = 2048  # versions
MOST_WORDS = 32  # of a filter
REMEMBERED = 16  # filters whose lines are known
_ATTEMPT_NUMBER = -1

Text = tuple[int, int, str]
"""Event, version number (-1 of an attempt), and what the line says."""


def folded(text: str) -> str:
    """Text as it is compared: without case and accents, white space as single spaces."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(one for one in decomposed if not unicodedata.combining(one))
    return " ".join(text.lower().split())


@dataclass
class _Found:
    """The lines that hold some words, of the lines looked at so far."""

    looked: int = 0
    lines: array[int] = field(default_factory=lambda: array("L"))


class _Lines:
    """Lines in the order in which they are added, and what was found in them."""

    def __init__(self) -> None:
        self._blocks: list[bytearray] = []
        self._events, self._numbers = array("q"), array("q")
        self._known: OrderedDict[tuple[bytes, ...], _Found] = OrderedDict()

    def __len__(self) -> int:
        return len(self._events)

    def add(self, lines: Iterable[Text]) -> None:
        for event, number, line in lines:
            if len(self) % BLOCK_LINES == 0:
                self._blocks.append(bytearray())
            self._blocks[-1] += folded(line).encode("utf-8", "surrogatepass") + b"\n"
            self._events.append(event)
            self._numbers.append(number)

    def place(self, line: int) -> Place:
        number = self._numbers[line]
        return Place(self._events[line], None if number == _ATTEMPT_NUMBER else number)

    def find(self, words: tuple[bytes, ...], deadline: float) -> _Found:
        """The lines with all words, block after block, as far as there is time."""
        found = self._known.setdefault(words, _Found())
        self._known.move_to_end(words)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        while found.looked < len(self) and time.monotonic() < deadline:
            block, first = divmod(found.looked, BLOCK_LINES)
            begin = block * BLOCK_LINES
            found.lines.extend(begin + line for line in _holding(self._blocks[block], words, first))
            found.looked = min(begin + BLOCK_LINES, len(self))
        return found


def _holding(block: bytearray, words: Sequence[bytes], first: int) -> Sequence[int]:
    """The lines of a block, from `first` on, that hold every word."""
    if not all(word in block for word in words):
        return ()
    lines = block.split(b"\n")[:-1]
    found: Sequence[int] = range(first, len(lines))
    for word in words:
        found = [line for line in found if word in lines[line]]
    return found


@dataclass(frozen=True, slots=True)
class FoundPage:
    """Some of the lines that were found, newest first.

    `total` counts all; where not `complete`, of the newest part of the history that was looked at.
    """

    total: int
    places: tuple[Place, ...]
    complete: bool


class SearchText:
    """The lines of a timeline as text. All calls are for one ledger.

    Each call reads and looks for as long as it is given; the next one goes on from there.
    """

    def __init__(self) -> None:
        self._newer, self._older = _Lines(), _Lines()  # since the first call; before it, newest first
        self._seen = 0  # the last event taken in
        self._next = 0  # the first version after it
        self._below = (0, 0)  # the first version and event of those taken in

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    @property
    def complete(self) -> bool:
        """Whether the whole history was read."""
        return self._seen > 0 and self._below[0] == 0

    def follow(self, reader: LedgerReader, seconds: float = float("inf")) -> None:
        """Take in what was written since the last call, then what is older, as long as there is time."""
        deadline = time.monotonic() + seconds
        last, end = reader.select("SELECT max(seq) FROM event")[0][0] or 0, reader.last_number() + 1
        if not self._seen:
            self._below = (end, last + 1)
        elif last > self._seen:
            self._newer.add(_texts(reader, (self._next, end), (self._seen + 1, last + 1)))
        if last > self._seen:
            self._seen, self._next = last, end
        while self._below[0] and time.monotonic() < deadline:
            self._read_older(reader)

    def _read_older(self, reader: LedgerReader) -> None:
        end, before = self._below
        first = max(0, end - READ_AT_ONCE)
        event = reader.select("SELECT event FROM version WHERE number = ?", first)[0][0] if first else 0
        self._older.add(_texts(reader, (first, end), (event, before))[::-1])
        self._below = (first, event)

    def page(self, words: str, offset: int, limit: int, seconds: float = float("inf")) -> FoundPage:
        """So many of the lines that hold every one of some words, newest first, after `offset` of them."""
        deadline = time.monotonic() + seconds
        folds = list(dict.fromkeys(folded(words).split()))[:MOST_WORDS]
        sought = tuple(word.encode("utf-8", "surrogatepass") for word in folds)
        newer = self._newer.find(sought, float("inf")).lines
        older = self._older.find(sought, deadline)
        end = offset + limit
        places = [self._newer.place(line) for line in newer[::-1][offset:end]]
        begin = max(0, offset - len(newer))
        places += [self._older.place(line) for line in older.lines[begin : max(0, end - len(newer))]]
        whole = self.complete and older.looked == len(self._older)
        return FoundPage(len(newer) + len(older.lines), tuple(places), whole)


def _texts(reader: LedgerReader, numbers: tuple[int, int], events: tuple[int, int]) -> list[Text]:
    """The lines of some versions and events, each given as the first and the one after the last, in order."""
    found = [*_versions(reader, *numbers), *_attempts(reader, *events)]
    return sorted(found, key=lambda text: text[0])


def _versions(reader: LedgerReader, first: int, end: int) -> list[Text]:
    versions = "SELECT event, number, editor, operation, message FROM version WHERE number BETWEEN ? AND ?"
    requests = "SELECT version, subject, target_new FROM edit_request WHERE version >= ? AND version < ?"
    said: dict[int, list[Any]] = {}
    for version, *words in reader.select(f"{requests} ORDER BY version, position", first, end):
        said.setdefault(version, []).extend(words)
    return [
        (event, number, " ".join([f"v{number}", *words, *said.get(number, ())]))
        for event, number, *words in reader.select(versions, first, end - 1)
    ]


def _attempts(reader: LedgerReader, first: int, end: int) -> list[Text]:
    query = "SELECT seq, payload FROM event WHERE kind = ? AND seq >= ? AND seq < ?"
    return [
        (seq, _ATTEMPT_NUMBER, attempt_text(json_object(payload, f"event {seq}")))
        for seq, payload in reader.select(query, ATTEMPT, first, end)
    ]


def attempt_text(payload: dict[str, object]) -> str:
    """What an attempt is found by."""
    words = [str(payload.get(name) or "") for name in ("editor", "decision", "message")]
    requests = payload.get("requests")
    for request in requests if isinstance(requests, list) else ():
        if isinstance(request, dict):
            words += [str(request.get(name) or "") for name in ("subject", "target_new")]
    return " ".join(words)
