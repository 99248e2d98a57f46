"""What a step is held to: what it contradicts before it is made, what it did to the model after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from kedit_lifecycle.checks.collapse import HealthMonitor, collapse_check
from kedit_lifecycle.checks.conflict import SEVERITIES, Conflict
from kedit_lifecycle.checks.gate import Policy
from kedit_lifecycle.checks.result import CheckResult, Verdict
from kedit_lifecycle.checks.ripple import ProbeReadings, read_probes, ripple_check, ripple_report
from kedit_lifecycle.evaluation.answering import AnsweringSystem
from kedit_lifecycle.evaluation.request_evaluation import RequestEvaluation
from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.ledger.records import Supersession, VersionRow
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent, tell
from kedit_lifecycle.workbench.line_state import LineState, tried
from kedit_lifecycle.workbench.measuring import Measuring

_VERDICTS: dict[str, Verdict] = {"note": "pass", "warn": "warn", "refuse": "fail"}


@dataclass(frozen=True)
class Findings:
    """What the checks found, with their metrics, and the monitor that has seen them."""

    results: tuple[CheckResult, ...] = ()
    metrics: tuple[MetricValue, ...] = ()
    held: tuple[bool | None, ...] = ()
    monitor: HealthMonitor | None = None


@dataclass(frozen=True)
class Contradictions:
    """The conflicts of a step as a check, what to do about them, and what the step takes the place of."""

    result: CheckResult
    hint: str = ""
    supersedes: tuple[Supersession, ...] = ()


def contradictions(
    line: LineState,
    requests: Sequence[EditRequest],
    *,
    supersede: bool = False,
    replacing: tuple[Supersession, ...] = (),
) -> Contradictions:
    """Conflicts of a step with the live edits of a line; see `Gatekeeper.before`."""
    found = [(position, one) for position, request in enumerate(requests) for one in line.index.find(request)]
    if replacing:
        gone = {(one.earlier_version, one.earlier_position) for one in replacing}
        found = [(position, one) for position, one in found if one.with_.where not in gone]
        return Contradictions(conflict_check([one for _, one in found]), _hint(found), replacing)
    replaced = [
        (position, one)
        for position, one in found
        if (supersede and one.severity == "refuse") or _is_told_again(line, requests[position], one)
    ]
    left = [one for one in found if one not in replaced]
    return Contradictions(
        conflict_check([one for _, one in left], replaced=[one for _, one in replaced]),
        "" if supersede else _hint(left),
        tuple(sorted({Supersession(p, *one.with_.where) for p, one in replaced}, key=_in_order)),
    )


def _is_told_again(line: LineState, request: EditRequest, conflict: Conflict) -> bool:
    """Whether it is, word for word, a fact that the memory holds: its entry would answer before the edit."""
    earlier = conflict.with_
    same = (earlier.subject, earlier.prompt) == (request.subject, request.prompt)
    return conflict.kind == "duplicate" and same and line.is_remembered(earlier.where)


@dataclass
class Gatekeeper:
    """Holds steps on one line of history to a policy."""

    store: Store
    model: EditableModel
    measuring: Measuring
    line: LineState
    policy: Policy
    supersede: bool = False
    replacing: tuple[Supersession, ...] = ()
    """Edits that the step takes the place of, whatever it says."""
    _probes: ProbeReadings | None = field(default=None, init=False)

    def before(self, head: VersionRow, requests: Sequence[EditRequest]) -> Contradictions:
        """Conflicts with the live edits at `head`; with `supersede` those that would refuse are replaced."""
        self.line.go_to(self.store, head)
        return contradictions(self.line, requests, supersede=self.supersede, replacing=self.replacing)

    def read_before(self, requests: Sequence[EditRequest], system: AnsweringSystem | None = None) -> None:
        """Ask the parent, with its memory, what the probes need."""
        asked, self._probes = self._asked(requests), None
        if any(request.probes for request in asked):
            self._probes = read_probes(self.model, asked, system=system)

    def after(
        self,
        head: VersionRow,
        requests: Sequence[EditRequest],
        evaluations: Sequence[RequestEvaluation],
        system: AnsweringSystem | None = None,
        progress: Progress = silent,
    ) -> Findings:
        """Check the candidate, whose parent is `head`; `system` answers for it, its memory included."""
        place = head.depth + 1  # not its number, which another branch may take
        reading = self.measuring.health.run(
            place,
            requests,
            evaluations,
            self.line.edits,
            system=system,
            parent=self._perplexity(head),
            found=partial(tell_check, progress),
        )
        results = [*reading.results, *self._ripple(requests, system)]
        monitor = self.line.monitor(self.store, head, self.policy.limits)
        ahead, state = tried(monitor, self.store.reader.last_number() + 1, results, self.policy.limits)
        held = next((one.detail.get("held", ()) for one in results if one.check == "efficacy"), ())
        last = collapse_check(state)
        for one in [*results[len(reading.results) :], last]:
            tell_check(progress, one)
        return Findings((*results, last), reading.metrics, tuple(held), ahead)

    def _perplexity(self, version: VersionRow) -> float | None:
        """The value of `perplexity` at a version; 1 of the unedited model, None where it was not measured."""
        if version.number == 0:
            return 1.0
        checks = self.store.reader.checks(version.number)
        return next((one.value for one in checks if one.check == "perplexity"), None)

    def _ripple(self, requests: Sequence[EditRequest], system: AnsweringSystem | None) -> list[CheckResult]:
        if self._probes is None:
            return []
        asked = self._asked(requests)
        now = read_probes(self.model, asked, parent=self._probes, system=system)
        return [ripple_check(ripple_report(self._probes, now, asked))]

    def _asked(self, requests: Sequence[EditRequest]) -> list[EditRequest]:
        """The requests with as many probes as one edit may cost."""
        left = self.policy.budget.probes
        asked = []
        for request in requests:
            kept = request.probes[: max(left, 0)]
            left -= len(kept)
            asked.append(request.model_copy(update={"probes": kept}))
        return asked

    def committed(
        self,
        version: VersionRow,
        requests: Sequence[EditRequest],
        findings: Findings,
        supersedes: Sequence[Supersession],
    ) -> None:
        """`version` was made of the step checked last."""
        held = findings.held or (None,) * len(requests)
        monitor = findings.monitor
        if monitor is not None and monitor.version != version.number:
            monitor = None  # the version was there already: its own series is read from the ledger
        self.line.advance(version, requests, held, supersedes, monitor, self.policy.limits)

    def healthy_ancestor(self, head: VersionRow) -> VersionRow:
        """The last version up to `head` at which the model was healthy; the unedited model if none was."""
        for version in self.store.reader.log(head.id, limit=head.depth + 1):
            state = [one for one in self.store.reader.checks(version.number) if one.check == "collapse"]
            if not state or state[0].verdict == "pass":
                return version
        return self.store.reader.version(0)


def tell_check(progress: Progress, result: CheckResult) -> None:
    """Pass a check on to whoever watches."""
    tell(
        progress,
        "check",
        check=result.check,
        verdict=result.verdict,
        message=result.message,
        value=result.value,
        warn=result.warn,
        fail=result.fail,
    )


def conflict_check(conflicts: Sequence[Conflict], *, replaced: Sequence[Conflict] = ()) -> CheckResult:
    """Conflicts as one check: the worst severity is the verdict, its message the first."""
    worst = max((one.severity for one in conflicts), key=SEVERITIES.index, default="note")
    weighty = [one for one in conflicts if one.severity != "note"] or list(conflicts)
    message = "; ".join(one.message for one in weighty[:3]) or "none"
    if replaced:
        names = ", ".join(dict.fromkeys(one.with_.label for one in replaced))
        message = f"takes the place of {names}" + (f"; {message}" if conflicts else "")
    detail = {"conflicts": [_as_json(one) for one in conflicts], "replaced": [_as_json(o) for o in replaced]}
    return CheckResult("conflict", _VERDICTS[worst], message, detail=detail)


def _as_json(conflict: Conflict) -> dict[str, object]:
    return {
        "kind": conflict.kind,
        "severity": conflict.severity,
        "version": conflict.with_.version,
        "position": conflict.with_.position,
        "message": conflict.message,
    }


def _hint(found: Sequence[tuple[int, Conflict]]) -> str:
    return next((one.hint for _, one in found if one.hint), "")


def _in_order(one: Supersession) -> tuple[int, int, int]:
    return (one.position, one.earlier_version, one.earlier_position)
