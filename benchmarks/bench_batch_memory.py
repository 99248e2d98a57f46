"""How much memory one large batch takes: the peak resident size of a process that plans it.

    python benchmarks/bench_batch_memory.py [--count 1000] [--method memit] [--set token_budget=2048]

The token budget bounds what the search for values holds at once; the batch itself is solved whole.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time

from benchmark_files import add_data_file, setting
from single_edits import statistics_in

from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model
from kedit_lifecycle.workbench.editing import configure

GIB = 2**30
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in, in bytes


def peak() -> float:
    """The largest resident size of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / GIB


def main() -> None:
    """Plan the batch and print the peaks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_file(parser, "--records", "counterfact_stream_1500.jsonl")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--method", default="memit")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="FIELD=VALUE")
    arguments = parser.parse_args()
    requests = load_requests(arguments.records).requests[: arguments.count]
    model = load_model(arguments.model)
    editor = get_editor(arguments.method)
    config = configure(editor, model, dict(arguments.set))
    with tempfile.TemporaryDirectory() as folder:
        statistics = statistics_in(model, folder)
        statistics.build_second_moments(editor.layers(config))
        print(f"model and statistics: {peak():.2f} GiB", flush=True)
        began = time.perf_counter()
        delta = editor.plan(model, requests, config, statistics=statistics)
        seconds = time.perf_counter() - began
    print(f"{arguments.method}, a batch of {len(requests)}: {peak():.2f} GiB at the peak")
    print(f"{len(delta.failures)} failed by name, {len(delta.warnings)} warnings, {seconds / 60:.1f} minutes")


if __name__ == "__main__":
    main()
