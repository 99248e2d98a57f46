"""Calibrate an editor for the store's model: the use-case behind `kedit tune`."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rfc8785

from kedit_lifecycle.editors import Editor, EditorConfig, get_editor
from kedit_lifecycle.editors.locate.config import ValueSearchConfig
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.editors.statistics.second_moment import key_width
from kedit_lifecycle.errors import RefusedError, UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.progress import Progress, silent
from kedit_lifecycle.tuning.halving import (
    DEFAULT,
    ETA,
    Rung,
    RungOutcome,
    Search,
    plan_rungs,
    successive_halving,
)
from kedit_lifecycle.tuning.known import KnownFacts, choose_known
from kedit_lifecycle.tuning.profile import Profile, save_profile
from kedit_lifecycle.tuning.space import draw_candidates, search_space
from kedit_lifecycle.tuning.trial import Trial, Trials
from kedit_lifecycle.workbench.editing import configure
from kedit_lifecycle.workbench.workbench import Workbench

_MOMENT_BYTES = 1 << 30  # of key covariances that are accumulated in one pass


@dataclass(frozen=True)
class FinishedTrial:
    """One candidate on one rung (both from 0), and its settings that differ from the default."""

    rung: int
    candidate: int
    changed: Mapping[str, Any]
    trial: Trial


Finished = Mapping[tuple[int, int], FinishedTrial]
"""By (rung, candidate)."""


@dataclass(frozen=True)
class RungReport:
    """What came of a rung: edits in a trial, candidates planned and tried; `complete` if all were."""

    edits: int
    held_out: bool
    planned: int
    tried: int
    complete: bool


@dataclass(frozen=True)
class TuningResult:
    """The winner, stored as a profile; `finalists` are the best of the deciding rung, and the default."""

    profile: Profile
    path: Path
    winner: int
    deciding: int
    rungs: tuple[RungReport, ...]
    finalists: tuple[FinishedTrial, ...]
    facts: KnownFacts
    seconds: float


@dataclass(frozen=True)
class Budget:
    """What a search may cost, and what decides its course.

    Args:
        minutes: when to stop.
        edits: length of the held-out sequence; the tuning part has three quarters of it.
        candidates: settings to begin with, the default included.
        batch: requests to one edit.
        seed: of the order of the facts and of the candidates.
    """

    minutes: float = 30.0
    edits: int = 20
    candidates: int = 27
    batch: int = 1
    seed: int = 0

    def check(self) -> None:
        """Refuse what is no budget.

        Raises:
            UsageError: naming what is wrong.
        """
        if not (math.isfinite(self.minutes) and self.minutes > 0):
            raise UsageError(f"{self.minutes:g} minutes: a budget is more than 0", hint="--minutes 30")
        if self.edits < 1 or self.candidates < 2 or self.batch < 1:
            raise UsageError("tuning needs at least 1 edit, 2 candidates and 1 request to an edit")


@dataclass(frozen=True)
class _Plan:
    """Everything that a search does, settled before it begins."""

    editor: Editor[Any]
    configs: tuple[EditorConfig, ...]
    rungs: tuple[Rung, ...]
    facts: KnownFacts
    made: Mapping[str, Any]

    def requests(self, rung: int) -> tuple[EditRequest, ...]:
        """A rung's facts: the first of the tuning part, or the held-out part."""
        tuning = self.rungs[-2].edits
        own = self.facts.facts
        return own[tuning:] if self.rungs[rung].held_out else own[: self.rungs[rung].edits]

    def changed(self, candidate: int) -> dict[str, Any]:
        """A candidate's settings that differ from the default, as JSON values."""
        default, own = (one.model_dump(mode="json") for one in (self.configs[0], self.configs[candidate]))
        return {name: value for name, value in own.items() if value != default[name]}


def tune(
    workbench: Workbench,
    requests: Sequence[EditRequest],
    *,
    editor: str,
    fixed: Mapping[str, Any] | None = None,
    budget: Budget | None = None,
    progress: Progress = silent,
    on_trial: Callable[[FinishedTrial], None] = lambda trial: None,
    clock: Callable[[], float] = time.monotonic,
) -> TuningResult:
    """Search an editor's settings on sequences of edits of the unedited model, and store the best.

    `fixed` settings hold for every candidate, the default included. The ledger is not touched, and no
    lock is held: a profile is one file. An interruption stores nothing.

    Raises:
        UsageError: an editor without a search space, a budget that is none, a field of `fixed` that
            is wrong, or too few facts that the model knows.
        RefusedError: the time was up before anything was tried, or every candidate failed.
        StoreUnwritableError: the profile cannot be written.
    """
    began, budget = clock(), budget or Budget()
    budget.check()
    plan = _plan(workbench, requests, get_editor(editor), fixed or {}, budget)
    _prepare(workbench.statistics, plan)
    trials = Trials(workbench.model, workbench.statistics, plan.editor, batch=budget.batch)
    trying = _Trying(plan, trials, progress, on_trial)
    search = successive_halving(
        len(plan.configs),
        plan.rungs,
        trying,
        seconds=budget.minutes * 60,
        clock=clock,
        began=began,
        on_rung=trying.begin,
    )
    return _store(workbench, plan, search, trying.finished, lambda: clock() - began)


