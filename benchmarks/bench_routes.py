"""Weights alone, memory alone, and `auto`: the same edits, all of them evaluated at the end.

    python benchmarks/bench_routes.py [--count 1000] [--seed 0] [--stores FOLDER]

Weights alone and memory alone run under `observe`; `auto`, one fact to a version, under `guarded`, whose
checks it goes by. Every number is of the whole system, the memory included; perplexity is a ratio. With
`--stores` the stores are kept there, and a run that was cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmark_files import add_data_file

from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.sources import DEFAULT_MODEL
from kedit_lifecycle.workbench import EditOutcome, Workbench
from kedit_lifecycle.workbench.measuring import Measure

SHOWN = {
    "efficacy": "ES",
    "paraphrase": "PS",
    "neighborhood": "NS",
    "neighborhood_unchanged": "same",
    "exact_match": "EM",
    "generated_exact_match": "gen",
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_file(parser, "--records", "counterfact_stream_1500.jsonl")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", default="memit,serac,auto")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--stores", type=Path)
    arguments = parser.parse_args()
    requests = list(load_requests(arguments.records).requests)
    random.Random(arguments.seed).shuffle(requests)
    requests = requests[: arguments.count]
    print(f"{len(requests)} edits, seed {arguments.seed}")
    print(
        f"{'':<10}" + "".join(f"{name:>7}" for name in SHOWN.values()) + f"{'ppl':>9}  versions by operation"
    )
    with tempfile.TemporaryDirectory() as folder:
        for method in arguments.methods.split(","):
            run((arguments.stores or Path(folder)) / method, arguments.model, method, requests)


def run(place: Path, model: str, method: str, requests: Sequence[EditRequest]) -> None:
    chosen = method == "auto"
    measure: Measure = "all" if chosen else "none"
    started = place.exists()
    with Workbench.open(place) if started else Workbench.create(place, model=model) as workbench:
        if method == "memit":
            plain = workbench.evaluate(requests, ref="0")
            print(row("unedited", plain.metrics, 1.0), flush=True)
        workbench.apply(
            requests,
            method=method,
            policy="guarded" if chosen else "observe",
            measure=measure,
            batch=1 if chosen or method != "serac" else 50,
            resume=started and workbench.store.reader.head().number > 0,
            on_outcome=told(method),
        )
        found = workbench.evaluate(requests)
        ratio = found.metrics["perplexity"].value / found.unedited["perplexity"].value
        kinds = Counter(one.operation for one in workbench.store.reader.log(limit=len(requests) + 1))
        kinds.pop("root", None)
        print(row(method, found.metrics, ratio) + f"  {dict(kinds)}", flush=True)


def told(method: str) -> Callable[[EditOutcome], None]:
    """Says on stderr, every fifty steps, where a run is."""
    routes: Counter[str] = Counter()

    def tell(outcome: EditOutcome) -> None:
        routes[outcome.version.operation if outcome.version else "taken back"] += 1
        if routes.total() % 50 == 0:
            print(f"{method}: {routes.total()} steps, {dict(routes)}", file=sys.stderr, flush=True)

    return tell


def row(name: str, metrics: Mapping[str, MetricValue], ratio: float) -> str:
    cells = "".join(f"{metrics[m].value:7.3f}" if m in metrics else f"{'–':>7}" for m in SHOWN)
    return f"{name:<10}{cells}{ratio:8.3f}×"


if __name__ == "__main__":
    main()
