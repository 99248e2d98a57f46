"""`verify`: is everything in a store what was written? What that proves, and what it cannot prove."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kedit_lifecycle.errors import NoStoreError, StoreError
from kedit_lifecycle.ledger import columns
from kedit_lifecycle.ledger.canonical import GENESIS
from kedit_lifecycle.ledger.compatibility import newer_release
from kedit_lifecycle.ledger.connect import LEDGER_FILE, connect
from kedit_lifecycle.ledger.inspection import Inspection, shown
from kedit_lifecycle.ledger.records import Finding
from kedit_lifecycle.ledger.verify_blobs import check_blobs
from kedit_lifecycle.ledger.verify_chain import Chain, check_refs, check_tables, walk_chain
from kedit_lifecycle.ledger.verify_rows import check_all_rows, check_row, check_versions
from kedit_lifecycle.progress import Progress, silent

Level = Literal["quick", "normal", "deep"]
QUICK_VERSIONS = 32
"""How many of the newest versions `quick` looks at."""

_PROVEN = {
    "quick": (
        "every event is what its hash was taken over, and continues the one before it",
        "every ref is where the chain puts it",
        f"the newest {QUICK_VERSIONS} versions have the ids of their content",
    ),
    "normal": (
        "every row of every table is what its event wrote",
        "every version has the id of its content, and its parent comes before it",
        "every blob that the ledger names is there",
    ),
    "deep": ("every blob is, byte for byte, the tensor that it is named for",),
}
_NEVER_PROVEN = "that edits have the effects that their metrics say: measure them again with kedit eval"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` found. `head_hash` is the chain's end: note it elsewhere, and give it as anchor later."""

    findings: list[Finding]
    counts: dict[str, int]
    proven: list[str]
    not_proven: list[str]
    head_hash: str

    @property
    def damaged(self) -> bool:
        """Whether anything found is damage."""
        return any(finding.severity == "damage" for finding in self.findings)


def verify(
    path: Path | str, level: Level = "normal", anchor: str | None = None, progress: Progress | None = None
) -> VerifyReport:
    """Check the store at `path`; reads only.

    Args:
        path: the store's folder.
        level: `quick` walks the chain and looks at refs and the newest versions; `normal` looks at every
            row and every version; `deep` also reads every blob, and every page of ledger.db.
        anchor: the hash of an event noted elsewhere. Without one, no check inside the store can tell a
            chain that was cut short, or written anew as a whole.
        progress: called with the stage, the steps done, the steps in all.

    Raises:
        NoStoreError: there is no store at `path`.
        StoreVersionError: a newer release made it.
    """
    path = Path(path)
    try:
        connection = connect(path)
    except NoStoreError:
        raise
    except StoreError as error:
        finding = Finding("damage", LEDGER_FILE, str(error))
        return VerifyReport([finding], {}, [], ["anything: the ledger cannot be opened"], "")
    with closing(connection):
        inspection = Inspection(path, connection.sqlite, progress or silent)
        chain = _inspect(inspection, level, anchor)
    return _report(inspection, chain, level, anchor)


def _inspect(inspection: Inspection, level: Level, anchor: str | None) -> Chain:
    try:
        inspection.sqlite.execute("BEGIN")  # one snapshot, whatever a writer does meanwhile
    except (sqlite3.Error, UnicodeError) as error:
        inspection.damage(LEDGER_FILE, f"cannot be read: {error}")
    chain = walk_chain(inspection)
    newer = check_tables(inspection, chain)
    if newer is not None:
        raise newer_release(inspection.path, f"revision {newer} of the ledger")
    _check_pages(inspection, "integrity_check" if level == "deep" else "quick_check")
    check_refs(inspection, chain)
    if level == "quick":
        for cells in inspection.table(columns.STORE_META):
            check_row(inspection, columns.STORE_META, cells)
        check_versions(inspection, last=QUICK_VERSIONS)
    else:
        check_all_rows(inspection, chain)
        check_versions(inspection)
        check_blobs(inspection, chain, deep=level == "deep")
    if anchor is not None and anchor.lower() not in chain.hashes - {GENESIS}:
        inspection.damage(
            "event", f"no event has the anchor's hash {shown(anchor)}: history was cut short or rewritten"
        )
    return chain


def _check_pages(inspection: Inspection, pragma: str) -> None:
    inspection.progress("pages", 0, 1)
    for (answer,) in inspection.rows(LEDGER_FILE, f"PRAGMA {pragma}"):
        if answer != "ok":
            inspection.damage(LEDGER_FILE, f"{pragma}: {shown(answer)}")
    for table, row, *_ in inspection.rows(LEDGER_FILE, "PRAGMA foreign_key_check"):
        inspection.damage(f"{table} (row {row})", "names a row that does not exist")
    inspection.progress("pages", 1, 1)


def _report(inspection: Inspection, chain: Chain, level: Level, anchor: str | None) -> VerifyReport:
    levels: tuple[Level, ...] = ("quick", "normal", "deep")
    reached = levels.index(level)
    proven = [claim for name in levels[: reached + 1] for claim in _PROVEN[name]]
    not_proven = [claim for name in levels[reached + 1 :] for claim in _PROVEN[name]]
    if inspection.damaged:
        not_proven, proven = [*proven, *not_proven], []
    if not inspection.damaged and anchor is not None:
        proven.append("the chain still holds the anchor: nothing up to that event was cut or rewritten")
        not_proven.append("that nothing after the anchor was cut off or rewritten")
    else:
        not_proven.append("that the chain was not cut short or rewritten as a whole: give --anchor HASH")
    not_proven.append(_NEVER_PROVEN)
    return VerifyReport(inspection.findings, inspection.counts, proven, not_proven, chain.head)
