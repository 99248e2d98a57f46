"""The model's state at a version, as the checks found it when the version was made."""

from __future__ import annotations

from dataclasses import dataclass

from kedit_lifecycle.engine.queries.rows import STATES
from kedit_lifecycle.ledger.loading import json_object
from kedit_lifecycle.ledger.reader import ANCESTORS, LedgerReader
from kedit_lifecycle.ledger.records import VersionRow

UNKNOWN = "unknown"
NEAR = 50
"""Versions without checks that are looked past."""


@dataclass(frozen=True, slots=True)
class StateAt:
    """healthy, degrading, collapsed, or unknown; since which version, and why."""

    state: str
    since: int | None = None
    reasons: tuple[str, ...] = ()


def state_at(reader: LedgerReader, version: VersionRow) -> StateAt:
    """The state at a version: of the check `collapse` there, or at the nearest of the last 50 before.

    The unedited model is healthy; where nothing was checked, the state is unknown.
    """
    query = ANCESTORS + (
        "SELECT v.number, c.verdict, c.detail FROM line JOIN version v ON v.id = line.id"
        " JOIN check_result c ON c.version = v.number AND c.check_id = 'collapse'"
        " ORDER BY v.depth DESC LIMIT 1"
    )
    found = reader.select(query, version.id, max(0, version.depth - NEAR))
    if not found:
        return StateAt("healthy" if version.number == 0 else UNKNOWN)
    number, verdict, detail = found[0]
    said = json_object(detail, f"the check collapse of version {number}")
    since, reasons = said.get("since"), said.get("reasons")
    return StateAt(
        STATES.get(verdict, UNKNOWN),
        since if isinstance(since, int) else None,
        tuple(map(str, reasons)) if isinstance(reasons, list) else (),
    )
