"""`GET /history`: pages of the whole history, versions and attempts in the order they were written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kedit_lifecycle.engine.messages import HistoryPage
from kedit_lifecycle.engine.queries.kept import Kept, opened
from kedit_lifecycle.engine.queries.parameters import text, whole
from kedit_lifecycle.engine.queries.rows import history_rows
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.search_text import FoundPage

MOST_ROWS = 500
SECONDS = 0.2  # of reading, and of looking, before a filter answers with what it has


def history(store: Path, parameters: Mapping[str, str]) -> HistoryPage:
    """Rows newest first: `offset` (default 0), `limit` (default 100, at most 500), `filter`.

    A filter is words; rows hold all of them, in whatever order, case or accents, anywhere in their version
    number (`v12`), method, operation, subjects, new targets, message or, of an attempt, the gate's decision.
    The first filters in a long history answer with what they find in its newest part; ask again for more.
    """
    offset = whole(parameters, "offset", 0)
    limit = whole(parameters, "limit", 100, least=1, most=MOST_ROWS)
    words = text(parameters, "filter").strip()
    with opened(store) as (reader, kept):
        found = _found(reader, kept, words, offset, limit)
        rows = history_rows(reader, kept, found.places)
    return HistoryPage(offset=offset, total=found.total, rows=rows, complete=found.complete)


def _found(reader: LedgerReader, kept: Kept, words: str, offset: int, limit: int) -> FoundPage:
    if words:
        return kept.search(reader, words, offset, limit, SECONDS)
    with kept.lock:
        timeline = kept.timeline(reader)
        return FoundPage(len(timeline), tuple(timeline.page(reader, offset, limit)), True)
