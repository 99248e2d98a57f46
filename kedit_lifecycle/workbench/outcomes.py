"""What the use-cases give back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kedit_lifecycle.checks.gate import Decision
from kedit_lifecycle.checks.result import CheckResult
from kedit_lifecycle.evaluation.request_evaluation import RequestEvaluation
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.ledger.records import AnswerDraft, VersionRow
from kedit_lifecycle.memory.routing import Route

MetricTable = Mapping[str, MetricValue]


@dataclass(frozen=True)
class EditOutcome:
    """One step of editing: one version, or none (on a dry run, or where the gate took it back).

    `before` and `after` are the model's answers at the edit prompts, `metrics` means over the step's
    requests and numbers about the whole model, `unedited` the same numbers of the base model. `attempt`
    is the event that keeps a step that was taken back, `rolled_back_to` where HEAD went with it.
    """

    version: VersionRow | None
    requests: tuple[EditRequest, ...]
    before: tuple[AnswerDraft, ...]
    after: tuple[AnswerDraft, ...]
    metrics: MetricTable
    unedited: MetricTable
    per_request: tuple[RequestEvaluation, ...]
    warnings: tuple[str, ...]
    seconds: float
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()
    decision: Decision = field(default_factory=lambda: Decision("commit"))
    hint: str = ""
    attempt: int | None = None
    rolled_back_to: VersionRow | None = None


@dataclass(frozen=True)
class ApplySummary:
    """A whole sequence: what was committed, what an earlier run had done already, means over all steps.

    `taken_back` are the steps that the gate did not let pass.
    """

    run: str
    committed: tuple[VersionRow, ...]
    taken_back: tuple[EditOutcome, ...]
    already_done: int
    metrics: MetricTable
    unedited: MetricTable
    warnings: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What a version says to a prompt, with the most probable next tokens as (text, probability).

    `route` says whether the model or an edit in memory answered; None where the memory is empty.
    """

    prompt: str
    text: str
    version: VersionRow
    top: tuple[tuple[str, float], ...]
    route: Route | None = None


@dataclass(frozen=True)
class Evaluation:
    """Requests evaluated at a version: each on its own, the means, and the base model's means beside.

    `versions` are the numbers of the versions that made the requests, 0 for requests from outside.
    """

    version: VersionRow
    requests: tuple[EditRequest, ...]
    versions: tuple[int, ...]
    per_request: tuple[RequestEvaluation, ...]
    metrics: MetricTable
    unedited: MetricTable
