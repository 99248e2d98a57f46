"""After many sequential edits, is every version that is checked out bit-identical to what was committed?

    python benchmarks/bench_checkout.py [--edits 200] [--versions 20] [--dtypes float32,bfloat16,float16]

Tensors are cloned at commit and compared byte for byte with those of a workbench opened anew. The
optimisation is cut to a few steps: what is asked here is exactness, not the quality of an edit.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

import torch
from benchmark_files import add_data_file

from kedit_lifecycle import Workbench
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.sources import DEFAULT_MODEL
from kedit_lifecycle.workbench import EditOutcome


def edit_all(
    path: Path, model: str, dtype: str, requests: list[EditRequest], wanted: set[int], steps: int
) -> dict[int, dict[str, torch.Tensor]]:
    """Edit in order; clones of the served tensors of the versions wanted, by number."""
    kept: dict[int, dict[str, torch.Tensor]] = {}
    with Workbench.create(path, model=model, dtype=dtype) as bench:

        def keep(outcome: EditOutcome) -> None:
            assert outcome.version is not None
            if outcome.version.number in wanted:
                names = outcome.version.tensors
                kept[outcome.version.number] = {n: bench.model.parameter(n).clone() for n in names}

        quick = {"steps": steps, "prefix_lengths": [[5, 2]]}
        bench.apply(requests, config=quick, measure="none", on_outcome=keep)
    return kept


def main() -> None:
    """Print one row per dtype."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_file(parser, "--records", "counterfact_stream_1500.jsonl")
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--versions", type=int, default=20)
    parser.add_argument("--dtypes", default="float32,bfloat16,float16")
    parser.add_argument("--steps", type=int, default=3, help="of the optimisation")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    requests = list(load_requests(arguments.records).requests[: arguments.edits])
    print(f"{'dtype':<10}{'edits':>7}{'checked':>9}{'identical':>11}{'checkout / edit (time)':>25}")
    for dtype in arguments.dtypes.split(","):
        wanted = set(random.Random(0).sample(range(1, len(requests) + 1), arguments.versions))
        with tempfile.TemporaryDirectory() as folder:
            path, began = Path(folder) / "store", time.perf_counter()
            kept = edit_all(path, arguments.model, dtype, requests, wanted, arguments.steps)
            per_edit = (time.perf_counter() - began) / len(requests)
            with Workbench.open(path) as bench:
                bench.checkout_model("0")
                identical, began = 0, time.perf_counter()
                for number in random.Random(1).sample(sorted(wanted), len(wanted)):
                    model = bench.checkout_model(str(number))
                    pairs = [(model.parameter(n), t) for n, t in kept[number].items()]
                    identical += all(
                        torch.equal(a.view(torch.uint8), b.view(torch.uint8)) and a.dtype == b.dtype
                        for a, b in pairs
                    )
                per_checkout = (time.perf_counter() - began) / len(wanted)
        ratio = f"{per_checkout / per_edit:.3f}"
        print(f"{dtype:<10}{len(requests):>7}{len(wanted):>9}{identical:>11}{ratio:>25}", flush=True)


if __name__ == "__main__":
    main()