def _plan(
    workbench: Workbench,
    requests: Sequence[EditRequest],
    editor: Editor[Any],
    fixed: Mapping[str, Any],
    budget: Budget,
) -> _Plan:
    model = workbench.model
    space = search_space(editor, model, batch=budget.batch)
    free = {name: distribution for name, distribution in space.items() if name not in fixed}
    default = configure(editor, model, fixed)
    candidates = draw_candidates(free, default.model_dump(), budget.candidates, budget.seed)
    made = {**asdict(budget), "candidates": len(candidates), "fixed": dict(fixed)}
    made["data"] = _data_digest(requests)
    _refuse_unstorable(workbench, editor, default, made)
    return _Plan(
        editor,
        tuple(configure(editor, model, {**fixed, **candidate}) for candidate in candidates),
        plan_rungs(budget.edits),
        _enough_known(workbench, requests, budget),
        made,
    )


def _data_digest(requests: Sequence[EditRequest]) -> str:
    """sha256 (hex) over the requests' digests in order, whatever format they came in."""
    return hashlib.sha256(rfc8785.dumps([request.digest for request in requests])).hexdigest()


def _refuse_unstorable(
    workbench: Workbench, editor: Editor[Any], default: EditorConfig, made: Mapping[str, Any]
) -> None:
    """Before half an hour goes into a profile that cannot be written."""
    try:
        _ = _profile(workbench, editor, default, made).digest
    except ValueError as error:
        raise UsageError(f"these settings cannot be kept in a profile: {error}") from error


def _profile(
    workbench: Workbench, editor: Editor[Any], config: EditorConfig, made: Mapping[str, Any]
) -> Profile:
    meta = workbench.store.meta
    return Profile(
        editor.name, meta["base_digest"], workbench.model.name, config.model_dump(mode="json"), made
    )


def _enough_known(workbench: Workbench, requests: Sequence[EditRequest], budget: Budget) -> KnownFacts:
    tuning, held_out = plan_rungs(budget.edits)[-2:]
    wanted = tuning.edits + held_out.edits
    found = choose_known(workbench.model, requests, wanted, budget.seed)
    if len(found.facts) < wanted:
        raise UsageError(
            f"the model knows {len(found.facts)} of {len(requests)} facts ({found.unknown} it does not, "
            f"{found.incomparable} have no target_true, {found.repeated} are about what another is about); "
            f"tuning with {budget.edits} edits needs {wanted}",
            hint="more facts, or fewer --edits",
        )
    return found


