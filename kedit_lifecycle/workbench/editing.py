"""One step in the life of an edit: plan, apply to the candidate, measure, commit or take back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from kedit_lifecycle.checks.gate import Decision, Policy, decide
from kedit_lifecycle.checks.result import CheckResult
from kedit_lifecycle.editors import Editor, EditorConfig
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.errors import EditFailedError, UsageError, first_problem
from kedit_lifecycle.evaluation.metrics import generated_match
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.ledger.records import (
    RequestDraft,
    Supersession,
    TensorState,
    UpdateDraft,
    VersionDraft,
    VersionRow,
)
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.memory.system import RoutedModel
from kedit_lifecycle.models.delta import WeightDelta
from kedit_lifecycle.models.editable import AppliedUpdate, EditableModel, Fingerprints
from kedit_lifecycle.models.fingerprints import to_canonical
from kedit_lifecycle.progress import Progress, tell
from kedit_lifecycle.workbench.attempts import ATTEMPT_EVENT, attempt_payload, check_draft
from kedit_lifecycle.workbench.gatekeeping import Contradictions, Findings, Gatekeeper, tell_check
from kedit_lifecycle.workbench.history import metric_draft
from kedit_lifecycle.workbench.measuring import Measure, Reading, whole_model
from kedit_lifecycle.workbench.outcomes import EditOutcome
from kedit_lifecycle.workbench.past import PastKeysAt
from kedit_lifecycle.workbench.remembering import Memory
from kedit_lifecycle.workbench.serac import MEMORY, Serac, SeracConfig


@dataclass(frozen=True)
class Step:
    """Everything that decides one version: who edits what, how, and at which place of which run."""

    editor: Editor[Any]
    config: EditorConfig
    requests: tuple[EditRequest, ...]
    seed: int
    message: str
    run: Mapping[str, Any] | None = None
    profile: str | None = None  # digest of the profile that the settings were taken from
    route: Mapping[str, Any] | None = None  # why `auto` chose this method

    @property
    def remembers(self) -> bool:
        """Whether the facts go into the memory instead of the weights."""
        return isinstance(self.editor, Serac)


@dataclass(frozen=True)
class Bench:
    """The model at HEAD and what is around it."""

    store: Store
    model: EditableModel
    statistics: Statistics
    author: str
    command: str
    memory: Memory
    past: PastKeysAt = field(default_factory=PastKeysAt)


def configure(editor: Editor[Any], model: EditableModel, overrides: Mapping[str, Any] | None) -> EditorConfig:
    """The editor's defaults for this model with `overrides` in place.

    Raises:
        UsageError: naming the field that is wrong.
    """
    default = editor.default_config(model)
    try:
        return editor.config_class.model_validate({**default.model_dump(), **(overrides or {})})
    except ValidationError as error:
        fields = ", ".join(editor.config_class.model_fields)
        raise UsageError(
            f"{editor.name} config, {first_problem(error, 'settings')}",
            hint=f"fields of {editor.name}: {fields}",
        ) from error


def settle(editor: Editor[Any], bench: Bench, overrides: Mapping[str, Any] | None) -> EditorConfig:
    """As `configure`, with what is named by a word (a trained network) named by content.

    Raises:
        UsageError: naming the field that is wrong, or what is not there.
    """
    settled: EditorConfig = editor.settled(configure(editor, bench.model, overrides), bench.statistics)
    return settled


def edit_once(
    bench: Bench,
    head: VersionRow,
    step: Step,
    *,
    gate: Gatekeeper,
    measure: Measure,
    dry_run: bool,
    progress: Progress,
    last: bool = True,
    must_pass: Sequence[str] = (),
    against: Contradictions | None = None,
) -> EditOutcome:
    """Carry out one step on the model at `head`, as far as the gate lets it.

    `last`: there is no other way left to make the edit, so that what would be tried again is rejected.
    `must_pass`: there is, and it is taken where the gate takes this one back, or one of these checks does
    not pass.
    `against`: what the gate said before of these requests at `head`, if it was asked already.

    On any error or interruption, and where the gate takes the step back, the weights are as before.
    """
    began = time.perf_counter()
    against = against or gate.before(head, step.requests)
    conflicts = time.perf_counter() - began
    tell_check(progress, against.result)
    decision = _settled(step, decide(gate.policy, [against.result]), last=last)
    if not decision.commits:
        tell(progress, "decision", action=decision.action, reasons=list(decision.reasons))
        outcome = _unmade(step, against, decision, time.perf_counter() - began)
        return outcome if dry_run else _taken_back(bench, head, step, outcome, gate)
    saved = bench.model.masters
    try:
        made = _make(bench, head, step, gate, against, measure, progress, began, conflicts)
        found = [against.result, *made.findings.results]
        decision = _settled(step, decide(gate.policy, found), last=last, found=found, must_pass=must_pass)
        tell(progress, "decision", action=decision.action, reasons=list(decision.reasons))
        outcome = _outcome(made, against, decision)
        if dry_run or not decision.commits:
            _take_back(bench, saved, step)
        else:
            outcome = _commit(bench, head, made, outcome, gate, progress)
    except BaseException:
        _take_back(bench, saved, step)
        raise
    if dry_run or decision.commits:
        return outcome
    return _taken_back(bench, head, made.step, outcome, gate)


def _take_back(bench: Bench, saved: Mapping[str, Tensor], step: Step) -> None:
    bench.model.restore(saved)
    if step.remembers:
        bench.memory.forget_tried()


def _settled(
    step: Step,
    decision: Decision,
    *,
    last: bool,
    found: Sequence[CheckResult] = (),
    must_pass: Sequence[str] = (),
) -> Decision:
    """The decision; where it cannot be done: rejected instead. What did not turn out well is tried again."""
    missed = [one for one in found if one.check in must_pass and one.verdict != "pass"]
    if must_pass and (missed or not decision.commits):
        reasons = decision.reasons or tuple(f"{one.check}: {one.message}" for one in missed)
        return Decision("retry", reasons)
    nowhere_else = decision.action == "memory" and step.remembers
    if nowhere_else or (decision.action == "retry" and last):
        return Decision("reject", decision.reasons)
    return decision


@dataclass(frozen=True)
class _Made:
    """A candidate: the model is edited, and nothing is written yet."""

    step: Step
    delta: WeightDelta
    applied: Sequence[AppliedUpdate]
    unedited: Reading
    before: Reading
    after: Reading
    findings: Findings
    memory: str  # the fingerprint of the memory after it
    supersedes: Sequence[Supersession]
    timing: Mapping[str, float]


def _make(
    bench: Bench,
    head: VersionRow,
    step: Step,
    gate: Gatekeeper,
    against: Contradictions,
    measure: Measure,
    progress: Progress,
    began: float,
    checked: float,
) -> _Made:
    reading: Measure = "none" if measure == "none" else "requests"
    unedited = gate.measuring.unedited(step.requests, measure=measure, generate=False)
    parent = bench.memory.system_at(head)
    before = gate.measuring.now(step.requests, measure=reading, system=parent)
    if measure == "all":
        checking = time.perf_counter()
        gate.read_before(step.requests, parent)
        checked += time.perf_counter() - checking
    past = bench.past.at(bench.store, head)
    planning = time.perf_counter()
    delta = step.editor.plan(
        bench.model, step.requests, step.config, statistics=bench.statistics, past=past, progress=progress
    )
    planned = time.perf_counter() - planning
    supersedes: Sequence[Supersession] = against.supersedes
    if delta.failures:
        kept = [index for index in range(len(step.requests)) if index not in delta.failures]
        step, unedited, before = _only(kept, step, unedited, before)
        supersedes = [
            replace(one, position=kept.index(one.position)) for one in supersedes if one.position in kept
        ]
    applying = time.perf_counter()
    applied = bench.model.apply(delta.updates)
    _refuse_overflow(bench.model, applied, step.requests)
    made = planned + time.perf_counter() - applying
    memory, system = _memory_after(bench, head, step, supersedes)
    after = gate.measuring.now(step.requests, measure=reading, before=before, system=system)
    findings = Findings()
    if measure == "all":
        checking = time.perf_counter()
        findings = gate.after(head, step.requests, after.evaluations, system, progress)
        checked += time.perf_counter() - checking
    after = replace(after, whole=whole_model(findings.metrics))
    seconds = time.perf_counter() - began
    timing = {
        "seconds": seconds,
        "seconds_to_plan": planned,
        "seconds_to_check": checked,
        "seconds_to_measure": seconds - made - checked,
    }
    return _Made(step, delta, applied, unedited, before, after, findings, memory, supersedes, timing)


def _memory_after(
    bench: Bench, head: VersionRow, step: Step, supersedes: Sequence[Supersession]
) -> tuple[str, RoutedModel | None]:
    """The fingerprint of the memory with the step made, and the system that answers then."""
    if not step.remembers and not (head.memory and supersedes):
        return head.memory, bench.memory.system_at(head)
    config = step.config if isinstance(step.config, SeracConfig) else bench.memory.config_at(head)
    added = step.requests if step.remembers else ()
    entries = bench.memory.entries_after(head, added, supersedes)
    return bench.memory.fingerprint(entries, config), bench.memory.system(entries, config)


def _outcome(made: _Made, against: Contradictions, decision: Decision) -> EditOutcome:
    requests, delta = made.step.requests, made.delta
    return EditOutcome(
        version=None,
        requests=requests,
        before=tuple(made.before.answer_drafts(requests)) if made.before.evaluations else (),
        after=tuple(made.after.answer_drafts(requests)) if made.after.evaluations else (),
        metrics=made.after.table(),
        unedited=made.unedited.table(),
        per_request=made.after.evaluations,
        warnings=(*_already_true(made.before, requests), *delta.warnings, *delta.failures.values()),
        seconds=made.timing["seconds"],
        diagnostics=delta.diagnostics,
        checks=(against.result, *made.findings.results),
        decision=decision,
    )


def _unmade(step: Step, against: Contradictions, decision: Decision, seconds: float) -> EditOutcome:
    """A step that was turned down before it was made."""
    return EditOutcome(
        version=None,
        requests=step.requests,
        before=(),
        after=(),
        metrics={},
        unedited={},
        per_request=(),
        warnings=(),
        seconds=seconds,
        checks=(against.result,),
        decision=decision,
        hint=against.hint,
    )


def _commit(
    bench: Bench,
    head: VersionRow,
    made: _Made,
    outcome: EditOutcome,
    gate: Gatekeeper,
    progress: Progress,
) -> EditOutcome:
    draft = _draft(bench, head, made, outcome, gate.policy)
    version = bench.store.commit(draft, author=bench.author, command=bench.command)
    tell(progress, "version", number=version.number, id=version.id)
    if made.step.remembers:
        bench.memory.committed()
    bench.past.advance(bench.store, version, made.delta.updates)
    gate.committed(version, made.step.requests, made.findings, made.supersedes)
    return replace(outcome, version=version)


def _taken_back(
    bench: Bench, head: VersionRow, step: Step, outcome: EditOutcome, gate: Gatekeeper
) -> EditOutcome:
    """Put the attempt into the ledger; for a rollback, take the branch to the last healthy version."""
    back = gate.healthy_ancestor(head) if outcome.decision.action == "rollback" else head
    payload = attempt_payload(
        head,
        step.editor.name,
        step.config.model_dump(mode="json"),
        step.seed,
        [request.model_dump(mode="json") for request in step.requests],
        outcome.checks,
        outcome.decision,
        gate.policy,
        run=step.run,
        message=step.message,
        seconds=outcome.seconds,
    )
    payload["head"] = back.id
    event = bench.store.record(ATTEMPT_EVENT, payload, author=bench.author, command=bench.command)
    if back.id == head.id:
        return replace(outcome, attempt=event.seq)
    reason = f"the gate ({gate.policy.name}): {outcome.decision.reasons[0]}"
    moved = bench.store.move(
        back.id, kind="rollback", author=bench.author, command=bench.command, message=reason
    )
    return replace(outcome, attempt=event.seq, rolled_back_to=moved)


def _only(
    kept: Sequence[int], step: Step, unedited: Reading, before: Reading
) -> tuple[Step, Reading, Reading]:
    """The step with only the requests that got an update."""
    requests = tuple(step.requests[index] for index in kept)
    return replace(step, requests=requests), unedited.only(kept), before.only(kept)


def _refuse_overflow(
    model: EditableModel, applied: Sequence[AppliedUpdate], requests: Sequence[EditRequest]
) -> None:
    for tensor in {one.update.tensor for one in applied}:
        if not model.parameter(tensor).isfinite().all():
            dtype = str(model.dtype).removeprefix("torch.")
            asked = ", ".join(repr(request.question) for request in requests)
            raise EditFailedError(
                f"the update for {asked} takes {tensor} out of the range of {dtype}",
                hint="a smaller update (clamp_norm, learning_rate), or another layer; a float16 model may "
                "need float32",
            )


def _already_true(before: Reading, requests: Sequence[EditRequest]) -> list[str]:
    return [
        f"the model already answers {request.question!r} with {request.target_new!r}"
        for one, request in zip(before.evaluations, requests, strict=False)
        if one.completion is not None and generated_match(one.completion, request.target_new)
    ]


def _draft(
    bench: Bench,
    head: VersionRow,
    made: _Made,
    outcome: EditOutcome,
    policy: Policy,
) -> VersionDraft:
    step, delta, after = made.step, made.delta, made.after
    tensors = {**head.tensors, **{one.update.tensor: _state(one.after) for one in made.applied}}
    answers = []
    if after.evaluations:
        answers = made.before.answer_drafts(step.requests, head.number) + after.answer_drafts(step.requests)
    diagnostics = {k: v for k, v in delta.diagnostics.items() if k != "statistics"}
    found = [metric_draft(v, None) for v in made.findings.metrics if v.metric not in after.whole]
    gate = {
        "policy": policy.name,
        "digest": policy.digest,
        "decision": outcome.decision.action,
        "reasons": list(outcome.decision.reasons),
    }
    return VersionDraft(
        parent=head.id,
        operation=_operation(step),
        editor=step.editor.name,
        config={
            **step.config.model_dump(mode="json"),
            "statistics": delta.diagnostics.get("statistics", {}),
            **({"profile": step.profile} if step.profile else {}),
        },
        seed=step.seed,
        message=step.message,
        requests=[request_draft(request) for request in step.requests],
        updates=[_keep(bench.store, one) for one in made.applied],
        tensors=tensors,
        memory=made.memory,
        run=step.run,
        checkpoint=_checkpoint(bench, head, tensors),
        metrics=made.unedited.metric_drafts(0) + after.metric_drafts() + found,
        answers=answers,
        checks=[check_draft(check) for check in outcome.checks],
        supersedes=made.supersedes,
        diagnostics={
            **diagnostics,
            **made.timing,
            "warnings": [*delta.warnings, *delta.failures.values()],
            "gate": gate,
            **({"route": dict(step.route)} if step.route else {}),
        },
    )


def _operation(step: Step) -> str:
    if step.remembers:
        return MEMORY
    return "edit" if len(step.requests) == 1 else "batch"


def _state(fingerprints: Fingerprints) -> TensorState:
    return TensorState(fingerprints.master, fingerprints.served)


def _keep(store: Store, applied: AppliedUpdate) -> UpdateDraft:
    """Put the update's factors into blobs; the row names them."""
    update = applied.update
    return UpdateDraft(
        tensor=update.tensor,
        operation=update.operation,
        left=store.blobs.put(to_canonical(update.left)),
        right=None if update.right is None else store.blobs.put(to_canonical(update.right)),
        keys=None if update.keys is None else store.blobs.put(to_canonical(update.keys)),
        before=_state(applied.before),
        after=_state(applied.after),
        rank=update.rank,
        norm=applied.norm,
    )


def _checkpoint(bench: Bench, head: VersionRow, tensors: Mapping[str, TensorState]) -> dict[str, str]:
    """Whole masters, every so many versions, so that a checkout replays a bounded number of factors."""
    every = int(bench.store.meta["checkpoint_every"])
    if (head.depth + 1) % every:
        return {}
    return {name: bench.store.blobs.put(to_canonical(bench.model.master(name))) for name in tensors}


def request_draft(request: EditRequest) -> RequestDraft:
    """The request as the ledger keeps it."""
    return RequestDraft(
        digest=request.digest,
        subject=request.subject,
        relation=request.relation,
        prompt=request.prompt,
        target_new=request.target_new,
        target_true=request.target_true,
        payload=request.model_dump(mode="json"),
    )
