"""How fast an engine answers read-only requests while it makes an edit, beside an engine at rest.

    python benchmarks/bench_engine.py [--edits 3] [--model smollm2-135m]

Prints p50, p95 and the largest latency in milliseconds of each query, at rest and while edits run, and
the ratio of the two p95.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kedit_lifecycle.engine.client import EngineClient
from kedit_lifecycle.engine.messages import FINAL_STATES
from kedit_lifecycle.engine.process import start_engine
from kedit_lifecycle.facts.readers import load_requests

Latencies = dict[str, list[float]]  # by query, seconds
AT_REST = 60  # rounds


def queries(client: EngineClient) -> dict[str, Callable[[], object]]:
    """What the terminal UI asks while one looks at it."""
    return {
        "engine": client.info,
        "overview": client.overview,
        "history": lambda: client.history(limit=50),
        "version": lambda: client.version("HEAD"),
        "health": client.health,
        "audit": lambda: client.audit(limit=50),
        "suggest": lambda: client.suggest(subject="Fra"),
        "conflicts": lambda: client.conflicts(subject="France", prompt="The capital of {} is", target="Rome"),
    }


def measure_round(client: EngineClient, into: Latencies) -> None:
    """Each query once."""
    for name, ask in queries(client).items():
        began = time.perf_counter()
        ask()
        into.setdefault(name, []).append(time.perf_counter() - began)


def while_editing(client: EngineClient, edits: int) -> tuple[Latencies, float]:
    """Latencies while so many edits are made, and the seconds they took."""
    found: Latencies = {}
    began = time.perf_counter()
    for request in load_requests(Path("world-facts")).requests[:edits]:
        fact = request.model_dump(mode="json", include={"subject", "prompt", "target_true", "relation"})
        job = client.submit("edit", target=request.target_new, policy="observe", **fact)
        while client.job(job.id).state not in FINAL_STATES:
            measure_round(client, found)
        ended = client.job(job.id)
        if ended.state != "done":
            raise SystemExit(f"the edit ended {ended.state}: {ended.error}")
    return found, time.perf_counter() - began


def percentile(values: list[float], share: float) -> float:
    """In milliseconds."""
    return 1000 * sorted(values)[min(len(values) - 1, int(share * len(values)))]


def print_table(rest: Latencies, busy: Latencies) -> None:
    """One line for each query."""
    print(f"{'query':<10} {'at rest':>22}   {'while an edit runs':>31}   ratio")
    print(f"{'':<10} {'p50':>6} {'p95':>7} {'max':>7}   {'p50':>7} {'p95':>7} {'max':>7} {'n':>7}   of p95")
    for name, values in busy.items():
        calm = [percentile(rest[name], share) for share in (0.5, 0.95, 1.0)]
        under = [percentile(values, share) for share in (0.5, 0.95, 1.0)]
        print(
            f"{name:<10} {calm[0]:6.1f} {calm[1]:7.1f} {calm[2]:7.1f}   "
            f"{under[0]:7.1f} {under[1]:7.1f} {under[2]:7.1f} {len(values):7d}   {under[1] / calm[1]:6.2f}"
        )
    every = [value for values in busy.values() for value in values]
    print(f"all queries while an edit runs: p50 {1000 * statistics.median(every):.1f} ms,", end=" ")
    print(f"p95 {percentile(every, 0.95):.1f} ms")


def main() -> None:
    """Make a store, start an engine on it, measure."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--edits", type=int, default=3)
    options.add_argument("--model", default="smollm2-135m")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        init = ["init", "--model", given.model, "--store", str(store), "--accept-unsound"]
        subprocess.run(
            [sys.executable, "-m", "kedit_lifecycle", *init], check=True, stdout=subprocess.DEVNULL
        )
        start_engine(store)
        with EngineClient.connect(store) as client:
            try:
                client.wait(client.submit("ask", prompt="Paris is", refs=["HEAD"], tokens=1, top=1).id)
                rest: Latencies = {}
                for _ in range(AT_REST):
                    measure_round(client, rest)
                busy, seconds = while_editing(client, given.edits)
                shown = client.info()
            finally:
                client.stop()
        print(
            f"{shown.model}, {given.edits} edits in {seconds:.1f} s, {os.cpu_count()} cores, "
            f"{shown.resident_bytes / 2**20:.0f} MiB resident"
        )
        print_table(rest, busy)


if __name__ == "__main__":
    main()
