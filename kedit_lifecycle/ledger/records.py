"""What goes into the ledger and what comes out of it, as plain frozen dataclasses (no ORM, no torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = Any
UpdateOperation = Literal["rank", "add", "set"]


@dataclass(frozen=True, slots=True)
class TensorState:
    """Fingerprints of one edited tensor: the fp32 master, and the copy in the model's dtype."""

    master: str
    served: str


@dataclass(frozen=True, slots=True)
class UpdateDraft:
    """One tensor update in order; the blobs it names are stored before.

    `rank`: left (rank, rows) and right (rank, columns) are factors; `add`: left is the dense difference;
    `set`: left is the new tensor. `keys` (n, d_in) are those the update was written at, if the method
    has them.
    """

    tensor: str
    operation: UpdateOperation
    left: str
    right: str | None
    keys: str | None
    before: TensorState
    after: TensorState
    rank: int
    norm: float


@dataclass(frozen=True, slots=True)
class MetricDraft:
    """One number and how it was made.

    `request` is the position of the request within its version, None for a number about the whole model.
    `evaluated` is the version number it was measured at.
    """

    metric: str
    protocol: str
    scorer: str
    value: float
    count: int
    request: int | None = None
    evaluated: int | None = None  # None: the version being committed


@dataclass(frozen=True, slots=True)
class AnswerDraft:
    """What the model said to `prompt` at a version: greedy completion and P(target_new)."""

    request: int
    prompt: str
    completion: str
    target_probability: float
    evaluated: int | None = None  # None: the version being committed


@dataclass(frozen=True, slots=True)
class CheckDraft:
    """What a check found about a version: its verdict, and the value beside its limits (None: has none)."""

    check: str
    verdict: str
    message: str
    value: float | None = None
    warn: float | None = None
    fail: float | None = None
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Supersession:
    """The request at `position` takes the place of an earlier edit: that of a version, at its position."""

    position: int
    earlier_version: int
    earlier_position: int


@dataclass(frozen=True, slots=True)
class RequestDraft:
    """A request as the ledger keeps it; `payload` is the whole EditRequest as JSON values."""

    digest: str
    subject: str
    relation: str | None
    prompt: str
    target_new: str
    target_true: str | None
    payload: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """A version about to be committed on top of `parent`. Identity fields make the id; see `version_id`."""

    parent: str
    operation: str
    editor: str
    config: Mapping[str, Json]
    seed: int
    message: str
    requests: Sequence[RequestDraft]
    updates: Sequence[UpdateDraft]
    tensors: Mapping[str, TensorState]  # every tensor that differs from the base, after this version
    memory: str = ""
    run: Mapping[str, Json] | None = None  # {"id": run id, "index": position in the run, "total": n}
    checkpoint: Mapping[str, str] = field(default_factory=dict)  # tensor -> blob of the fp32 master
    metrics: Sequence[MetricDraft] = ()
    answers: Sequence[AnswerDraft] = ()
    checks: Sequence[CheckDraft] = ()
    supersedes: Sequence[Supersession] = ()
    diagnostics: Mapping[str, Json] = field(default_factory=dict)  # seconds, losses: not in the id


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A committed version as read back."""

    number: int
    id: str
    parent: str | None
    depth: int
    operation: str
    editor: str
    message: str
    seed: int
    config: Mapping[str, Json]
    tensors: Mapping[str, TensorState]
    memory: str
    run: Mapping[str, Json] | None
    diagnostics: Mapping[str, Json]
    event: int
    time: str
    author: str

    @property
    def short(self) -> str:
        """The first ten hex digits of the id."""
        return self.id[:10]


@dataclass(frozen=True, slots=True)
class EventRow:
    """One link of the audit chain."""

    seq: int
    previous: str
    hash: str
    kind: str
    time: str
    author: str
    command: str
    payload: Mapping[str, Json]
    rows_digest: str


@dataclass(frozen=True, slots=True)
class RefRow:
    """HEAD, a branch or a tag. `target` is a version id; HEAD's is a branch name unless detached."""

    name: str
    kind: Literal["head", "branch", "tag"]
    target: str
    event: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing `verify` found. `where` names the row or file exactly."""

    severity: Literal["damage", "note"]
    where: str
    problem: str
