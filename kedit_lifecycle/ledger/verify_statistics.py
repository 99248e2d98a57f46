"""`verify`: the statistics files of a store, each sealed by the digest of its own content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import rfc8785

from kedit_lifecycle.ledger.inspection import Inspection


def check_statistics(inspection: Inspection) -> dict[str, str]:
    """Read every `stats/*/*.json`; returns blob id -> the file that names it."""
    named: dict[str, str] = {}
    files = sorted((inspection.path / "stats").glob("*/*.json"))
    for path in files:
        where = str(path.relative_to(inspection.path))
        tensors = _sealed_tensors(path)
        if tensors is None:
            inspection.damage(where, "is not what was written")
        else:
            named.update(dict.fromkeys(tensors.values(), where))
    inspection.counts["statistics_files"] = len(files)
    return named


def _sealed_tensors(path: Path) -> dict[str, str] | None:
    """The file's tensors by name; None if a byte of it differs from what its digest was taken of."""
    try:
        written = path.read_bytes()
        content = json.loads(written)
        if rfc8785.dumps(content) != written:
            return None
        digest = content.pop("digest")
        if hashlib.sha256(rfc8785.dumps(content)).hexdigest() != digest:
            return None
        tensors: dict[str, str] = content["tensors"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return tensors
