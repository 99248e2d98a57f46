"""`verify`: the blobs that the ledger names, and the files in the blob folder."""

from __future__ import annotations

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.ledger import columns
from kedit_lifecycle.ledger.inspection import Inspection, row_name, shown
from kedit_lifecycle.ledger.verify_chain import STEP, Chain
from kedit_lifecycle.ledger.verify_statistics import check_statistics

_NAMING = ((columns.TENSOR_UPDATE, ("left", "right", "keys")), (columns.CHECKPOINT, ("blob",)))


def named_blobs(inspection: Inspection, chain: Chain) -> dict[str, str]:
    """Blob id -> the row or event that names it first."""
    named = dict(chain.blobs)
    for table, names in _NAMING:
        indexes = [table.names.index(name) for name in names]
        for cells in inspection.table(table):
            for index in indexes:
                if isinstance(cells[index], str):
                    named.setdefault(cells[index], row_name(table, cells))
    return named


def check_blobs(inspection: Inspection, chain: Chain, *, deep: bool) -> None:
    """Every named blob must be there; with `deep`, every blob file is read in full."""
    store = BlobStore(inspection.path / "blobs")
    named = named_blobs(inspection, chain)
    inspection.counts["blobs_named"] = len(named)
    for blob, row in sorted(named.items()):
        try:
            if not store.has(blob):
                inspection.damage(f"blob {blob}", f"is missing; {row} names it")
        except UsageError:
            inspection.damage(row, f"names the blob {shown(blob)}, which is no blob's id")
    if deep:
        _read_files(inspection, store, {**check_statistics(inspection), **named})


def _read_files(inspection: Inspection, store: BlobStore, named: dict[str, str]) -> None:
    files = list(store.ids())
    for done, blob in enumerate(files, start=1):
        problem = store.check(blob)
        if problem:
            inspection.damage(f"blob {blob}", problem)
        elif blob not in named:
            inspection.note(f"blob {blob}", "nothing in the store names it")
        if done % (STEP // 20) == 0:
            inspection.progress("blobs", done, len(files))
    for stranger in store.strangers():
        inspection.note(str(stranger.relative_to(inspection.path)), "is no blob's file")
    inspection.counts["blob_files"] = len(files)
    inspection.progress("blobs", len(files), len(files))
