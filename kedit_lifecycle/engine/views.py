"""From the workbench's outcomes to messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kedit_lifecycle.checks.result import CheckResult
from kedit_lifecycle.engine.messages import (
    AnswerView,
    ApplyResult,
    CheckView,
    EditResult,
    FactView,
    MemoryEntryView,
    Moved,
    RouteCandidate,
    RouteView,
    TopToken,
    VersionView,
)
from kedit_lifecycle.engine.messages import Route as Answerer
from kedit_lifecycle.engine.queries.view import attempt, version
from kedit_lifecycle.ledger.records import VersionRow
from kedit_lifecycle.memory.entry import MemoryEntry
from kedit_lifecycle.memory.routing import Route
from kedit_lifecycle.workbench import Answer, ApplySummary, EditOutcome, Workbench


def finite(value: float | None) -> float | None:
    """A number, or None where JSON has none."""
    return value if value is not None and math.isfinite(value) else None


def check_view(result: CheckResult) -> CheckView:
    """A check as it is shown."""
    return CheckView(
        check=result.check,
        verdict=result.verdict,
        message=result.message,
        value=finite(result.value),
        warn=result.warn,
        fail=result.fail,
    )


def edit_result(workbench: Workbench, outcome: EditOutcome) -> EditResult:
    """A step of editing."""
    return EditResult(
        version=outcome.version.number if outcome.version else None,
        attempt=outcome.attempt,
        action=outcome.decision.action,
        reasons=outcome.decision.reasons,
        hint=outcome.hint,
        checks=tuple(check_view(one) for one in outcome.checks),
        facts=tuple(_fact(outcome, place) for place in range(len(outcome.requests))),
        metrics=_numbers(outcome.metrics),
        unedited=_numbers(outcome.unedited),
        losses=_losses(outcome.diagnostics),
        warnings=outcome.warnings,
        seconds=outcome.seconds,
        view=_view(workbench, outcome),
        notes=tuple(workbench.notes),
    )


def _view(workbench: Workbench, outcome: EditOutcome) -> VersionView | None:
    path = workbench.store.path
    if outcome.version is not None:
        return version(path, {"ref": str(outcome.version.number)})
    return attempt(path, {"event": str(outcome.attempt)}) if outcome.attempt is not None else None


def _fact(outcome: EditOutcome, place: int) -> FactView:
    request = outcome.requests[place]
    before = next((one for one in outcome.before if one.request == place), None)
    after = next((one for one in outcome.after if one.request == place), None)
    return FactView(
        position=place,
        subject=request.subject,
        prompt=request.prompt,
        target_new=request.target_new,
        target_true=request.target_true,
        relation=request.relation,
        before=before.completion if before else None,
        before_probability=finite(before.target_probability) if before else None,
        after=after.completion if after else None,
        after_probability=finite(after.target_probability) if after else None,
        paraphrases=tuple(request.paraphrases),
        neighborhood=tuple(request.neighborhood),
        reason=request.reason or "",
        source=request.source or "",
    )


def _numbers(table: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: finite(one.value) for name, one in table.items()}


def _losses(diagnostics: Mapping[str, Any]) -> tuple[float, ...]:
    """Of the first request's search."""
    found = diagnostics.get("losses") or ()
    first = found[0] if found and isinstance(found[0], list | tuple) else found
    return tuple(float(one) for one in first)


def apply_result(workbench: Workbench, summary: ApplySummary) -> ApplyResult:
    """A whole sequence."""
    return ApplyResult(
        run=summary.run,
        committed=tuple(one.number for one in summary.committed),
        taken_back=len(summary.taken_back),
        already_done=summary.already_done,
        metrics=_numbers(summary.metrics),
        unedited=_numbers(summary.unedited),
        warnings=summary.warnings,
        seconds=summary.seconds,
        notes=tuple(workbench.notes),
    )


def moved(workbench: Workbench, row: VersionRow, name: str = "") -> Moved:
    """Where HEAD is, or where a name was put."""
    branch, _ = workbench.store.reader.head_ref()
    return Moved(
        number=row.number,
        id=row.id,
        depth=row.depth,
        branch=branch,
        name=name,
        notes=tuple(workbench.notes),
        tensors=len(row.tensors),
    )


def answer_view(answer: Answer, label: str) -> AnswerView:
    """What one version says, and who said it."""
    route = answer.route
    top = tuple(TopToken(text=text, probability=finite(chance) or 0.0) for text, chance in answer.top)
    view = AnswerView(
        version=answer.version.number,
        label=label,
        text=answer.text,
        top=top,
        route="weights" if answer.version.tensors else "base",
        why="its memory is empty" if route is None else "no fact in memory is about this",
    )
    if route is None:
        return view
    found: dict[str, Any] = {"score": finite(route.score), "threshold": route.threshold}
    if route.entry is not None:
        request = route.entry.request
        found |= {
            "route": "memory",
            "by_version": route.entry.id.version,
            "by_fact": f"{request.question} → {request.target_new}",
            "why": "a fact in memory is about this",
        }
    return view.model_copy(update=found)


def route_view(row: VersionRow, route: Route | None) -> RouteView:
    """Who would answer a prompt at a version."""
    model: Answerer = "weights" if row.tensors else "base"
    if route is None:
        return RouteView(
            version=row.number, route=model, score=None, threshold=None, note="the memory is empty"
        )
    return RouteView(
        version=row.number,
        route="memory" if route.entry else model,
        score=finite(route.score),
        threshold=route.threshold,
        candidates=tuple(
            RouteCandidate(entry=entry_view(one.entry), score=one.score, similarity=one.similarity)
            for one in route.candidates
        ),
        note=route.note or "",
    )


def entry_view(entry: MemoryEntry) -> MemoryEntryView:
    """An entry of the memory."""
    request = entry.request
    return MemoryEntryView(
        version=entry.id.version,
        position=entry.id.position,
        subject=request.subject,
        prompt=request.prompt,
        target=request.target_new,
        relation=request.relation,
    )
