"""Edits in a row, one at a time or in batches, measured at the end over all of them.

    python benchmarks/bench_sequential.py [--methods rome,memit] [--counts 20,100] [--seeds 0,1]

Without `--seeds` the first records of the file are taken in order; a seed draws others. The unedited
model's row stands above each table. Perplexity is a ratio to its: "ppl" on the built-in monitor text, which
is short and has words of some subjects, "text" on that of `--text`. "speed" is time per edit as a ratio to
the first method's row.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from benchmark_files import add_data_file, setting
from single_edits import COLUMNS, Text, reading_text, statistics_in

from kedit_lifecycle.editors import PastKeys, get_editor
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.evaluation.suite import (
    BaselineReadings,
    RequestEvaluation,
    aggregate,
    evaluate_requests,
    read_neighborhood,
)
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model
from kedit_lifecycle.workbench.editing import configure

SHOWN = [name for name in COLUMNS if not name.endswith("magnitude")]


class EditSequence:
    """One method's edits, continued from count to count."""

    def __init__(
        self, model: EditableModel, method: str, settings: dict[str, Any], statistics: Statistics
    ) -> None:
        self.model, self.statistics = model, statistics
        self.editor = get_editor(method)
        self.config = configure(self.editor, model, settings)
        self.past, self.seconds, self.missed = PastKeys(), 0.0, 0

    def edit(self, requests: Sequence[EditRequest]) -> None:
        began = time.perf_counter()
        delta = self.editor.plan(
            self.model, requests, self.config, statistics=self.statistics, past=self.past
        )
        self.model.apply(delta.updates)
        self.past.add(delta.updates)
        self.seconds += time.perf_counter() - began
        self.missed += len(delta.warnings) + len(delta.failures)


class Ratios:
    """Perplexities on some texts, as ratios to the unedited model's."""

    def __init__(self, model: EditableModel, texts: Sequence[Text]) -> None:
        self._model = model
        self._texts = [(text, text(model)) for text in texts]

    def now(self) -> list[float]:
        return [text(self._model) / base for text, base in self._texts]


def row(name: str, evaluations: Sequence[RequestEvaluation], ratios: Sequence[float], more: str = "") -> str:
    values = aggregate(evaluations)
    cells = "".join(f"{values[m].value:7.3f}" if m in values else f"{'–':>7}" for m in SHOWN)
    return f"{name:<22}{cells}{''.join(f'{ratio:8.4f}×' for ratio in ratios)}{more}"


def heading() -> str:
    names = "".join(f"{COLUMNS[m]:>7}" for m in SHOWN)
    return f"{'':<22}{names}{'ppl':>8} {'text':>8} {'speed':>8}{'missed':>7}"


def draw(requests: Sequence[EditRequest], seed: int | None) -> list[EditRequest]:
    return list(requests) if seed is None else random.Random(seed).sample(list(requests), len(requests))


def widened(requests: Sequence[EditRequest], every: Sequence[EditRequest], count: int) -> list[EditRequest]:
    """With up to `count` neighborhood prompts each: those, and questions, of records that are not edited.

    They are of the same relation and true answer, and name no edited subject.
    """
    subjects = {one.subject for one in requests}
    chosen = {one.question for one in requests}
    alike: dict[tuple[str | None, str | None], list[str]] = {}
    for one in every:
        if one.question not in chosen:
            alike.setdefault((one.relation, one.target_true), []).extend((one.question, *one.neighborhood))
    found = []
    for place, one in enumerate(requests):
        more = [
            text for text in alike.get((one.relation, one.target_true), []) if text not in one.neighborhood
        ]
        free = [text for text in dict.fromkeys(more) if not any(subject in text for subject in subjects)]
        random.Random(place).shuffle(free)
        own = (*one.neighborhood, *free)[: max(count, len(one.neighborhood))]
        found.append(one.model_copy(update={"neighborhood": own}))
    return found


def run(arguments: argparse.Namespace, model: EditableModel, statistics: Statistics) -> None:
    counts = [int(count) for count in arguments.counts.split(",")]
    seeds = [int(s) for s in arguments.seeds.split(",")] if arguments.seeds else [None]
    settings: dict[str, dict[str, Any]] = {}
    for name, value in arguments.set:
        method, _, field = name.partition(".")
        settings.setdefault(method, {})[field] = value
    texts = reading_text(None, 1024), reading_text(arguments.text, arguments.tokens)
    ratios = Ratios(model, texts)
    for seed in seeds:
        every = load_requests(arguments.records).requests
        requests = widened(draw(every, seed)[: max(counts)], every, arguments.neighborhood)
        before = read_neighborhood(model, requests)
        print(
            f"\n{arguments.records.name}, seed {seed}, batches of {arguments.batch}\n{heading()}", flush=True
        )
        for count in counts:
            kept = evaluate_requests(model, requests[:count], fluency=False)
            print(row(f"unedited, {count}", kept, [1.0] * len(texts)), flush=True)
        first = 0.0
        for method in arguments.methods.split(","):
            first = _one_method(
                EditSequence(model, method, settings.get(method, {}), statistics),
                requests, counts, arguments.batch, before, ratios, first,
            )  # fmt: skip


def _one_method(
    edits: EditSequence,
    requests: Sequence[EditRequest],
    counts: Sequence[int],
    batch: int,
    before: BaselineReadings,
    ratios: Ratios,
    first: float,
) -> float:
    with edits.model.trial():
        for start in range(0, max(counts), batch):
            edits.edit(requests[start : start + batch])
            done = min(start + batch, len(requests))
            if done in counts or (start < max(counts) <= done):
                found = evaluate_requests(edits.model, requests[:done], before=before, fluency=False)
                pace = edits.seconds / done
                first = first or pace
                more = f"{pace / first:8.2f}{edits.missed:7d}"
                name = f"{edits.editor.name}, {done}"
                print(row(name, found, ratios.now(), more), flush=True)
    return first


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_file(parser, "--records", "counterfact_100.json")
    parser.add_argument("--methods", default="rome,memit,alphaedit,emmet,ft,ft-l")
    parser.add_argument("--counts", default="20,100")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--seeds", default="", help="draw other records instead of the first ones")
    parser.add_argument(
        "--neighborhood", type=int, default=0, help="prompts to a record, more of them from other records"
    )
    add_data_file(parser, "--text", "wikitext2_valid_300k.txt")
    parser.add_argument("--tokens", type=int, default=8192, help="of that text")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="METHOD.FIELD=VALUE")
    arguments = parser.parse_args()
    model = load_model(arguments.model, device=arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        run(arguments, model, statistics_in(model, folder))


if __name__ == "__main__":
    main()
