"""What an engine can be asked to do: every kind of job, and the use-case behind it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kedit_lifecycle.engine import messages as m
from kedit_lifecycle.engine import orders as o
from kedit_lifecycle.engine import views
from kedit_lifecycle.errors import UsageError, first_problem
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.workbench import Workbench
from kedit_lifecycle.workbench.asking import route_of, target_probability

Report = Any  # a progress.Watcher, given to whatever takes a `progress`


def edit(workbench: Workbench, order: o.Edit, report: Report) -> Any:
    """Change one fact."""
    outcome = workbench.edit(
        order.request(),
        **order.given(),
        profile=order.profile,
        supersede=order.supersede,
        dry_run=order.dry_run,
        progress=report,
    )
    return views.edit_result(workbench, outcome)


def apply(workbench: Workbench, order: o.Apply, report: Report) -> Any:
    """Change many facts, one after another or in batches."""
    from kedit_lifecycle.facts.readers import load_requests

    given = [EditRequest.model_validate(one) for one in order.requests]
    found = [*given, *(load_requests(Path(order.file)).requests if order.file else [])]
    summary = workbench.apply(
        found[: order.limit],
        **order.given(),
        profile=order.profile,
        supersede=order.supersede,
        batch=order.batch,
        resume=order.resume,
        allow_conflicts=order.allow_conflicts,
        progress=report,
    )
    return views.apply_result(workbench, summary)


def consolidate(workbench: Workbench, order: o.Consolidate, report: Report) -> Any:
    """Write facts of the memory into the weights."""
    outcome = workbench.consolidate(
        order.versions,
        **order.given(),
        dry_run=order.dry_run,
        progress=report,
    )
    return views.edit_result(workbench, outcome)


def rollback(workbench: Workbench, order: o.Rollback, report: Report) -> Any:
    """Take the branch to a version."""
    return views.moved(workbench, workbench.rollback(order.ref, message=order.message))


def undo(workbench: Workbench, order: o.Nothing, report: Report) -> Any:
    """Take back the last move."""
    return views.moved(workbench, workbench.undo())


def redo(workbench: Workbench, order: o.Nothing, report: Report) -> Any:
    """Take back the last undo."""
    return views.moved(workbench, workbench.redo())


def switch(workbench: Workbench, order: o.Ref, report: Report) -> Any:
    """Put HEAD on a branch or version."""
    return views.moved(workbench, workbench.switch(order.ref))


def branch(workbench: Workbench, order: o.Name, report: Report) -> Any:
    """Make a branch."""
    row = workbench.store.branch(order.name, order.at, author=workbench.author, command=workbench.command)
    return views.moved(workbench, workbench.store.reader.resolve(row.target), row.name)


def tag(workbench: Workbench, order: o.Name, report: Report) -> Any:
    """Make a tag."""
    row = workbench.store.tag(order.name, order.at, author=workbench.author, command=workbench.command)
    return views.moved(workbench, workbench.store.reader.resolve(row.target), row.name)


def ask(workbench: Workbench, order: o.Ask, report: Report) -> Any:
    """Let versions answer."""
    found = []
    for place, ref in enumerate(order.refs):
        report("asking", place, len(order.refs))
        resolved = "0" if ref == "base" else ref
        answer = workbench.ask(order.prompt, ref=resolved, max_new_tokens=order.tokens, top=order.top)
        found.append(views.answer_view(answer, ref))
    return found


def peek(workbench: Workbench, order: o.Peek, report: Report) -> Any:
    """What the model says now, and how probable a target is."""
    answer = workbench.ask(order.prompt, ref=order.ref, max_new_tokens=order.tokens, top=1)
    score = target_probability(workbench, order.prompt, order.target, ref=order.ref) if order.target else None
    view = views.answer_view(answer, order.ref)
    return m.Peek(
        version=view.version,
        answer=view.text,
        answer_probability=view.top[0].probability if view.top else None,
        target_probability=score if score is None or math.isfinite(score) else None,
        route=view.route,
    )


def advise(workbench: Workbench, order: o.Fact, report: Report) -> Any:
    """What `auto` would try for a fact, and why."""
    choice = workbench.advise(order.request())
    return m.Advice(methods=choice.methods, reasons=choice.reasons)


def route(workbench: Workbench, order: o.RouteOf, report: Report) -> Any:
    """Who would answer, and the nearest entries."""
    version, found = route_of(workbench, order.prompt, ref=order.ref)
    return views.route_view(version, found)


def evaluate(workbench: Workbench, order: o.Ref, report: Report) -> Any:
    """Measure every edit of a history again."""
    result = workbench.evaluate_history(ref=order.ref)
    numbers = {name: views.finite(one.value) for name, one in result.metrics.items()}
    return m.Outcome(summary={"version": result.version.number, "metrics": numbers})


def check(workbench: Workbench, order: o.Check, report: Report) -> Any:
    """Check a version's health."""
    from kedit_lifecycle.checks.gate import load_policy
    from kedit_lifecycle.workbench.checking import check_version

    found = check_version(workbench, order.ref, load_policy(order.policy))
    checks = tuple(views.check_view(one) for one in found.results)
    for one in checks:
        report.hear("check", one.model_dump())
    return m.Outcome(summary={"version": found.version.number}, checks=checks)


