"""Conflicts found before an edit, against the edits on record."""

from kedit_lifecycle.checks.conflict.entries import KnownFact
from kedit_lifecycle.checks.conflict.index import ConflictIndex
from kedit_lifecycle.checks.conflict.meaning import Embedder
from kedit_lifecycle.checks.conflict.records import (
    SEVERITIES,
    Conflict,
    ConflictKind,
    RecordedEdit,
    Severity,
    Statement,
)

__all__ = [
    "SEVERITIES",
    "Conflict",
    "ConflictIndex",
    "ConflictKind",
    "Embedder",
    "KnownFact",
    "RecordedEdit",
    "Severity",
    "Statement",
]
