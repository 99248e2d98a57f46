"""Stores for the engine's queries, made without a model, and a query asked of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from small_store import META, WHO, edit, request

from kedit_lifecycle.engine.queries import ROUTES
from kedit_lifecycle.ledger.records import CheckDraft, MetricDraft, RequestDraft, VersionRow
from kedit_lifecycle.ledger.store import Store


def ask(store: Store | Path, route: str, **parameters: object) -> Any:
    """What a query answers, its parameters given as the engine gives them."""
    path = store.path if isinstance(store, Store) else store
    pattern = next(one for one in ROUTES if one.partition("/{")[0] == route)
    return ROUTES[pattern](path, {name: str(value) for name, value in parameters.items()})


def new_store(path: Path) -> Store:
    """An open store that holds the unedited model alone."""
    return Store.create(path, META, **WHO)


def commit(store: Store, label: str, target: str = "Rome", **changes: Any) -> VersionRow:
    """An edit of the subject `label` on top of HEAD."""
    fields = {"requests": [request(label, target)]} | changes
    return store.commit(edit(store.blobs, store.reader.head().id, label, **fields), **WHO)


def remember(store: Store, *requests: RequestDraft, **changes: Any) -> VersionRow:
    """Facts put into the memory at HEAD."""
    fields: dict[str, Any] = {
        "requests": list(requests),
        "operation": "memory",
        "editor": "serac",
        "updates": [],
        "tensors": store.reader.head().tensors,
        "memory": "f" * 64,
        "config": {"scope": "default"},
    }
    label = " ".join(one.subject for one in requests)
    return store.commit(edit(store.blobs, store.reader.head().id, label, **fields | changes), **WHO)


def attempt(store: Store, label: str, **changes: Any) -> int:
    """An edit on HEAD that the gate took back; returns its event."""
    head = store.reader.head()
    payload: dict[str, Any] = {
        "parent": head.id,
        "number": head.number,
        "head": head.id,
        "editor": "rome",
        "config": {"layer": 5},
        "seed": 3,
        "run": None,
        "message": "",
        "requests": [dict(request(label, "Oslo").payload)],
        "checks": [
            {
                "check": "perplexity",
                "verdict": "fail",
                "message": "1.6 ×",
                "value": 1.6,
                "warn": 1.1,
                "fail": 1.5,
                "detail": {},
            },
            {
                "check": "efficacy",
                "verdict": "pass",
                "message": "holds",
                "value": 0.0,
                "warn": 0.0,
                "fail": 0.5,
                "detail": {"efficacy": 1.0},
            },
            {"check": "collapse", "verdict": "fail", "message": "collapsed", "detail": {}},
        ],
        "decision": "reject",
        "reasons": ["perplexity: 1.6 ×"],
    }
    return store.record("attempt", payload | changes, **WHO).seq


def score(metric: str, value: float, request: int | None = 0, evaluated: int | None = None) -> MetricDraft:
    """A number in the one protocol that these stores have."""
    return MetricDraft(metric, "cf-1", "teacher-forced", value, 1, request, evaluated)


def health_checks(
    perplexity: float, state: str = "healthy", *, lost: tuple[int, ...] = (), since: int | None = None
) -> list[CheckDraft]:
    """What the checks find of a version, as the gate writes it."""
    verdict = {"healthy": "pass", "degrading": "warn", "collapsed": "fail"}[state]
    found = [{"version": number, "position": 0} for number in lost]
    detail = {"state": state, "since": since, "reasons": [f"it is {state}"]}
    return [
        CheckDraft("perplexity", "pass", "measured", perplexity, 1.1, 1.5),
        CheckDraft("retention", "pass", "asked", 0.25 * len(lost), 0.34, 0.67, {"lost": found}),
        CheckDraft("collapse", verdict, state, detail=detail),
    ]
