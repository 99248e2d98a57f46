"""How long the engine's read-only queries take in a long history, in milliseconds.

    python benchmarks/bench_queries.py [--versions 100000] [--runs 30] [--store PATH]

Before every fiftieth version an edit was taken back. `first` is the first call in a new process, the ledger
in the disk's cache or not; the others are of calls at random offsets, refs and words, nothing repeated.
With --store a ledger is kept there, and used again.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from build_ledger import build_ledger

from kedit_lifecycle.engine.messages import HistoryPage
from kedit_lifecycle.engine.queries import ROUTES, warm

ROWS = 60  # of a page: a large terminal
Parameters = Callable[[random.Random, int], dict[str, object]]

QUERIES: dict[str, tuple[str, Parameters]] = {
    "overview": ("/overview", lambda draw, count: {}),
    "history, the newest page": ("/history", lambda draw, count: {"limit": ROWS}),
    "history, a page at any offset": (
        "/history",
        lambda draw, count: {"limit": ROWS, "offset": draw.randrange(count)},
    ),
    "version": ("/versions/{ref:path}", lambda draw, count: {"ref": draw.randrange(count)}),
    "compare, any two": (
        "/compare",
        lambda draw, count: {"a": draw.randrange(count), "b": draw.randrange(count)},
    ),
    "audit, a page anywhere": (
        "/audit",
        lambda draw, count: {"limit": ROWS, "before": draw.randrange(2, count)},
    ),
    "health, 500 points": ("/health", lambda draw, count: {"ref": draw.randrange(count // 2, count)}),
    "retention": ("/retention", lambda draw, count: {"ref": draw.randrange(count // 2, count)}),
    "memory": ("/memory", lambda draw, count: {"ref": draw.randrange(count)}),
    "suggest": ("/suggest", lambda draw, count: {"subject": draw.choice("abcdefgi"), "prompt": "The cap"}),
    "conflicts": (
        "/conflicts",
        lambda draw, count: {
            "subject": f"Subject {draw.randrange(count)}",
            "prompt": "The capital of {} is",
            "target": "Oslo",
        },
    ),
}


def milliseconds(store: Path, route: str, parameters: dict[str, object]) -> tuple[float, object]:
    """How long one query takes, and its answer."""
    given = {name: str(value) for name, value in parameters.items()}
    began = time.perf_counter()
    answer = ROUTES[route](store, given)
    return (time.perf_counter() - began) * 1000, answer


def print_row(name: str, taken: list[float]) -> None:
    """The first call, and of the others the median, the 95th percentile and the longest."""
    later = sorted(taken[1:]) or taken
    p95 = later[int(0.95 * (len(later) - 1))]
    print(
        f"{name:<38}{taken[0]:>9.1f}{statistics.median(later):>9.1f}{p95:>9.1f}{later[-1]:>9.1f}", flush=True
    )


def measure_filters(store: Path, runs: int, count: int) -> None:
    """The first filter of all, until the whole history is looked at, then other words, then their pages."""
    began = time.perf_counter()
    taken, complete = [], False
    while not complete:
        spent, page = milliseconds(store, "/history", {"filter": "subject 12", "limit": ROWS})
        assert isinstance(page, HistoryPage)
        taken.append(spent)
        complete = page.complete
    print_row("filtered page, history being read", taken)
    print(f"{'  until all of it is read: seconds':<38}{time.perf_counter() - began:>9.1f}")
    draw = random.Random(1)
    words = [f"subject {draw.randrange(10, count)}" for _ in range(runs)]
    print_row("filtered page, new words", [_filtered(store, word, 0) for word in words])
    offsets = [draw.randrange(count // 10) for _ in range(runs)]
    print_row(
        "filtered page, any offset", [_filtered(store, "subject", offset) for offset in (0, 0, *offsets)][2:]
    )


def _filtered(store: Path, words: str, offset: int) -> float:
    return milliseconds(store, "/history", {"filter": words, "offset": offset, "limit": ROWS})[0]


def measure(store: Path, runs: int, count: int) -> None:
    """Print one row per query."""
    print(f"{'milliseconds':<38}{'first':>9}{'median':>9}{'95 %':>9}{'most':>9}")
    draw = random.Random(0)
    for name, (route, parameters) in QUERIES.items():
        calls = [parameters(draw, count) for _ in range(runs + 1)]
        print_row(name, [milliseconds(store, route, call)[0] for call in calls])
    measure_filters(store, runs, count)
    warm(store)
    print(f"resident memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


def main() -> None:
    """Build a ledger, or use the one that is kept, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--store", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = arguments.store or Path(folder) / "store"
        if not (store / "ledger.db").exists():
            build_ledger(store, arguments.versions, attempts_every=50, checks=True)
        print(f"{arguments.versions:,} versions, {(store / 'ledger.db').stat().st_size / 2**20:,.0f} MiB")
        measure(store, arguments.runs, arguments.versions)


if __name__ == "__main__":
    main()
