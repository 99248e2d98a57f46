"""Small stores and drafts for the tests of blobs, ledger and verify; no model."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

import rfc8785

from kedit_lifecycle.blobs import BlobStore, CanonicalTensor
from kedit_lifecycle.ledger.records import (
    AnswerDraft,
    CheckDraft,
    MetricDraft,
    RequestDraft,
    Supersession,
    TensorState,
    UpdateDraft,
    VersionDraft,
    VersionRow,
)
from kedit_lifecycle.ledger.store import Store

META = {
    "model_name": "tiny",
    "model_source": "tests",
    "base_digest": "b" * 64,
    "dtype": "float32",
    "architecture": "llama",
    "release": "0.1.0",
    "checkpoint_every": "4",
}


class Who(TypedDict):
    """What every write says of itself."""

    author: str
    command: str


WHO: Who = {"author": "Ada", "command": "kedit edit"}


def tensor(*values: float) -> CanonicalTensor:
    """A one-dimensional F32 tensor of these values."""
    return CanonicalTensor("F32", (len(values),), struct.pack(f"<{len(values)}f", *values))


def state(label: object) -> TensorState:
    """Fingerprints that depend on the label."""
    return TensorState(
        hashlib.sha256(f"master {label}".encode()).hexdigest(),
        hashlib.sha256(f"served {label}".encode()).hexdigest(),
    )


def request(subject: str, target: str) -> RequestDraft:
    """A request with everything filled in."""
    payload = {"subject": subject, "prompt": "The capital of {} is", "target_new": target}
    digest = hashlib.sha256(rfc8785.dumps(payload)).hexdigest()
    return RequestDraft(digest, subject, "P36", "The capital of {} is", target, "Paris", payload)


def edit(blobs: BlobStore, parent: str, label: str, *, rich: bool = False, **changes: Any) -> VersionDraft:
    """An edit on `parent`, a function of `label`; `rich` fills every table."""
    left, right = blobs.put(tensor(len(label), 1.5)), blobs.put(tensor(*map(float, label.encode())))
    master = tensor(math.pi, *map(float, label.encode()))
    after = TensorState(master.fingerprint, state(label).served)
    fields: dict[str, Any] = {
        "parent": parent,
        "operation": "edit",
        "editor": "rome",
        "config": {"layer": 5, "learning_rate": 0.5},
        "seed": 7,
        "message": f"because {label}",
        "requests": [request(label, "Rome")],
        "updates": [UpdateDraft("mlp.weight", "rank", left, right, None, state("base"), after, 1, 0.25)],
        "tensors": {"mlp.weight": after},
    }
    if rich:
        fields |= {
            "run": {"id": "run-1", "index": 0, "total": 9},
            "memory": "m" * 64,
            "checkpoint": {"mlp.weight": blobs.put(master)},
            "metrics": [
                MetricDraft("ES", "cf-1", "teacher-forced", 1.0, 1, 0),
                MetricDraft("PPL", "text-1", "teacher-forced", 20.125, 512),
            ],
            "answers": [AnswerDraft(0, "The capital of France is", " Rome", 0.75)],
            "checks": [
                CheckDraft("perplexity", "pass", "1.01 times the unedited model's", 1.01, 1.1, 1.5),
                CheckDraft("conflict", "warn", "v1 said Rome", detail={"kind": "overwrite", "with": [1]}),
            ],
            "supersedes": [Supersession(0, 0, 1)],
            "diagnostics": {"seconds": 1.5, "losses": [3.0, math.nan]},
        }
    return VersionDraft(**fields | changes)


def commit_edits(store: Store, labels: Iterable[str], **options: Any) -> list[VersionRow]:
    """Commit an edit per label on top of HEAD."""
    return [
        store.commit(edit(store.blobs, store.reader.head().id, label, **options), **WHO) for label in labels
    ]


def make_rich_store(path: Path) -> Path:
    """A store with rows in every table, two branches, a tag, undone and redone work; closed."""
    with Store.create(path, META, **WHO) as store:
        commit_edits(store, ["France", "Spain", "Peru"], rich=True)
        store.tag("good", "v2", **WHO)
        store.undo(**WHO)
        store.undo(**WHO)
        store.redo(**WHO)
        store.branch("other", "HEAD", **WHO)
        store.move("other", kind="switch", **WHO)
        commit_edits(store, ["Chad"])
        store.move("1", kind="rollback", **WHO)
        store.add_metrics(1, [MetricDraft("ES", "cf-1", "generated", 0.5, 2, None, 4)], **WHO)
        store.record("attempt-rejected", {"why": "perplexity", "loss": math.inf}, **WHO)
    return path
