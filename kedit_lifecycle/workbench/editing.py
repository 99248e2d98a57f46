"""One step in the life of an edit: plan, apply to the candidate, measure, commit or take back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from kedit_lifecycle.editors import Editor, EditorConfig
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.errors import EditFailedError, UsageError
from kedit_lifecycle.evaluation.metrics import generated_match
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.ledger.records import RequestDraft, TensorState, UpdateDraft, VersionDraft, VersionRow
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.models.delta import WeightDelta
from kedit_lifecycle.models.editable import AppliedUpdate, EditableModel, Fingerprints
from kedit_lifecycle.models.fingerprints import to_canonical
from kedit_lifecycle.progress import Progress
from kedit_lifecycle.workbench.measuring import Measure, Measuring, Reading
from kedit_lifecycle.workbench.outcomes import EditOutcome
from kedit_lifecycle.workbench.past import PastKeysAt


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


@dataclass(frozen=True)
class Bench:
    """The model at HEAD and what is around it."""

    store: Store
    model: EditableModel
    statistics: Statistics
    measuring: Measuring
    author: str
    command: str
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
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        fields = ", ".join(editor.config_class.model_fields)
        raise UsageError(
            f"{editor.name} config, {field}: {first['msg']}", hint=f"fields of {editor.name}: {fields}"
        ) from error


def edit_once(
    bench: Bench, head: VersionRow, step: Step, *, measure: Measure, dry_run: bool, progress: Progress
) -> EditOutcome:
    """Carry out one step on the model at `head`; on any error or interruption the weights are as before."""
    began = time.perf_counter()
    model, requests = bench.model, step.requests
    saved = model.masters
    try:
        unedited = bench.measuring.unedited(requests, measure=measure)
        before = bench.measuring.now(requests, measure="none" if measure == "none" else "requests")
        past = bench.past.at(bench.store, head)
        delta = step.editor.plan(
            model, requests, step.config, statistics=bench.statistics, past=past, progress=progress
        )
        if delta.failures:
            step, unedited, before = _without_failures(step, delta, unedited, before)
            requests = step.requests
        planned = time.perf_counter() - began
        applied = model.apply(delta.updates)
        _refuse_overflow(model, applied, requests)
        after = bench.measuring.now(requests, measure=measure, before=before)
        seconds = time.perf_counter() - began
        version = None
        if not dry_run:
            timing = {"seconds": seconds, "seconds_to_plan": planned}
            draft = _draft(bench, head, step, delta, applied, (unedited, before, after), timing)
            version = bench.store.commit(draft, author=bench.author, command=bench.command)
            bench.past.advance(bench.store, version, delta.updates)
        else:
            model.restore(saved)
    except BaseException:
        model.restore(saved)
        raise
    return EditOutcome(
        version=version,
        requests=requests,
        before=tuple(before.answer_drafts(requests)) if before.evaluations else (),
        after=tuple(after.answer_drafts(requests)) if after.evaluations else (),
        metrics=after.table(),
        unedited=unedited.table(),
        per_request=after.evaluations,
        warnings=(*_already_true(before, requests), *delta.warnings, *delta.failures.values()),
        seconds=seconds,
        diagnostics=delta.diagnostics,
    )


def _without_failures(
    step: Step, delta: WeightDelta, unedited: Reading, before: Reading
) -> tuple[Step, Reading, Reading]:
    """The step with only the requests that got an update."""
    kept = [index for index in range(len(step.requests)) if index not in delta.failures]
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
    step: Step,
    delta: WeightDelta,
    applied: Sequence[AppliedUpdate],
    readings: tuple[Reading, Reading, Reading],
    timing: Mapping[str, float],
) -> VersionDraft:
    unedited, before, after = readings
    tensors = {**head.tensors, **{one.update.tensor: _state(one.after) for one in applied}}
    answers = []
    if after.evaluations:
        answers = before.answer_drafts(step.requests, head.number) + after.answer_drafts(step.requests)
    diagnostics = {k: v for k, v in delta.diagnostics.items() if k != "statistics"}
    return VersionDraft(
        parent=head.id,
        operation="edit" if len(step.requests) == 1 else "batch",
        editor=step.editor.name,
        config={
            **step.config.model_dump(mode="json"),
            "statistics": delta.diagnostics.get("statistics", {}),
            **({"profile": step.profile} if step.profile else {}),
        },
        seed=step.seed,
        message=step.message,
        requests=[request_draft(request) for request in step.requests],
        updates=[_keep(bench.store, one) for one in applied],
        tensors=tensors,
        run=step.run,
        checkpoint=_checkpoint(bench, head, tensors),
        metrics=unedited.metric_drafts(0) + after.metric_drafts(),
        answers=answers,
        diagnostics={**diagnostics, **timing, "warnings": [*delta.warnings, *delta.failures.values()]},
    )


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
