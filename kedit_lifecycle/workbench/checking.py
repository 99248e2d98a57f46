"""Checks asked for by themselves: a version's health, conflicts of a history, ripple effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kedit_lifecycle.checks.collapse import collapse_check
from kedit_lifecycle.checks.collapse.history import recorded_monitor
from kedit_lifecycle.checks.conflict import Conflict, RecordedEdit
from kedit_lifecycle.checks.gate import Policy
from kedit_lifecycle.checks.result import CheckResult
from kedit_lifecycle.checks.ripple import (
    ProbeReadings,
    RippleReport,
    read_probes,
    ripple_report,
    with_probes,
    world_graph,
)
from kedit_lifecycle.errors import RefusedError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.ledger.line import line_edits
from kedit_lifecycle.ledger.records import VersionRow
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.workbench.line_state import LineState, conflict_index
from kedit_lifecycle.workbench.workbench import Workbench


@dataclass(frozen=True)
class VersionCheck:
    """A version's checks, made now."""

    version: VersionRow
    results: tuple[CheckResult, ...]


def check_version(workbench: Workbench, ref: str, policy: Policy) -> VersionCheck:
    """Check a version, its memory included, in full: its own edits, all it measures, the state of the line.

    Nothing is written.
    """
    version = workbench.store.reader.resolve(ref)
    workbench.checkout_model(ref)
    system = workbench.system_at(version)
    line = LineState()
    line.go_to(workbench.store, version)
    own = [one for one in line.edits if one.version == version.number]
    earlier = [one for one in line.edits if one.version != version.number]
    requests = [one.request for one in own]
    measuring = workbench.measured_by(policy)
    now = measuring.now(requests, measure="requests", system=system) if requests else None
    evaluations = now.evaluations if now else ()
    reading = measuring.health.run(version.depth, requests, evaluations, earlier, system=system, full=True)
    state = recorded_monitor(workbench.store.reader, version, policy.limits).health
    kept = [one for one in reading.results if requests or one.check not in ("efficacy", "neighborhood")]
    return VersionCheck(version, (*kept, collapse_check(state)))


@dataclass(frozen=True)
class FoundConflicts:
    """A request and what it clashes with; `at` is the edit on record that it is, if it is one."""

    request: EditRequest
    conflicts: tuple[Conflict, ...]
    at: RecordedEdit | None = None


def conflicts_with(store: Store, ref: str, requests: Sequence[EditRequest]) -> Iterator[FoundConflicts]:
    """What each request would clash with among the live edits of a version."""
    line = LineState()
    line.go_to(store, store.reader.resolve(ref))
    for request in requests:
        yield FoundConflicts(request, tuple(line.index.find(request)))


def conflicts_within(store: Store, ref: str) -> Iterator[FoundConflicts]:
    """Each live edit of a history with what it clashed with among those before it, oldest first."""
    index = conflict_index()
    for edit in line_edits(store.reader, store.reader.resolve(ref)):
        request = EditRequest.model_validate(edit.request.payload)
        recorded = RecordedEdit.of(edit.version, edit.position, request)
        for gone in (one for one in store.reader.supersedes(edit.version) if one.position == edit.position):
            index.remove(gone.earlier_version, gone.earlier_position)
        if not edit.superseded:
            yield FoundConflicts(request, tuple(index.find(request)), recorded)
        index.add(recorded)


@dataclass(frozen=True)
class VersionRipple:
    """The ripple effects of a version's edits, read at a version, beside its parent."""

    version: VersionRow
    at: VersionRow
    requests: tuple[EditRequest, ...]
    report: RippleReport


def ripple_of(workbench: Workbench, ref: str, *, at: str | None = None) -> VersionRipple:
    """Ask what should have changed along with the edits of a version, and what should not.

    Probes are those of the requests; a request without any gets those that follow from world-facts and
    the live edits. What they take for known is asked of the version's parent.

    Raises:
        RefusedError: the version made no edit, or nothing is known that could be asked.
    """
    reader = workbench.store.reader
    version = reader.resolve(ref)
    seen = reader.resolve(at) if at else version
    requests = [EditRequest.model_validate(one.payload) for one in reader.requests(version.number)]
    if not requests or version.parent is None:
        raise RefusedError(f"version {version.number} made no edit", hint="kedit log")
    live = [one for one in line_edits(reader, version) if not one.superseded]
    graph = world_graph([EditRequest.model_validate(one.request.payload) for one in live])
    probed = with_probes(requests, graph)
    if not any(request.probes for request in probed):
        raise RefusedError(
            f"the edits of version {version.number} bring no probes, and none follow from what is known",
            hint="facts with probes: RippleEdits, KnowEdit, MQuAKE files, or world-facts",
        )
    before = _probes_at(workbench, reader.resolve(version.parent), probed)
    after = _probes_at(workbench, seen, probed, before)
    return VersionRipple(version, seen, tuple(probed), ripple_report(before, after, probed))


def _probes_at(
    workbench: Workbench,
    version: VersionRow,
    requests: Sequence[EditRequest],
    parent: ProbeReadings | None = None,
) -> ProbeReadings:
    """What a version, its memory included, answers to the probes."""
    model = workbench.checkout_model(version.id)
    return read_probes(model, requests, parent=parent, system=workbench.system_at(version))