def ripple(workbench: Workbench, order: o.Ref, report: Report) -> Any:
    """Ask what else an edit should have changed."""
    from kedit_lifecycle.workbench.checking import ripple_of

    found = ripple_of(workbench, order.ref)
    return m.Outcome(summary={"version": found.version.number, "report": _plain(found.report)})


def verify(workbench: Workbench, order: o.Verify, report: Report) -> Any:
    """Check that the store is what was written."""
    from kedit_lifecycle.ledger.verify import verify as verified

    found = verified(workbench.store.path, "quick" if order.quick else "normal", progress=report)
    return m.Outcome(summary={"damaged": found.damaged, "findings": [asdict(one) for one in found.findings]})


def _plain(value: Any) -> Any:
    """A dataclass as JSON values."""
    import json

    return json.loads(json.dumps(asdict(value), default=str).replace("NaN", "null"))


@dataclass(frozen=True)
class Kind:
    """One kind of job. `urgent`: a person waits for it; `writes`: not on a read-only engine."""

    arguments: type[o.Arguments]
    carry_out: Callable[[Workbench, Any, Report], Any]
    urgent: bool = False
    writes: bool = True


KINDS: Mapping[str, Kind] = {
    "edit": Kind(o.Edit, edit),
    "apply": Kind(o.Apply, apply),
    "consolidate": Kind(o.Consolidate, consolidate),
    "rollback": Kind(o.Rollback, rollback, urgent=True),
    "undo": Kind(o.Nothing, undo, urgent=True),
    "redo": Kind(o.Nothing, redo, urgent=True),
    "switch": Kind(o.Ref, switch, urgent=True),
    "branch": Kind(o.Name, branch, urgent=True),
    "tag": Kind(o.Name, tag, urgent=True),
    "ask": Kind(o.Ask, ask, urgent=True, writes=False),
    "peek": Kind(o.Peek, peek, urgent=True, writes=False),
    "advise": Kind(o.Fact, advise, urgent=True, writes=False),
    "route": Kind(o.RouteOf, route, urgent=True, writes=False),
    "evaluate": Kind(o.Ref, evaluate),
    "check": Kind(o.Check, check, writes=False),
    "ripple": Kind(o.Ref, ripple, writes=False),
    "verify": Kind(o.Verify, verify, writes=False),
}
"""By name. `command` is beside them: it is the command line's own way in."""

COMMAND = "command"


def checked(kind: str, arguments: Mapping[str, Any]) -> o.Arguments:
    """The arguments of a kind, or why they make no sense.

    Raises:
        UsageError: naming the kind or the argument.
    """
    found = o.Command if kind == COMMAND else KINDS[kind].arguments if kind in KINDS else None
    if found is None:
        raise UsageError(f"an engine does not know the job {kind!r}", hint=f"one of {', '.join(KINDS)}")
    try:
        return found.model_validate(dict(arguments))
    except ValidationError as error:
        raise UsageError(
            f"{kind}, {first_problem(error, 'arguments')}",
            hint=f"its arguments: {', '.join(found.model_fields) or 'none'}",
        ) from error
