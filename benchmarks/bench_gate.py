"""Is a collapse caught, and a healthy run left alone? Unclamped ROME, and MEMIT with its defaults.

    python benchmarks/bench_gate.py [--healthy 200] [--limit 80] [--seed 0]

First the same edits are made by ROME without clamp, early stopping, weight decay, covariance or any care for
the model: under `observe` until perplexity has been above 1.5 × the unedited model's for six edits, then as
many of them under `guarded`. Then a run of MEMIT, one fact at a time, in which every state but "healthy" is
an alarm; each edit that was taken back is listed with its reasons.
The cost of the checks is their time as a ratio to the time of finding the edits, in the healthy run; that of
measuring the edit itself (ES, PS, NS, exact match, what it says) stands beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark_files import add_data_file

from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.sources import DEFAULT_MODEL
from kedit_lifecycle.workbench import EditOutcome, Workbench

COLLAPSE = 1.5
AFTER = 6
UNCLAMPED: dict[str, Any] = {
    "clamp_norm": None,
    "stop_probability": None,
    "stop_loss": 0,
    "weight_decay": 0,
    "kl_factor": 0,
    "optimiser": "adam",
    "learning_rate": 1.0,
    "steps": 20,
    "variant": "original",
    "covariance": False,
    "past_keys": False,
}


class Enough(Exception):  # noqa: N818 - no error: it ends a run
    """Perplexity has been high for long enough."""


@dataclass
class Series:
    """What the checks said, edit by edit."""

    limit: int
    ratios: list[float] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    costs: list[tuple[float, float, float]] = field(default_factory=list)  # seconds: check, measure, plan
    refused: list[EditOutcome] = field(default_factory=list)
    stop_when_high: bool = False

    def add(self, outcome: EditOutcome) -> None:
        by_name = {check.check: check for check in outcome.checks}
        if outcome.version is None:
            self.refused.append(outcome)
            return
        ratio = by_name["perplexity"].value
        assert ratio is not None
        self.ratios.append(ratio)
        self.states.append(str(by_name["collapse"].detail["state"]))
        timing = outcome.version.diagnostics
        names = ("seconds_to_check", "seconds_to_measure", "seconds_to_plan")
        self.costs.append((timing[names[0]], timing[names[1]], timing[names[2]]))
        if self.stop_when_high and sum(value > COLLAPSE for value in self.ratios) >= AFTER:
            raise Enough

    def first(self, state: str) -> int | None:
        """The edit, from 1, at which the model was first called so."""
        return next((place for place, found in enumerate(self.states, start=1) if found == state), None)

    @property
    def passed(self) -> int | None:
        """The edit at which perplexity first passed the collapse."""
        return next((place for place, ratio in enumerate(self.ratios, start=1) if ratio > COLLAPSE), None)


def run(
    folder: Path,
    model: str,
    requests: Sequence[EditRequest],
    method: str,
    config: dict[str, Any],
    policy: str,
    *,
    stop_when_high: bool = False,
) -> Series:
    series = Series(len(requests), stop_when_high=stop_when_high)
    with Workbench.create(folder, model=model) as workbench:
        with contextlib.suppress(Enough):
            workbench.apply(requests, method=method, config=config, policy=policy, on_outcome=series.add)
        kept = [event.payload for event in workbench.store.reader.events(limit=10_000, kind="attempt")]
    unexplained = [payload for payload in kept if not payload["reasons"]]
    assert len(kept) == len(series.refused)
    assert not unexplained, "a rejected edit without a reason in the ledger"
    return series


def main() -> None:
    """Print what was caught, what was let through, and what it cost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_file(parser, "--records", "counterfact_stream_1500.jsonl")
    parser.add_argument("--limit", type=int, default=80, help="edits of unclamped ROME at most")
    parser.add_argument("--healthy", type=int, default=200, help="edits of the healthy run")
    parser.add_argument("--method", default="memit", help="of the healthy run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    requests = list(load_requests(arguments.records).requests)
    random.Random(arguments.seed).shuffle(requests)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if arguments.limit:
            _collapse(place, arguments.model, requests[: arguments.limit])
        if arguments.healthy:
            _healthy(place, arguments, requests[: arguments.healthy])


def _collapse(place: Path, model: str, requests: Sequence[EditRequest]) -> None:
    wild = run(place / "observe", model, requests, "rome", UNCLAMPED, "observe", stop_when_high=True)
    degrading, collapsed = wild.first("degrading"), wild.first("collapsed")
    print(f"unclamped ROME, observe: {len(wild.ratios)} edits, perplexity at the end {wild.ratios[-1]:.3g} ×")
    print(f"  perplexity passed {COLLAPSE} × at edit {wild.passed}")
    print(f"  called degrading at {degrading}, collapsed at {collapsed}", flush=True)
    tried = requests[: len(wild.ratios) + len(wild.refused)]
    held = run(place / "guarded", model, tried, "rome", UNCLAMPED, "guarded")
    reasons = Counter(outcome.decision.reasons[0].partition(":")[0] for outcome in held.refused)
    print(f"unclamped ROME, guarded: {len(held.ratios)} committed, {len(held.refused)} taken back")
    last = held.ratios[-1] if held.ratios else 1.0
    print(f"  taken back by {dict(reasons)}; perplexity at the end {last:.3f} ×", flush=True)


def _healthy(place: Path, arguments: argparse.Namespace, requests: Sequence[EditRequest]) -> None:
    calm = run(place / "calm", arguments.model, requests, arguments.method, {}, "guarded")
    alarms = [number for number, state in enumerate(calm.states, start=1) if state != "healthy"]
    checks, measures, plans = (statistics.fmean(column) for column in zip(*calm.costs, strict=True))
    middle = statistics.median(check / plan for check, _, plan in calm.costs)
    print(f"{arguments.method}, guarded: {len(calm.ratios)} committed, {len(calm.refused)} taken back")
    print(f"  perplexity at the end {calm.ratios[-1]:.3f} ×, highest {max(calm.ratios):.3f} ×")
    print(f"  alarms: {len(alarms)} of {len(calm.states)} {alarms}")
    for outcome in calm.refused:
        print(f"  taken back: {outcome.requests[0].subject}: {'; '.join(outcome.decision.reasons)}")
    print(f"  checks / finding the edit: {checks / plans:.2f} of the mean times, median {middle:.2f}")
    print(
        f"  measuring the edit itself (unedited, before, after, generated) beside it: {measures / plans:.2f}"
    )


if __name__ == "__main__":
    main()
