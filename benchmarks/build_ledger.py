"""Build a long, valid ledger fast, to measure reading on: `python benchmarks/build_ledger.py PATH 100000`.

Rows and chain are made by the code that commits, in one transaction. The blobs they name are not made.
With `--attempts-every N` the gate took an edit back before every Nth version; with `--checks` each version
has the checks that a history page and the health of a line are read from.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any, TypedDict

from sqlmodel import Session, col, insert, update

from kedit_lifecycle.ledger import rows
from kedit_lifecycle.ledger.chain import FIRST_BRANCH, Move, next_event, utc_now
from kedit_lifecycle.ledger.records import (
    AnswerDraft,
    CheckDraft,
    MetricDraft,
    RequestDraft,
    TensorState,
    UpdateDraft,
    VersionDraft,
)
from kedit_lifecycle.ledger.schema import open_engine
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.tables import TABLES, Event, Ref
from kedit_lifecycle.ledger.writer import read_tail

META = {"model_name": "none", "base_digest": "0" * 64, "dtype": "float32", "architecture": "llama"}


class Who(TypedDict):
    author: str
    command: str


FLUSH_EVERY = 2000  # versions between two inserts
SCORES = ("efficacy", "paraphrase", "neighborhood")
TENSOR = "model.layers.5.mlp.down_proj.weight"


WHO: Who = {"author": "benchmark", "command": "build_ledger"}


def _hex(label: str) -> str:
    return hashlib.sha256(label.encode()).hexdigest()


def _checks(number: int) -> list[CheckDraft]:
    level = number % 1000 / 1000
    return [
        CheckDraft("efficacy", "pass", "1 of 1 hold", 0.0, 0.0, 0.5, {"held": [True]}),
        CheckDraft("perplexity", "pass", f"{1 + level / 20:.3f} × the unedited", 1 + level / 20, 1.1, 1.5),
        CheckDraft("retention", "pass", "0 of 4 hold no more", 0.0, 0.34, 0.67, {"lost": []}),
        CheckDraft("collapse", "pass", "healthy", detail={"state": "healthy", "since": None, "reasons": []}),
    ]


def _attempt(parent: str, number: int) -> dict[str, Any]:
    subject = f"Attempt {number}"
    request = {"subject": subject, "prompt": "The capital of {} is", "target_new": "Oslo"}
    return {
        "parent": parent,
        "number": number,
        "head": parent,
        "editor": "rome",
        "config": {"layer": 5},
        "seed": number,
        "run": None,
        "message": "",
        "requests": [request],
        "checks": [
            {"check": "perplexity", "verdict": "fail", "message": "1.6 ×", "value": 1.6, "warn": 1.1,
             "fail": 1.5, "detail": {}}
        ],
        "decision": "reject",
        "reasons": ["perplexity: 1.6 ×"],
        "policy": {"name": "guarded", "digest": "0" * 64},
        "seconds": 1.0,
    }  # fmt: skip


def _draft(parent: str, number: int, *, checks: bool) -> VersionDraft:
    before, after = (TensorState(_hex(f"m{n}"), _hex(f"s{n}")) for n in (number - 1, number))
    subject = f"Subject {number}"
    payload = {"subject": subject, "prompt": "The capital of {} is", "target_new": "Rome"}
    request = RequestDraft(
        _hex(subject), subject, f"P{number % 40}", payload["prompt"], "Rome", "Paris", payload
    )
    return VersionDraft(
        parent=parent,
        operation="edit",
        editor="rome",
        config={"layer": 5, "learning_rate": 0.5, "steps": 20},
        seed=number,
        message="",
        requests=[request],
        updates=[
            UpdateDraft(TENSOR, "rank", _hex(f"l{number}"), _hex(f"r{number}"), None, before, after, 1, 0.5)
        ],
        tensors={TENSOR: after},
        run={"id": "benchmark", "index": number, "total": 0},
        metrics=[MetricDraft(name, "cf-1", "teacher-forced", 1.0, 1, 0) for name in SCORES],
        answers=[AnswerDraft(0, "The capital is", " Rome", 0.5)],
        checks=_checks(number) if checks else (),
        diagnostics={"gate": {"policy": "guarded", "decision": "commit", "reasons": []}} if checks else {},
    )


def build_ledger(path: Path, versions: int, *, attempts_every: int = 0, checks: bool = False) -> None:
    """Make a store at `path` whose branch `main` has so many versions above the root.

    Args:
        path: where there is no store yet.
        versions: how many.
        attempts_every: an edit was taken back before every so manieth version; 0: none ever was.
        checks: whether each version has checks and a decision of the gate.
    """
    with Store.create(path, META, **WHO) as store:
        root = store.reader.head().id
    engine = open_engine(path / "ledger.db")
    with Session(engine) as session:
        tip, event = _append_versions(session, root, versions, attempts_every, checks)
        session.execute(update(Ref).where(col(Ref.name) == FIRST_BRANCH).values(target=tip, event=event))
        session.commit()
    engine.dispose()


def _append_versions(
    session: Session, tip: str, versions: int, attempts_every: int, checks: bool
) -> tuple[str, int]:
    tail = read_tail(session)
    events: list[rows.Row] = []
    pending: dict[str, list[rows.Row]] = {}
    for number in range(1, versions + 1):
        if attempts_every and number % attempts_every == 0:
            taken_back = _attempt(tip, number - 1)
            event, tail = next_event(
                tail, "attempt", taken_back, [], rows.SealedRows(tail.seq + 1), **WHO, time=utc_now()
            )
            events.append(event)
        draft = _draft(tip, number, checks=checks)
        identity = rows.draft_id(draft)
        sealed = rows.SealedRows(tail.seq + 1)
        rows.add_version(sealed, draft, identity, number, number)
        rows.add_measurements(
            sealed, number, draft.metrics, draft.answers, first_metric=3 * number - 3, first_answer=number - 1
        )
        event, tail = next_event(
            tail,
            "commit",
            {"version": identity, "number": number, "undo_below": tail.undo},
            [Move(FIRST_BRANCH, "branch", tip, identity)],
            sealed,
            **WHO,
            time=utc_now(),
            undo=tail.seq + 1,
            redo=0,
        )
        tip = identity
        events.append(event)
        for table, values in sealed.rows.items():
            pending.setdefault(table, []).extend(values)
        if number % FLUSH_EVERY == 0 or number == versions:
            _flush(session, events, pending)
    return tip, tail.seq


def _flush(session: Session, events: list[rows.Row], pending: dict[str, list[rows.Row]]) -> None:
    session.execute(insert(Event), events)
    events.clear()
    for table, values in pending.items():
        if values:
            session.execute(insert(TABLES[table]), values)
            values.clear()


def main() -> None:
    """Build the ledger that the command line names."""
    parser = argparse.ArgumentParser(description="Build a long, valid ledger to measure reading on.")
    parser.add_argument("path", type=Path)
    parser.add_argument("versions", type=int, nargs="?", default=100_000)
    parser.add_argument("--attempts-every", type=int, default=0)
    parser.add_argument("--checks", action="store_true")
    arguments = parser.parse_args()
    build_ledger(
        arguments.path,
        arguments.versions,
        attempts_every=arguments.attempts_every,
        checks=arguments.checks,
    )


if __name__ == "__main__":
    main()
