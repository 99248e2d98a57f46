"""A step and what the policy says to try instead; and what came of it, as an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kedit_lifecycle.checks.gate import Retry
from kedit_lifecycle.errors import GateError
from kedit_lifecycle.ledger.records import VersionRow
from kedit_lifecycle.progress import Progress
from kedit_lifecycle.workbench.auto import choose
from kedit_lifecycle.workbench.editing import Bench, Step, edit_once, settle
from kedit_lifecycle.workbench.gatekeeping import Gatekeeper
from kedit_lifecycle.workbench.measuring import Measure
from kedit_lifecycle.workbench.outcomes import EditOutcome
from kedit_lifecycle.workbench.serac import Auto, Serac, find_method


def carry_out(
    bench: Bench,
    head: VersionRow,
    step: Step,
    *,
    gate: Gatekeeper,
    measure: Measure,
    dry_run: bool,
    progress: Progress,
) -> EditOutcome:
    """Make one step; where the policy asks for another try, make it in the ways it names, in order.

    Where it sends the fact to the memory, that is one more way. A step of `auto` is tried in the weights
    and in the memory, in the order that it chooses.
    """
    if isinstance(step.editor, Auto):
        return _choose_way(bench, head, step, gate, measure, dry_run, progress)
    ways = [step, *(_other_way(bench, step, retry) for retry in gate.policy.retries)]
    for place, way in enumerate(ways):
        last = place == len(ways) - 1
        outcome = edit_once(
            bench, head, way, gate=gate, measure=measure, dry_run=dry_run, progress=progress, last=last
        )
        if outcome.decision.action != "retry":
            break
    if outcome.decision.action == "memory" and not dry_run:
        way = _other_way(bench, step, Retry(method=Serac.name), outcome.decision.reasons)
        return edit_once(bench, head, way, gate=gate, measure=measure, dry_run=False, progress=progress)
    return outcome


def _choose_way(
    bench: Bench,
    head: VersionRow,
    step: Step,
    gate: Gatekeeper,
    measure: Measure,
    dry_run: bool,
    progress: Progress,
) -> EditOutcome:
    against = gate.before(head, step.requests)
    choice = choose(bench.store.reader, head, step.requests, against)
    failed: list[str] = []
    for tried in choice.ways:
        editor = find_method(tried.method)
        config = settle(editor, bench, None)
        way = replace(step, editor=editor, config=config, route=choice.as_json(tried.method, failed))
        outcome = edit_once(
            bench,
            head,
            way,
            gate=gate,
            measure=measure,
            dry_run=dry_run,
            progress=progress,
            must_pass=tried.must_pass,
            against=against,
        )
        if outcome.decision.action != "retry":
            break
        failed.append(f"{tried.method} was tried: {'; '.join(outcome.decision.reasons)}")
    return outcome


def _other_way(bench: Bench, step: Step, retry: Retry, reasons: Sequence[str] = ()) -> Step:
    editor = find_method(retry.method)
    config = settle(editor, bench, retry.config)
    route = {"instead_of": step.editor.name, "reasons": list(reasons)} if reasons else step.route
    return replace(step, editor=editor, config=config, profile=None, route=route)


def refusal(outcome: EditOutcome) -> GateError:
    """Why a step was not committed, and the ways on."""
    asked = outcome.requests[0]
    more = f" (and {len(outcome.requests) - 1} more)" if len(outcome.requests) > 1 else ""
    reasons = "; ".join(outcome.decision.reasons)
    where = "" if outcome.rolled_back_to is None else f"; HEAD is at v{outcome.rolled_back_to.number} now"
    done = {"rollback": "taken back", "halt": "taken back, and the run stopped"}
    what = done.get(outcome.decision.action, "not committed")
    hint = outcome.hint or "--policy observe commits it all the same; --method and --set make it otherwise"
    return GateError(
        f"{asked.question!r} → {asked.target_new!r}{more}: {what}. {reasons}{where}",
        hint=hint,
        outcome=outcome,
    )
