"""Which versions lie on the line of one, asked for a few at a time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from kedit_lifecycle.ledger.reader import ANCESTORS, LedgerReader
from kedit_lifecycle.ledger.records import VersionRow

MOST_KEPT = 100_000  # ancestors remembered


class Line:
    """The ancestors of a version, itself included.

    A version that is the only one at its depth is an ancestor of all that are deeper, so that only where
    the history has branches it is walked, from the nearest ancestor known. What was found is kept.
    """

    def __init__(self, tip: VersionRow) -> None:
        self.tip = tip
        self._at: dict[int, str] = {tip.depth: tip.id}
        self._depths = [tip.depth]  # of `_at`, rising

    def holds(self, reader: LedgerReader, versions: Iterable[tuple[str, int, int]]) -> set[str]:
        """Of some versions, given as (id, number, depth), the ids of those on the line."""
        if self.tip.number == self.tip.depth:  # all versions before it are its ancestors
            return {one for one, number, depth in versions if number == depth <= self.tip.depth}
        asked = sorted({(depth, identity) for identity, _, depth in versions}, reverse=True)
        return {identity for depth, identity in asked if self.at(reader, depth) == identity}

    def at(self, reader: LedgerReader, depth: int) -> str | None:
        """The id of the version on the line at a depth; None below its tip."""
        if depth > self.tip.depth:
            return None
        if depth not in self._at:
            self._find(reader, depth)
        return self._at.get(depth)

    def _find(self, reader: LedgerReader, depth: int) -> None:
        here = reader.select("SELECT id FROM version WHERE depth = ? LIMIT 2", depth)
        if len(here) == 1:
            self._keep(depth, here[0][0])
            return
        start, identity = self._nearest(reader, depth)
        self._keep(start, identity)
        query = ANCESTORS + "SELECT depth, id FROM line WHERE depth = ?"
        for found, ancestor in reader.select(query, identity, depth, depth):
            self._keep(found, ancestor)

    def _nearest(self, reader: LedgerReader, depth: int) -> tuple[int, str]:
        """The ancestor known that is the nearest of those deeper than a depth."""
        known = self._depths[bisect_left(self._depths, depth)]
        query = (
            "SELECT id, depth FROM version WHERE depth = (SELECT depth FROM version WHERE depth > ?"
            " AND depth < ? GROUP BY depth HAVING count(*) = 1 ORDER BY depth LIMIT 1)"
        )
        for identity, found in reader.select(query, depth, known):
            return found, identity
        return known, self._at[known]

    def _keep(self, depth: int, identity: str) -> None:
        if depth in self._at:
            return
        if len(self._at) >= MOST_KEPT:
            self._at, self._depths = {self.tip.depth: self.tip.id}, [self.tip.depth]
        self._at[depth] = identity
        insort(self._depths, depth)


def common_ancestor(reader: LedgerReader, one: Line, other: Line) -> VersionRow:
    """The deepest version that two lines share, found by halving the depth."""

    def apart(depth: int) -> bool:
        return one.at(reader, depth) != other.at(reader, depth)

    depth = bisect_left(range(min(one.tip.depth, other.tip.depth) + 1), True, key=apart) - 1
    return reader.by_id(one.at(reader, max(depth, 0)) or one.tip.id)
