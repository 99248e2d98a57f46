"""A long run: many edits in batches, with a table every so many, through a store that a kill only interrupts.

    python benchmarks/bench_long.py --method memit --batch 10 --store /somewhere/long-memit

The same command again goes on where the run was interrupted (without `--store` the store is thrown away);
rows already measured are printed as they were (they are kept in the store's runs/ folder). Each row evaluates
the last batch, the first records and all records so far on the model as it then is. Perplexity is a ratio to
the unedited model's: "ppl" on the built-in monitor text, which is short, "text" on that of `--text`. The
policy is `observe`: nothing is held back.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark_files import add_data_file, setting
from single_edits import reading_text

from kedit_lifecycle.checks.health.weights import weight_changes
from kedit_lifecycle.evaluation.suite import aggregate, evaluate_requests
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.sources import DEFAULT_MODEL
from kedit_lifecycle.workbench import EditOutcome, Workbench

PARTS = ("last", "first", "all")
SHARES = ("efficacy", "paraphrase", "neighborhood")


class LongRun:
    """Follows a run; measures every so many edits."""

    def __init__(self, arguments: argparse.Namespace, workbench: Workbench) -> None:
        self.arguments, self.workbench = arguments, workbench
        self.requests: Sequence[EditRequest] = load_requests(arguments.records).requests[: arguments.count]
        self.text = reading_text(arguments.text, arguments.tokens)
        self.rows_file = workbench.store.path / "runs" / f"long-{arguments.method}.jsonl"
        self.rows: dict[int, dict[str, Any]] = {}
        if self.rows_file.exists():
            for text in self.rows_file.read_text("utf-8").splitlines():
                row = json.loads(text)
                self.rows[row["edits"]] = row

    def run(self) -> None:
        print(heading(), flush=True)
        self.measure(0, [])
        for edits in sorted(self.rows):
            print(line(self.rows[edits], self.rows[0]), flush=True)
        started = bool(self.workbench.store.reader.head().run)
        self.workbench.apply(
            self.requests,
            method=self.arguments.method,
            config=dict(self.arguments.set),
            batch=self.arguments.batch,
            resume=started,
            measure="none",
            policy="observe",
            allow_conflicts=True,
            on_outcome=self.after,
        )

    def after(self, outcome: EditOutcome) -> None:
        assert outcome.version is not None
        assert outcome.version.run is not None
        done = (int(outcome.version.run["index"]) + 1) * self.arguments.batch
        if done % self.arguments.every == 0 and done not in self.rows:
            self.measure(done, outcome.requests)
            print(line(self.rows[done], self.rows[0]), flush=True)

    def measure(self, done: int, last: Sequence[EditRequest]) -> None:
        """The unedited model (0) on all records of the run, or the model as it is."""
        if done in self.rows:
            return
        model = self.workbench.model
        groups = {
            "last": list(last),
            "first": list(self.requests[: self.arguments.every]),
            "all": list(self.requests[: done or self.arguments.count]),
        }
        row: dict[str, Any] = {"edits": done}
        whole = self.workbench.measure_model()
        row |= {name: value.value for name, value in whole.items()}
        row["text"] = self.text(model)
        row["weight_change"] = max(weight_changes(model).values(), default=0.0)
        for name, requests in groups.items():
            generate = name != "all" or (done > 0 and done % self.arguments.generate_every == 0)
            found = aggregate(evaluate_requests(model, requests, generate=generate, fluency=False))
            row[name] = {metric: value.value for metric, value in found.items()}
        self.rows[done] = row
        with self.rows_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def heading() -> str:
    groups = "".join(f"{part:>20}" for part in PARTS)
    names = f"{'ES':>8}{'PS':>6}{'NS':>6}" * 3
    wholes = f"{'EM':>8}{'genEM':>7}{'ppl':>8} {'text':>8} {'drift':>8}{'‖ΔW‖/‖W‖':>10}"
    return f"{'':>6}{groups}\n{'edits':>6}{names}{wholes}"


def line(row: dict[str, Any], unedited: dict[str, Any]) -> str:
    cells = ""
    for part in PARTS:
        values = [row[part].get(metric) for metric in SHARES]
        cells += "".join(
            f"{'–':>{8 if i == 0 else 6}}" if v is None else f"{v:{8 if i == 0 else 6}.3f}"
            for i, v in enumerate(values)
        )
    said = row["all"].get("generated_exact_match", float("nan"))
    exact = row["all"].get("exact_match", float("nan"))
    ratios = "".join(f"{row[text] / unedited[text]:8.3f}×" for text in ("perplexity", "text"))
    return (
        f"{row['edits']:>6}{cells}{exact:8.3f}{said:7.3f}{ratios}"
        f"{row['drift_kl']:8.4f}{row['weight_change']:10.4f}"
    )


def follow(arguments: argparse.Namespace, place: Path) -> None:
    """The run in this store, from its beginning or from where it stands."""
    fresh, device = not (place / "ledger.db").exists(), arguments.device
    opened = (
        Workbench.create(place, model=arguments.model, device=device)
        if fresh
        else Workbench.open(place, device=device)
    )
    with opened as workbench:
        workbench.checkout_model()
        LongRun(arguments, workbench).run()


def main() -> None:
    """Run, or go on with, a long run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_file(parser, "--records", "counterfact_stream_1500.jsonl")
    parser.add_argument("--method", default="memit")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--generate-every", type=int, default=500, help="generated exact match, on all")
    add_data_file(parser, "--text", "wikitext2_valid_300k.txt")
    parser.add_argument("--tokens", type=int, default=8192, help="of that text")
    parser.add_argument("--store", type=Path, help="where the run is kept")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="FIELD=VALUE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        follow(arguments, arguments.store or Path(folder) / "store")


if __name__ == "__main__":
    main()
