"""Build a long, valid ledger fast, to measure reading on: `python benchmarks/build_ledger.py PATH 100000`.

Rows and chain are made by the code that commits, in one transaction. The blobs they name are not made.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from sqlmodel import Session, col, insert, update

from kedit_lifecycle.ledger import rows
from kedit_lifecycle.ledger.chain import FIRST_BRANCH, Move, next_event, utc_now
from kedit_lifecycle.ledger.records import (
    AnswerDraft,
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
FLUSH_EVERY = 2000  # versions between two inserts
TENSOR = "model.layers.5.mlp.down_proj.weight"


def _hex(label: str) -> str:
    return hashlib.sha256(label.encode()).hexdigest()


def _draft(parent: str, number: int) -> VersionDraft:
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
        metrics=[MetricDraft(name, "cf-1", "teacher-forced", 1.0, 1, 0) for name in ("ES", "PS", "NS")],
        answers=[AnswerDraft(0, "The capital is", " Rome", 0.5)],
    )


def build_ledger(path: Path, versions: int) -> None:
    """Make a store at `path` whose branch `main` has so many versions above the root."""
    with Store.create(path, META, author="benchmark", command="build_ledger") as store:
        root = store.reader.head().id
    engine = open_engine(path / "ledger.db")
    with Session(engine) as session:
        tip, event = _append_versions(session, root, versions)
        session.execute(update(Ref).where(col(Ref.name) == FIRST_BRANCH).values(target=tip, event=event))
        session.commit()
    engine.dispose()


def _append_versions(session: Session, tip: str, versions: int) -> tuple[str, int]:
    tail = read_tail(session)
    events: list[rows.Row] = []
    pending: dict[str, list[rows.Row]] = {}
    for number in range(1, versions + 1):
        draft = _draft(tip, number)
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
            author="benchmark",
            command="build_ledger",
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
    arguments = parser.parse_args()
    build_ledger(arguments.path, arguments.versions)


if __name__ == "__main__":
    main()
