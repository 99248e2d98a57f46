"""A step and what the policy says to try instead; and what came of it, as an error."""

from __future__ import annotations

from dataclasses import replace

from kedit_lifecycle.checks.gate import Retry
from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.errors import GateError
from kedit_lifecycle.ledger.records import VersionRow
from kedit_lifecycle.progress import Progress
from kedit_lifecycle.workbench.editing import Bench, Step, configure, edit_once
from kedit_lifecycle.workbench.gatekeeping import Gatekeeper
from kedit_lifecycle.workbench.measuring import Measure
from kedit_lifecycle.workbench.outcomes import EditOutcome


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
    """Make one step; where the policy asks for another try, make it in the ways it names, in order."""
    ways = [step, *(_other_way(bench, step, retry) for retry in gate.policy.retries)]
    for place, way in enumerate(ways):
        last = place == len(ways) - 1
        outcome = edit_once(
            bench, head, way, gate=gate, measure=measure, dry_run=dry_run, progress=progress, last=last
        )
        if outcome.decision.action != "retry":
            break
    if outcome.decision.action == "memory" and bench.memory is not None and not dry_run:
        return bench.memory.keep(head, step, outcome)
    return outcome


def _other_way(bench: Bench, step: Step, retry: Retry) -> Step:
    editor = get_editor(retry.method)
    return replace(step, editor=editor, config=configure(editor, bench.model, retry.config), profile=None)


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
