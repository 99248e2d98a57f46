"""Which layer should ROME edit? Single edits over a range of layers, on records apart from the benchmark's.

    python benchmarks/rome_layers.py --records stream.jsonl --count 40 --layers 3-12 --set steps=15

Prints one row per layer beside the unedited model's. Neighborhoods are the record's own and other
records' prompts of the same relation and true answer.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmark_files import setting
from single_edits import HEADING, edit_each_alone, reading_text, statistics_in, unedited_row

from kedit_lifecycle.editors.rome import Rome
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model

PERPLEXITY_TOKENS = 256


def with_neighbors(requests: Sequence[EditRequest], count: int, seed: int) -> list[EditRequest]:
    """`count` requests drawn at random, each with up to four neighbors more, from the rest."""
    alike = defaultdict(list)
    for request in requests:
        alike[(request.relation, request.target_true)].append(request)
    chosen: list[EditRequest] = []
    for request in random.Random(seed).sample(list(requests), len(requests)):
        others = [r for r in alike[(request.relation, request.target_true)] if r.subject != request.subject]
        if len(others) >= 3 and len(chosen) < count:
            prompts = (*request.neighborhood, *(other.question for other in others[:4]))
            chosen.append(request.model_copy(update={"neighborhood": prompts}))
    return chosen


def main() -> None:
    """Run the sweep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--layers", default="3-12", help="first-last, or a,b,c")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument(
        "--set", type=setting, action="append", default=[], help="another field of RomeConfig: name=value"
    )
    arguments = parser.parse_args()
    model, rome = load_model(arguments.model), Rome()
    requests = with_neighbors(load_requests(arguments.records).requests, arguments.count, arguments.seed)
    fields = dict(arguments.set)
    text = reading_text(None, PERPLEXITY_TOKENS)
    base = text(model)
    print(f"{len(requests)} records, seed {arguments.seed}, {json.dumps(fields)}\n{HEADING}", flush=True)
    print(unedited_row(model, requests, generate=False).row("unedited", base), flush=True)
    first, _, last = arguments.layers.partition("-")
    layers = range(int(first), int(last) + 1) if last else [int(part) for part in first.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        statistics = statistics_in(model, folder)
        for layer in layers:
            config = rome.config_class.model_validate({"layer": layer, **fields})
            table = edit_each_alone(model, rome, config, statistics, requests, text, generate=False)
            print(table.row(f"layer {layer}", base), flush=True)


if __name__ == "__main__":
    main()
