"""What is remembered of the line up to HEAD: the edits that are live, and how the model fared."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from kedit_lifecycle.checks.collapse import Health, HealthLimits, HealthMonitor
from kedit_lifecycle.checks.collapse.history import recorded_monitor
from kedit_lifecycle.checks.conflict import ConflictIndex, RecordedEdit
from kedit_lifecycle.checks.health import EarlierEdit
from kedit_lifecycle.checks.result import CheckResult
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.facts.world import world_aliases, world_triples
from kedit_lifecycle.ledger.line import LineEdit, line_edits, line_request_metrics
from kedit_lifecycle.ledger.records import Supersession, VersionRow
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.models.sentence_encoder import SentenceEncoder, packaged_encoder
from kedit_lifecycle.workbench.serac import MEMORY

HELD_METRICS = ("efficacy", "exact_match")


class LineState:
    """The live edits of one version, as conflicts and retention need them; of another, it is read anew."""

    def __init__(self) -> None:
        self._version = ""
        self._all: list[EarlierEdit] = []
        self._edits: dict[tuple[int, int], EarlierEdit] = {}  # the live ones
        self._remembered: set[tuple[int, int]] = set()  # of these, those that the memory holds
        self._index: ConflictIndex | None = None
        self._encoder = default_encoder()
        self._monitors: dict[str, HealthMonitor] = {}

    def go_to(self, store: Store, version: VersionRow) -> None:
        """Read the line of `version`, unless it is the one at hand."""
        if version.id == self._version:
            return
        found = line_edits(store.reader, version)
        held = _held(line_request_metrics(store.reader, version, HELD_METRICS))
        self._all = [_earlier(one, held) for one in found]
        superseded = {(one.version, one.position) for one in found if one.superseded}
        self._edits = {place: one for one in self._all if (place := _place(one)) not in superseded}
        self._remembered = {
            place
            for one in found
            if one.operation == MEMORY and (place := (one.version, one.position)) in self._edits
        }
        self._index, self._monitors, self._version = None, {}, version.id

    def is_remembered(self, place: tuple[int, int]) -> bool:
        """Whether a live edit, by (version, position), is one that the memory holds."""
        return place in self._remembered

    @property
    def edits(self) -> list[EarlierEdit]:
        """The live edits, oldest first."""
        return list(self._edits.values())

    @property
    def index(self) -> ConflictIndex:
        """What a new request could clash with."""
        if self._index is None:
            self._index = conflict_index(self._encoder)
            for edit in self._all:  # a superseded one too: what it replaced is known of its slot
                self._index.add(RecordedEdit.of(edit.version, edit.position, edit.request))
            for place in [_place(edit) for edit in self._all if _place(edit) not in self._edits]:
                self._index.remove(*place)
        return self._index

    def monitor(self, store: Store, version: VersionRow, limits: HealthLimits) -> HealthMonitor:
        """The state of the model at `version` under these limits."""
        self.go_to(store, version)
        name = limits.model_dump_json()
        if name not in self._monitors:
            self._monitors[name] = recorded_monitor(store.reader, version, limits)
        return self._monitors[name]

    def advance(
        self,
        version: VersionRow,
        requests: Sequence[EditRequest],
        held: Sequence[bool | None],
        supersedes: Sequence[Supersession],
        monitor: HealthMonitor | None,
        limits: HealthLimits,
    ) -> None:
        """`version` was committed on top of the one at hand."""
        for position, (request, holds) in enumerate(zip(requests, held, strict=True)):
            made = EarlierEdit(version.number, position, request, holds)
            self._edits[version.number, position] = made
            self._all.append(made)
            if version.operation == MEMORY:
                self._remembered.add(_place(made))
            if self._index is not None:
                self._index.add(RecordedEdit.of(version.number, position, request))
        for one in supersedes:
            gone = self._edits.pop((one.earlier_version, one.earlier_position), None)
            self._remembered.discard((one.earlier_version, one.earlier_position))
            if gone is not None and self._index is not None:
                self._index.remove(gone.version, gone.position)
        self._monitors = {} if monitor is None else {limits.model_dump_json(): monitor}
        self._version = version.id


def default_encoder() -> SentenceEncoder | None:
    """The packaged sentence encoder; None where its package is not installed."""
    return SentenceEncoder() if packaged_encoder() else None


def conflict_index(encoder: SentenceEncoder | None = None) -> ConflictIndex:
    """An empty index that knows world-facts, and compares by meaning."""
    triples = [(one.subject, one.relation, one.object) for one in world_triples()]
    return ConflictIndex(encoder or default_encoder(), aliases=world_aliases(), known=triples)


def tried(
    monitor: HealthMonitor, number: int, results: Sequence[CheckResult], limits: HealthLimits
) -> tuple[HealthMonitor, Health]:
    """A copy of the monitor that was given a candidate's measurements as well, and the state it then sees."""
    ahead = copy.deepcopy(monitor)
    known = {
        one.check: one.value for one in results if one.value is not None and one.check in limits.measures
    }
    return ahead, ahead.add(number, known)


def _place(edit: EarlierEdit) -> tuple[int, int]:
    return (edit.version, edit.position)


def _earlier(edit: LineEdit, held: Mapping[tuple[int, int], bool]) -> EarlierEdit:
    request = EditRequest.model_validate(edit.request.payload)
    return EarlierEdit(edit.version, edit.position, request, held.get((edit.version, edit.position)))


def _held(values: Sequence[tuple[int, int, str, float]]) -> dict[tuple[int, int], bool]:
    """Whether each edit held when it was made: exact match, and efficacy where it was measured."""
    held: dict[tuple[int, int], bool] = {}
    for version, position, _, value in values:
        held[version, position] = held.get((version, position), True) and value == 1.0
    return held
