"""Ripple effects of single edits, per criterion: what the data sets ask, and what world-facts imply.

    python benchmarks/bench_ripple.py [--method memit] [--count 10]

Each record is edited alone and taken back; MQuAKE's rewrites of one record go in together. A test whose
conditions do not hold on the unedited model is left out. "before" is the unedited model on the tests that
are counted, "after" the edited one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from benchmark_files import shared_file
from single_edits import statistics_in

from kedit_lifecycle.checks.ripple import (
    RippleReport,
    read_probes,
    ripple_report,
    with_probes,
    world_graph,
)
from kedit_lifecycle.editors import Editor, EditorConfig, get_editor
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.facts.readers import read_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.facts.world import world_facts
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model

SETS = ("knowedit_wiki_recent_40.json", "knowedit_wiki_counterfact_40.json", "mquake_cf_30.json")
WORLD = "world-facts, derived"
HEADING = f"{'':<34}{'before':>8}{'after':>8}{'counted':>9}{'left out':>10}"

Record = tuple[EditRequest, ...]


@dataclass
class Ripples:
    """The outcomes of one set, and the seconds that edits and probes took."""

    report: RippleReport = field(default_factory=lambda: RippleReport(()))
    editing: float = 0.0
    probing: float = 0.0
    records: int = 0

    def add(self, report: RippleReport) -> None:
        """Take in the next record's outcomes, whose requests are others than those before."""
        outcomes = (replace(outcome, request=self.records) for outcome in report.outcomes)
        self.report = RippleReport((*self.report.outcomes, *outcomes))
        self.records += 1

    def rows(self) -> Iterator[str]:
        before, after = self.report.before_by_category, self.report.by_category
        for category, left_out in self.report.left_out.items():
            if category in after:
                shares = f"{before[category].value:8.3f}{after[category].value:8.3f}{after[category].count:9}"
            else:
                shares = f"{'–':>8}{'–':>8}{0:9}"
            yield f"  {category[:30]:<32}{shares}{left_out:10}"


def records_of(name: str, count: int) -> list[Record]:
    """The first records of a set that have probes."""
    if name == WORLD:
        requests = with_probes(world_facts()[: 4 * count], world_graph())
        return list(islice(((request,) for request in requests if request.probes), count))
    found = (record.requests for record in read_requests(shared_file(name)) if record.requests)
    return list(islice((record for record in found if any(one.probes for one in record)), count))


def measure(
    model: EditableModel,
    editor: Editor[Any],
    config: EditorConfig,
    statistics: Statistics,
    records: Sequence[Record],
) -> Ripples:
    """Edit each record alone, and compare its probes with the unedited model's."""
    ripples = Ripples()
    before = read_probes(model, [request for record in records for request in record])
    for record in records:
        began = time.perf_counter()
        delta = editor.plan(model, record, config, statistics=statistics)
        edited = time.perf_counter()
        with model.trial():
            model.apply(delta.updates)
            ripples.add(ripple_report(before, read_probes(model, record, parent=before), record))
        ripples.editing += edited - began
        ripples.probing += time.perf_counter() - edited
    return ripples


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method", default="memit")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--count", type=int, default=10, help="records of each set")
    parser.add_argument("--sets", default=",".join((*SETS, "world-facts")), help="files, and world-facts")
    arguments = parser.parse_args()
    model, editor = load_model(arguments.model), get_editor(arguments.method)
    config = editor.default_config(model)
    print(f"{editor.pretty_name}, config: {config.model_dump_json()}\n{HEADING}")
    with tempfile.TemporaryDirectory() as folder:
        statistics = statistics_in(model, folder)
        for name in arguments.sets.split(","):
            name = WORLD if name == "world-facts" else name
            ripples = measure(model, editor, config, statistics, records_of(name, arguments.count))
            print(f"{Path(name).stem}: {ripples.records} records")
            print("\n".join(ripples.rows()))
            print(
                f"  probes took {ripples.probing / ripples.editing:.2f} of the time of the edits", flush=True
            )


if __name__ == "__main__":
    main()
