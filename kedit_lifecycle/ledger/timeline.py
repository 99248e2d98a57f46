"""Versions and attempts in one list, in the order of their events, any page of which is found at once."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass

from kedit_lifecycle.ledger.reader import LedgerReader

ATTEMPT = "attempt"
"""The kind of the events that keep what a gate took back."""


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the list: a version's number, or None of an attempt, and the event that wrote it."""

    event: int
    number: int | None


class Timeline:
    """Where the attempts lie among the versions.

    Versions are found by number, which has no gaps and rises with the event. Of the attempts, which are
    few, the events are kept, and `follow` adds those that came since. All calls are for one ledger.
    """

    def __init__(self) -> None:
        self._attempts = array("q")  # events, rising
        self._seen = 0  # the last event looked at
        self._versions = 0

    def __len__(self) -> int:
        return self._versions + len(self._attempts)

    @property
    def versions(self) -> int:
        """How many there are, the unedited model among them."""
        return self._versions

    @property
    def attempts(self) -> int:
        """How many there are."""
        return len(self._attempts)

    def follow(self, reader: LedgerReader) -> None:
        """Take in what was written since the last call."""
        last = reader.select("SELECT max(seq) FROM event")[0][0] or 0
        query = "SELECT seq FROM event WHERE kind = ? AND seq > ? AND seq <= ? ORDER BY seq"
        self._attempts.extend(row[0] for row in reader.select(query, ATTEMPT, self._seen, last))
        self._seen = max(self._seen, last)  # a reader of an earlier moment adds nothing
        self._versions = max(self._versions, reader.last_number() + 1)

    def page(self, reader: LedgerReader, offset: int, limit: int) -> list[Place]:
        """So many lines, newest first, after `offset` newer ones."""
        last = len(self) - offset  # counted from the oldest; the first that is not on the page
        first = max(0, last - limit)
        if last <= first:
            return []
        attempts = self._attempts_before(reader, first)
        versions = first - attempts
        query = "SELECT event, number FROM version WHERE number >= ? AND number < ?"
        places = [Place(*row) for row in reader.select(query, versions, versions + last - first)]
        places += [Place(event, None) for event in self._attempts[attempts : attempts + last - first]]
        places.sort(key=lambda place: place.event)
        return places[: last - first][::-1]

    def _attempts_before(self, reader: LedgerReader, rank: int) -> int:
        """How many of the `rank` oldest lines are attempts."""

        def rank_of(attempt: int) -> int:
            return attempt + self._versions_before(reader, self._attempts[attempt])

        return bisect_left(range(len(self._attempts)), rank, key=rank_of)

    def _versions_before(self, reader: LedgerReader, event: int) -> int:
        def event_of(number: int) -> int:
            found = reader.select("SELECT event FROM version WHERE number = ?", number)
            return int(found[0][0]) if found else self._seen + 1

        return bisect_left(range(self._versions), event, key=event_of)