def _prepare(statistics: Statistics, plan: _Plan) -> None:
    """What is read off the model for all candidates' layers, in as few passes as memory allows."""
    config = plan.configs[0]
    layers = sorted({layer for one in plan.configs for layer in plan.editor.layers(one)})
    if layers and not getattr(config, "second_moment", None):
        tokens = getattr(config, "second_moment_tokens", None)
        at_once = max(1, _MOMENT_BYTES // (4 * key_width(statistics.model, layers[0]) ** 2))
        for begin in range(0, len(layers), at_once):
            statistics.build_second_moments(layers[begin : begin + at_once], tokens=tokens)
    natural = [
        one
        for one in plan.configs
        if isinstance(one, ValueSearchConfig) and one.optimiser == "natural-momentum"
    ]
    if natural:
        searched = sorted({_searched_layer(one) for one in natural})
        statistics.build_output_fishers(searched, tokens=natural[0].fisher_tokens)


def _searched_layer(config: Any) -> int:
    """The layer whose output the search for v* moves: the one, or the last, that is written to."""
    layer: int = config.layers[-1] if hasattr(config, "layers") else config.layer
    return layer


class _Trying:
    """An attempt of the schedule: runs the trial, tells, and keeps what came of it."""

    def __init__(
        self, plan: _Plan, trials: Trials, progress: Progress, on_trial: Callable[[FinishedTrial], None]
    ) -> None:
        self.finished: dict[tuple[int, int], FinishedTrial] = {}  # by (rung, candidate)
        self._plan = plan
        self._trials = trials
        self._progress = progress
        self._on_trial = on_trial
        self._count = _Counting(progress)

    def begin(self, rung: int, planned: int) -> None:
        """A rung begins: what it will take."""
        stage = f"rung {rung + 1} of {len(self._plan.rungs)}, edits"
        self._count = _Counting(self._progress, stage, planned * self._plan.rungs[rung].edits)

    def __call__(self, candidate: int, rung: int, expired: Callable[[], bool]) -> float | None:
        """The candidate's score on a rung."""
        config, requests = self._plan.configs[candidate], self._plan.requests(rung)
        before = self._count.done
        trial = self._trials.run(config, requests, expired=expired, on_edit=self._count)
        self._count.done = before + len(requests)  # a failed trial ends before its last edit
        finished = FinishedTrial(rung, candidate, self._plan.changed(candidate), trial)
        self.finished[rung, candidate] = finished
        self._on_trial(finished)
        return trial.rank


@dataclass
class _Counting:
    """Reports edits as they are made."""

    progress: Progress
    stage: str = ""
    total: int = 0
    done: int = 0

    def __call__(self, requests: int) -> None:
        """So many more requests are edited."""
        self.done += requests
        self.progress(self.stage, self.done, self.total)


def _store(
    workbench: Workbench, plan: _Plan, search: Search, finished: Finished, elapsed: Callable[[], float]
) -> TuningResult:
    if search.winner is None:
        raise _no_winner(finished)
    profile = _winning_profile(workbench, plan, search, search.winner, finished)
    return TuningResult(
        profile=profile,
        path=save_profile(workbench.store.path, profile),
        winner=search.winner,
        deciding=search.deciding,
        rungs=_reports(plan, search),
        finalists=_finalists(search, finished),
        facts=plan.facts,
        seconds=elapsed(),
    )


def _no_winner(finished: Finished) -> RefusedError:
    if not finished:
        return RefusedError(
            "the time was up before one candidate was tried; nothing was stored", hint="more --minutes"
        )
    last = [one.trial.failure for one in finished.values() if one.trial.failure][-1]
    return RefusedError(
        f"every candidate failed, and nothing was stored; the last one: {last}",
        hint="fewer --edits, more --candidates, or other facts",
    )


def _reports(plan: _Plan, search: Search) -> tuple[RungReport, ...]:
    def report(rung: Rung, outcome: RungOutcome | None) -> RungReport:
        if outcome is None:
            return RungReport(rung.edits, rung.held_out, 0, 0, False)
        planned, tried = len(outcome.planned), len(outcome.scores)
        return RungReport(rung.edits, rung.held_out, planned, tried, outcome.complete)

    outcomes = [*search.rungs, *[None] * (len(plan.rungs) - len(search.rungs))]
    return tuple(report(*pair) for pair in zip(plan.rungs, outcomes, strict=True))


def _finalists(search: Search, finished: Finished) -> tuple[FinishedTrial, ...]:
    """The winner, the next best of the deciding rung, and the default if it is not among them."""
    rung = search.deciding
    others = [one for one in search.rungs[rung].ranked() if one != search.winner]
    failed = [one for one, score in search.rungs[rung].scores.items() if score is None]
    best = [search.winner, *others, *failed][:ETA]
    shown = best if DEFAULT in best else [*best, DEFAULT]
    return tuple(finished[rung, one] for one in shown if one is not None)


def _winning_profile(
    workbench: Workbench, plan: _Plan, search: Search, winner: int, finished: Finished
) -> Profile:
    """It holds no seconds, so that the same search gives the same digest."""
    scores = {
        name: _scores(finished[search.deciding, candidate].trial)
        for name, candidate in (("default", DEFAULT), ("winner", winner))
    }
    rungs = [asdict(report) for report in _reports(plan, search)]
    made = {**plan.made, "rungs": rungs, "deciding": search.deciding, "winner": winner, "scores": scores}
    return _profile(workbench, plan.editor, plan.configs[winner], made)


def _scores(trial: Trial) -> dict[str, float | None]:
    values = {name: getattr(trial, name) for name in _KEPT_SCORES}
    return {name: value if value is None or math.isfinite(value) else None for name, value in values.items()}


_KEPT_SCORES = (
    "score",
    "s",
    "efficacy",
    "paraphrase",
    "neighborhood",
    "unedited_neighborhood",
    "generated_exact_match",
    "perplexity_ratio",
)
