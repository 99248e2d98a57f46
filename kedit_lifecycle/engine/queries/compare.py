"""`GET /compare`: what lies between two versions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kedit_lifecycle.engine.messages import Comparison, FactView
from kedit_lifecycle.engine.queries.facts import fact_of
from kedit_lifecycle.engine.queries.kept import opened
from kedit_lifecycle.engine.queries.measured import beside, whole_model
from kedit_lifecycle.engine.queries.parameters import ref, whole
from kedit_lifecycle.engine.queries.rows import gone_on, version_line
from kedit_lifecycle.ledger.ancestry import Line, common_ancestor
from kedit_lifecycle.ledger.loading import json_object
from kedit_lifecycle.ledger.reader import ANCESTORS, LedgerReader
from kedit_lifecycle.ledger.records import VersionRow

FACTS, MOST_FACTS = 200, 2000


def compare(store: Path, parameters: Mapping[str, str]) -> Comparison:
    """Versions `a` (default HEAD~1) and `b` (default HEAD), at most `facts` (default 200) of each side.

    Raises:
        NoSuchRefError: one of them is none.
    """
    most = whole(parameters, "facts", FACTS, most=MOST_FACTS)
    with opened(store) as (reader, kept), kept.lock:
        a = reader.resolve(ref(parameters, "a", "HEAD~1"))
        b = reader.resolve(ref(parameters, "b", "HEAD"))
        ancestor = common_ancestor(reader, kept.line(a), kept.line(b))
        return Comparison(
            a=version_line(reader, kept, a.number),
            b=version_line(reader, kept, b.number),
            ancestor=ancestor.number,
            facts_only_a=_facts(reader, kept.line(a), ancestor, most),
            facts_only_b=_facts(reader, kept.line(b), ancestor, most),
            tensors=_changed(a, b),
            metrics=beside(whole_model(reader, a.number), whole_model(reader, b.number)),
        )


def _facts(reader: LedgerReader, line: Line, ancestor: VersionRow, most: int) -> tuple[FactView, ...]:
    """The facts of a line's versions after an ancestor that are live at its tip, newest first."""
    query = ANCESTORS + (
        "SELECT v.number, r.position, r.payload FROM line JOIN version v ON v.id = line.id"
        " JOIN edit_request r ON r.version = v.number WHERE v.depth > ?"
        " ORDER BY v.depth DESC, r.position DESC LIMIT ?"
    )
    lowest = max(ancestor.depth, line.tip.depth - most)  # each of that many versions made a fact, or none
    rows = reader.select(query, line.tip.id, lowest + 1, ancestor.depth, most)
    gone = gone_on(reader, line, list(dict.fromkeys(row[0] for row in rows)))
    return tuple(
        fact_of(position, json_object(payload, f"a request of version {number}"))
        for number, position, payload in rows
        if position not in gone.get(number, ())
    )


def _changed(a: VersionRow, b: VersionRow) -> tuple[str, ...]:
    names = sorted({*a.tensors, *b.tensors})
    return tuple(name for name in names if a.tensors.get(name) != b.tensors.get(name))
