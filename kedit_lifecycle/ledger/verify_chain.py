"""`verify`: the audit chain, and what replaying it says of the refs and the tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kedit_lifecycle.ledger import columns
from kedit_lifecycle.ledger.canonical import GENESIS, event_hash
from kedit_lifecycle.ledger.inspection import Inspection, row_name, shown

STEP = 1000  # rows between two reports of progress


@dataclass
class Chain:
    """What walking the chain gave."""

    head: str = GENESIS
    rows_digests: dict[int, str] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=set)
    refs: dict[str, tuple[str, str, int]] = field(default_factory=dict)  # name -> kind, target, event
    replayed: bool = True
    revision: str = ""
    schema: str = ""
    blobs: dict[str, str] = field(default_factory=dict)  # blob -> the event that uses it


def walk_chain(inspection: Inspection) -> Chain:
    """Recompute every link, oldest first, and replay what the events say of refs."""
    chain = Chain()
    total = _count(inspection)
    expected = 1
    accepted = {GENESIS}
    for cells in inspection.table(columns.EVENT, "ORDER BY seq"):
        seq, previous, stored = cells[0], cells[1], cells[2]
        where = f"event {seq}"
        sound = inspection.well_typed(columns.EVENT, cells)
        if not isinstance(seq, int):
            continue  # the table is declared otherwise than it was made
        if seq != expected:
            inspection.damage(f"event {expected}", f"is missing; the next one is {seq}")
        recomputed = _hash(cells) if sound else ""
        if sound and recomputed != stored:
            inspection.damage(where, "its content is not what its hash was taken over")
        if previous not in accepted:
            inspection.damage(where, "does not continue the event before it")
        accepted = {stored, recomputed}
        expected = seq + 1
        chain.head = stored if isinstance(stored, str) else ""
        chain.hashes.add(chain.head)
        chain.rows_digests[seq] = cells[8]
        _replay(inspection, chain, cells)
        if expected % STEP == 0:
            inspection.progress("chain", expected, total)
    if not chain.rows_digests:
        inspection.damage("event", "the chain is empty")
    inspection.counts["events"] = len(chain.rows_digests)
    inspection.progress("chain", total, total)
    return chain


def _count(inspection: Inspection) -> int:
    return sum(row[0] for row in inspection.rows("event", "SELECT count(*) FROM event"))


def _hash(cells: Sequence[Any]) -> str:
    seq, previous, _, kind, time, author, command, payload, rows_digest = cells
    return event_hash(
        seq=seq,
        previous=previous,
        kind=kind,
        time=time,
        author=author,
        command=command,
        payload=payload,
        rows_digest=rows_digest,
    )


def _replay(inspection: Inspection, chain: Chain, cells: Sequence[Any]) -> None:
    seq, payload = cells[0], cells[7]
    where = f"event {seq}"
    try:
        content = json.loads(payload)
        chain.revision = content.get("revision", chain.revision)
        chain.schema = content.get("schema", chain.schema)
        for blob in content.get("blobs", ()):
            chain.blobs.setdefault(str(blob), where)
        for move in content["moves"]:
            held = chain.refs.get(move["name"])
            if chain.replayed and (None if held is None else held[1]) != move["from"]:
                inspection.damage(where, f"moves {shown(move['name'])} from a place where it was not")
            chain.refs[move["name"]] = (move["kind"], move["to"], seq)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        chain.replayed = False
        inspection.damage(where, "payload cannot be read")


def check_refs(inspection: Inspection, chain: Chain) -> None:
    """Every ref must be where replaying the chain puts it, and at a version that exists."""
    found = {}
    for cells in inspection.table(columns.REF, "ORDER BY name"):
        where = row_name(columns.REF, cells)
        if not inspection.well_typed(columns.REF, cells):
            found[cells[0]] = cells
            continue
        name, kind, target, event = cells
        found[name] = cells
        if chain.replayed:
            _compare_ref(inspection, chain, where, (name, kind, target, event))
        _check_target(inspection, where, kind, target)
    for name in chain.refs.keys() - found.keys() if chain.replayed else ():
        inspection.damage(f"ref {shown(name)}", "is missing")
    inspection.counts["refs"] = len(found)


def _compare_ref(inspection: Inspection, chain: Chain, where: str, cells: tuple[str, str, str, int]) -> None:
    replayed = chain.refs.get(cells[0])
    if replayed is None:
        inspection.damage(where, "no event made it")
        return
    for column, stored, expected in zip(("kind", "target", "event"), cells[1:], replayed, strict=True):
        if stored != expected:
            inspection.damage(where, f"{column} is {shown(stored)}, the chain says {shown(expected)}")


def _check_target(inspection: Inspection, where: str, kind: str, target: str) -> None:
    query = "SELECT 1 FROM version WHERE id = ?"
    if kind == "head":
        query += " UNION SELECT 1 FROM ref WHERE name = ? AND kind = 'branch'"
    values = [target] * query.count("?")
    if not any(inspection.rows("version", query, *values)):
        inspection.damage(where, f"points to {shown(target)}, which does not exist")


def check_tables(inspection: Inspection, chain: Chain) -> str | None:
    """The tables must be declared as the chain says; returns a newer release's revision, if it is one."""
    revisions = [
        row[0] for row in inspection.rows("alembic_version", "SELECT version_num FROM alembic_version")
    ]
    if revisions != [chain.revision]:
        listing = ", ".join(map(shown, revisions)) or "nothing"
        inspection.damage("alembic_version", f"says {listing}; the chain says {shown(chain.revision)}")
    elif chain.revision not in columns.KNOWN_REVISIONS:
        return chain.revision
    declared = columns.schema_digest(inspection.rows("sqlite_master", columns.SCHEMA_QUERY))
    if declared != chain.schema:
        inspection.damage("sqlite_master", "the tables or indexes are not declared as they were made")
    return None
