"""What the engine answers from the ledger alone, while a job runs or not: no torch, no model, no lock.

Each query takes the store's folder and the request's parameters: those in the path by their names in the
pattern, and those of the query string. It opens its own reader, so that any thread may call it; what is
kept between calls follows from rows that never change. Wrong parameters give errors of `KeditError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kedit_lifecycle.engine.messages import Message
from kedit_lifecycle.engine.queries.audit import audit
from kedit_lifecycle.engine.queries.compare import compare
from kedit_lifecycle.engine.queries.conflicts import conflicts
from kedit_lifecycle.engine.queries.health import health
from kedit_lifecycle.engine.queries.history import history
from kedit_lifecycle.engine.queries.kept import warm
from kedit_lifecycle.engine.queries.memory import memory
from kedit_lifecycle.engine.queries.overview import overview
from kedit_lifecycle.engine.queries.retention import retention
from kedit_lifecycle.engine.queries.suggest import suggest
from kedit_lifecycle.engine.queries.view import attempt, version

Query = Callable[[Path, Mapping[str, str]], Message | Sequence[Message]]
"""(store folder, parameters) to the answer.

Raises:
    UsageError: a parameter is wrong.
    NoSuchRefError: there is no such version or attempt.
    NoStoreError, StoreError: there is no store, or it is damaged.
"""

ROUTES: Mapping[str, Query] = {
    "/overview": overview,
    "/history": history,  # offset=0 limit=100 filter=
    "/versions/{ref:path}": version,  # facts=200: at most so many of its facts; a branch's name may hold "/"
    "/attempts/{event}": attempt,  # facts=200
    "/compare": compare,  # a= b= facts=200
    "/audit": audit,  # before= limit=100 kind=
    "/health": health,  # ref=HEAD points=500
    "/retention": retention,  # ref=HEAD points=60: at most so many rows and columns
    "/memory": memory,  # ref=HEAD filter= offset=0 limit=200
    "/suggest": suggest,  # subject= prompt= relation= limit=10
    "/conflicts": conflicts,  # subject= prompt= target= target_true= relation= ref=HEAD
}
"""Path patterns, as starlette writes them, and their queries; all are GET."""

__all__ = ["ROUTES", "Query", "warm"]
