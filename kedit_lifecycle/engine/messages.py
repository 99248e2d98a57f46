"""The engine's language: every request and answer that goes over its socket. No torch, no ledger.

Text from facts, models and users goes through as it is; whoever shows it makes it inert.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

JobState = Literal["queued", "running", "done", "refused", "failed", "cancelled"]
"""`refused`: the gate or a conflict said no and nothing changed; `failed`: an error, named in the job."""

FINAL_STATES: tuple[JobState, ...] = ("done", "refused", "failed", "cancelled")

EventKind = Literal["engine", "job", "progress", "loss", "check", "decision", "version", "output"]

Route = Literal["base", "weights", "memory"]
"""What made a version, or who answered: nothing yet, an editor of the weights, the memory."""


class Message(BaseModel):
    """Base of all messages: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# The engine and its jobs


class EngineInfo(Message):
    """`GET /engine`: who is there. `job` is the running job's id, `waiting` how many are queued."""

    release: str
    pid: int
    store: str
    model: str
    started: str  # ISO 8601, UTC
    readonly: bool
    model_loaded: bool
    resident_bytes: int
    job: int | None = None
    waiting: int = 0
    device: str = "cpu"
    threads: int = 0  # of torch; 0: not loaded yet
    event: int = 0  # the newest event's id: what a client that begins now resumes from
    stopping: bool = False


class JobOrder(Message):
    """`POST /jobs`: what to do. `arguments` are those of the kind, see `jobs.KINDS`."""

    kind: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    author: str = ""
    command: str = ""  # as the audit chain keeps it; empty: the engine writes the equivalent command line


class JobError(Message):
    """Why a job did not end well: a `KeditError` as it would be on the command line."""

    message: str
    hint: str = ""
    exit_code: int = 70


class Job(Message):
    """One job: `GET /jobs/{id}`. `result` is there once it is done, or refused by the gate.

    In lists and in answers to `POST`, `result` and long arguments are left out.
    """

    id: int
    kind: str
    arguments: Mapping[str, Any]
    author: str
    command: str
    state: JobState
    stage: str = ""
    done: int = 0
    total: int = 0
    created: str
    started: str | None = None
    ended: str | None = None
    result: Any = None
    error: JobError | None = None


class Event(Message):
    """One event of the stream `GET /events?after=ID`; ids rise by one, and a client resumes from the last."""

    id: int
    kind: EventKind
    time: str
    job: int | None = None
    data: Mapping[str, Any] = Field(default_factory=dict)


# What the ledger says


class Label(Message):
    """A branch or tag that stands at a version; `head`: HEAD is on it."""

    name: str
    kind: Literal["branch", "tag", "head"]
    head: bool = False


class Overview(Message):
    """`GET /overview`: one look at a store, as for a title line."""

    model: str
    architecture: str
    dtype: str
    branch: str | None  # None: HEAD is detached
    head: int
    versions: int
    attempts: int
    state: str  # healthy, degrading, collapsed, or unknown where nothing was measured
    state_since: int | None
    labels: tuple[tuple[int, Label], ...] = ()
    can_undo: str | None = None  # what undo would take back, None: nothing
    can_redo: str | None = None
    memory_entries: int = 0


class HistoryRow(Message):
    """A version, or an attempt that the gate took back, as one line of the history.

    `key` is its event in the audit chain, which orders rows. Scores are means over its requests, None where
    they were not measured; `perplexity` is the ratio to the unedited model, `state` the model's state with
    it, as judged when it was made (empty where it was not). `superseded`: HEAD's line took the place of all
    its facts. An attempt is `on_line` if its parent is.
    """

    key: int
    number: int | None  # None: an attempt
    id: str = ""
    parent: int | None
    operation: str
    route: Route
    method: str
    subject: str
    target: str
    requests: int
    efficacy: float | None = None
    paraphrase: float | None = None
    neighborhood: float | None = None
    perplexity: float | None = None
    state: str = ""
    verdict: str = ""  # of the gate: commit, warn, reject, ...
    superseded: bool = False
    on_line: bool = True  # an ancestor of HEAD, or HEAD
    labels: tuple[Label, ...] = ()
    time: str = ""
    message: str = ""


class HistoryPage(Message):
    """`GET /history?offset=&limit=&filter=`: rows newest first, and how many there are in all.

    Not `complete`: the filter has looked at the newest part of a long history only; ask again for more.
    """

    offset: int
    total: int
    rows: tuple[HistoryRow, ...]
    complete: bool = True


class CheckView(Message):
    """One check of a version or attempt."""

    check: str
    verdict: Literal["pass", "warn", "fail"]
    message: str
    value: float | None = None
    warn: float | None = None
    fail: float | None = None


class TensorView(Message):
    """One tensor that a version changed."""

    tensor: str
    layer: int | None
    operation: str
    rank: int
    norm: float
    master: str  # fingerprint after


class FactView(Message):
    """One request of a version with the model's answers before and after, where they were kept.

    The probabilities are those of `target_new`; `superseded_by` is on HEAD's line.
    """

    position: int
    subject: str
    prompt: str
    target_new: str
    target_true: str | None
    relation: str | None
    before: str | None = None
    before_probability: float | None = None
    after: str | None = None
    after_probability: float | None = None
    paraphrases: tuple[str, ...] = ()
    neighborhood: tuple[str, ...] = ()
    reason: str = ""
    source: str = ""
    supersedes: tuple[int, ...] = ()  # version numbers
    superseded_by: int | None = None


class MetricView(Message):
    """One number and how it was made, a mean over a version's requests; `unedited` is the base model's.

    `value` is None of a number that is none (NaN).
    """

    metric: str
    value: float | None
    unedited: float | None
    protocol: str
    scorer: str
    count: int
    evaluated: int  # the version it was measured at


class AuditView(Message):
    """One link of the audit chain."""

    seq: int
    kind: str
    time: str
    author: str
    command: str
    hash: str
    summary: str
    payload: Mapping[str, Any] = Field(default_factory=dict)


class VersionView(Message):
    """`GET /versions/{ref}` and `GET /attempts/{event}`: everything about one row.

    Of a large batch, `facts` and `tensors` are the first ones; `row.requests` counts the facts. `losses` is
    the mean over the requests at each step of the optimisation.
    """

    row: HistoryRow
    facts: tuple[FactView, ...]
    checks: tuple[CheckView, ...]
    reasons: tuple[str, ...]  # of the gate's decision
    metrics: tuple[MetricView, ...]
    tensors: tuple[TensorView, ...]
    config: Mapping[str, Any]
    seed: int
    author: str
    command: str
    losses: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    audit: tuple[AuditView, ...] = ()


class AuditPage(Message):
    """`GET /audit?before=&limit=&kind=`: events newest first."""

    total: int
    events: tuple[AuditView, ...]


class Comparison(Message):
    """`GET /compare?a=&b=`: what lies between two versions.

    Facts are those live at the one and not made at the other, newest first; of many, the newest.
    """

    a: HistoryRow
    b: HistoryRow
    ancestor: int
    facts_only_a: tuple[FactView, ...]
    facts_only_b: tuple[FactView, ...]
    tensors: tuple[str, ...]  # names of tensors whose fingerprints differ
    metrics: tuple[tuple[str, float | None, float | None], ...]


# Health


class SeriesPoint(Message):
    """What the checks read at one version of a line.

    `retention` and `locality` are shares that held (of earlier edits asked again, of the next tokens at
    neighborhood prompts): their limits are floors; of the others, higher is worse.
    """

    number: int
    perplexity: float | None = None  # ratio to the unedited model
    drift: float | None = None
    retention: float | None = None
    locality: float | None = None
    weight_change: float | None = None  # largest ‖ΔW‖/‖W‖ of any layer
    state: str = ""


class Limit(Message):
    """Where a series warns and fails."""

    series: str
    warn: float | None
    fail: float | None


class HealthView(Message):
    """`GET /health?ref=`: the series of a line, oldest first, at most `points` of them (evenly taken)."""

    points: tuple[SeriesPoint, ...]
    limits: tuple[Limit, ...]
    state: str
    since: int | None
    reasons: tuple[str, ...] = ()


class RetentionView(Message):
    """`GET /retention?ref=`: whether facts still held when measured again.

    `values[i][j]` is the share of version `rows[i]`'s facts that held at version `columns[j]` (exact match,
    and efficacy where there is a true target), None where they were not measured. Where a retention check
    named facts as lost, it is the share of the others.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    values: tuple[tuple[float | None, ...], ...]


# Memory


class MemoryEntryView(Message):
    """A fact that the memory of a version holds."""

    version: int
    position: int
    subject: str
    prompt: str
    target: str
    relation: str | None
    method: str = "serac"


class MemoryView(Message):
    """`GET /memory?ref=&filter=`: entries oldest first, and the scope classifier they are read with.

    `roc` are (threshold, false positive rate, true positive rate) on held-out pairs.
    """

    entries: tuple[MemoryEntryView, ...]
    total: int
    classifier: str
    threshold: float | None
    roc: tuple[tuple[float, float, float], ...] = ()


# Composing


class Suggestion(Message):
    """`GET /suggest?subject=&prompt=`: what the built-in facts know that helps to write a request.

    `prompt` holds `{}` for the subject; `neighborhood` are prompts about others with the same true answer.
    """

    subjects: tuple[str, ...] = ()  # that begin like the one typed
    relation: str | None = None
    prompt: str | None = None
    target_true: str | None = None
    targets: tuple[str, ...] = ()  # other answers of the same kind
    paraphrases: tuple[str, ...] = ()
    neighborhood: tuple[str, ...] = ()


class ConflictView(Message):
    """One earlier edit or known fact that a request meets; `GET /conflicts?...` gives a list of them."""

    kind: str  # duplicate, overwrite, contradiction, reverse, composite, near-duplicate, ...
    verdict: Literal["pass", "warn", "fail"]
    version: int | None
    subject: str
    target: str
    message: str


class TopToken(Message):
    """A next token and its probability."""

    text: str
    probability: float


class AnswerView(Message):
    """What one version says; a job of kind `ask` gives a list of them."""

    version: int
    label: str  # as it was asked for: HEAD, base, a branch, a number
    text: str
    top: tuple[TopToken, ...]
    route: Route
    by_version: int | None = None  # whose memory entry answered
    by_fact: str = ""
    score: float | None = None
    threshold: float | None = None
    why: str = ""


class Peek(Message):
    """The model's present answer to a prompt, and how probable a target is; a job of kind `peek`."""

    version: int
    answer: str
    answer_probability: float | None
    target_probability: float | None
    route: Route


class Advice(Message):
    """What `auto` would try for a fact, in order, and why the first is first; a job of kind `advise`."""

    methods: tuple[str, ...]
    reasons: tuple[str, ...]


# What jobs come to


class EditResult(Message):
    """What a job of kind `edit` or `consolidate` comes to; `version` None: a dry run, or taken back.

    `attempt` is the event that keeps what the gate took back; `view` the version or the attempt as the
    ledger has it.
    """

    version: int | None
    attempt: int | None
    action: str
    reasons: tuple[str, ...]
    hint: str
    checks: tuple[CheckView, ...]
    facts: tuple[FactView, ...]
    metrics: Mapping[str, float | None]
    unedited: Mapping[str, float | None]
    losses: tuple[float, ...]
    warnings: tuple[str, ...]
    seconds: float
    view: VersionView | None = None
    notes: tuple[str, ...] = ()


class ApplyResult(Message):
    """What a job of kind `apply` comes to."""

    run: str
    committed: tuple[int, ...]
    taken_back: int
    already_done: int
    metrics: Mapping[str, float | None]
    unedited: Mapping[str, float | None]
    warnings: tuple[str, ...]
    seconds: float
    notes: tuple[str, ...] = ()


class Moved(Message):
    """Where HEAD is after undo, redo, rollback or switch; or where a branch or tag was put."""

    number: int
    id: str
    depth: int
    branch: str | None = None
    name: str = ""  # of the branch or tag made
    notes: tuple[str, ...] = ()
    tensors: int = 0  # rebuilt and compared before HEAD went there


class RouteCandidate(Message):
    """An entry of the memory that a query came near to; `score` is P(in scope)."""

    entry: MemoryEntryView
    score: float
    similarity: float


class RouteView(Message):
    """What a job of kind `route` comes to: who would answer a prompt, and the nearest entries."""

    version: int
    route: Route
    score: float | None
    threshold: float | None
    candidates: tuple[RouteCandidate, ...] = ()
    note: str = ""


class Outcome(Message):
    """What other jobs come to: a table of numbers or a summary, and the checks where there are any."""

    summary: Mapping[str, Any] = Field(default_factory=dict)
    checks: tuple[CheckView, ...] = ()
    notes: tuple[str, ...] = ()


class CommandResult(Message):
    """What a command line that an engine carried out ends with; what it printed are `output` events."""

    code: int
