"""Single edits by editors that learned to edit, on facts that they never saw.

    python benchmarks/bench_learned.py [FOLDER …] [--count N] [--sequence 200]
    python benchmarks/bench_learned.py --train mend --keep FOLDER [--world-facts]

FOLDER is a trained artefact (`kedit train` prints where it lies); otherwise those that come along. `--train`
makes one, by the default recipe, and copies it to `--keep`. Held out are 200 CounterFact records and 40 of
zsRE (`learned_data`); their subjects are in no training. Beside the editors: the unedited model, and raw
fine-tuning of the same weights (Adam until the target's NLL is below 0.01, at most 25 steps) at the learning
rate that has the best S on 24 records of the training data. The time of an edit is a ratio to one of ROME in
the same run. Each editor is shown with its defaults and with two rounds at most. `--sequence` makes so many
edits in a row, with the defaults and with small steps.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics as numbers
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from bench_gate import Series
from learned_data import artefacts_that_come_along, counterfact_held_out, training_facts, zsre_held_out
from single_edits import HEADING, Table, edit_each_alone, reading_text, statistics_in, unedited_row
from torch import Tensor, nn

from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.editors.learned.artefact import LearnedArtefact
from kedit_lifecycle.editors.learned.examples import encode_example
from kedit_lifecycle.editors.learned.gradients import module_of
from kedit_lifecycle.editors.learned.reading import nll
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.evaluation.suite import aggregate, evaluate_requests, read_neighborhood
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.batching import hidden_states
from kedit_lifecycle.models.delta import TensorUpdate
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model
from kedit_lifecycle.workbench import Workbench
from kedit_lifecycle.workbench.editor_training import train_editor

LEARNING_RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
STEPS, ENOUGH = 25, 1e-2
TIMED = 20
SMALL_STEPS = {"rounds": 32, "scale": 0.1}
WAYS: tuple[dict[str, Any], ...] = ({}, {"rounds": 2})


@contextlib.contextmanager
def leaves(model: EditableModel, tensors: Sequence[str]) -> Iterator[list[nn.Parameter]]:
    """Inside, copies that may be trained stand in the place of some weights."""
    modules = [module_of(model, tensor) for tensor in tensors]
    own = [module._parameters["weight"] for module in modules]
    made = [nn.Parameter(model.master(tensor).to(model.device, copy=True)) for tensor in tensors]
    try:
        for module, leaf in zip(modules, made, strict=True):
            module._parameters["weight"] = leaf
        yield made
    finally:
        for module, parameter in zip(modules, own, strict=True):
            module._parameters["weight"] = parameter


def fine_tuned(
    model: EditableModel, tensors: Sequence[str], request: EditRequest, rate: float
) -> list[TensorUpdate]:
    """Raw fine-tuning of these weights on one edit."""
    target = encode_example(model, request).edit.new
    before = [model.master(tensor).clone() for tensor in tensors]
    with leaves(model, tensors) as trained:
        adam = torch.optim.Adam(trained, lr=rate)
        for _ in range(STEPS):
            loss: Tensor = nll(model, hidden_states(model, [target.ids[:-1]]), [target]).sum()
            if float(loss.detach()) < ENOUGH:
                break
            adam.zero_grad()
            torch.autograd.backward(loss)
            adam.step()
        found = [leaf.detach().cpu() - own for leaf, own in zip(trained, before, strict=True)]
    return [TensorUpdate(name, "add", change) for name, change in zip(tensors, found, strict=True)]


def fine_tune_each(
    model: EditableModel, tensors: Sequence[str], requests: Sequence[EditRequest], rate: float, text: Any
) -> Table:
    """`edit_each_alone`, for raw fine-tuning."""
    table, base = Table(), read_neighborhood(model, requests)
    for request in requests:
        began = time.perf_counter()
        updates = fine_tuned(model, tensors, request, rate)
        table.seconds.append(time.perf_counter() - began)
        with model.trial():
            model.apply(updates)
            table.evaluations += evaluate_requests(model, [request], before=base, fluency=False)
            if text is not None:
                table.perplexities.append(text(model))
    return table


def best_rate(model: EditableModel, tensors: Sequence[str]) -> float:
    """The learning rate of raw fine-tuning with the best S on records of the training data."""
    tried = training_facts(world_facts=False)[:24]
    scores = {}
    for rate in LEARNING_RATES:
        found = aggregate(fine_tune_each(model, tensors, tried, rate, None).evaluations)
        scores[rate] = found["score"].value
        print(f"raw fine-tuning, learning rate {rate:g}: S {scores[rate]:.3f}", flush=True)
    return max(scores, key=lambda rate: scores[rate])


def planning(
    name: str, settings: dict[str, Any], statistics: Statistics, first: EditRequest
) -> Callable[[EditRequest], float]:
    """How many seconds the planning of an edit takes, once everything that is kept is there."""
    editor, model = get_editor(name), statistics.model
    config = editor.default_config(model).model_copy(update=settings)

    def timed(request: EditRequest) -> float:
        began = time.perf_counter()
        editor.plan(model, [request], config, statistics=statistics)
        return time.perf_counter() - began

    timed(first)
    return timed


def tables(
    model: EditableModel, artefacts: Sequence[LearnedArtefact], statistics: Statistics, count: int | None
) -> None:
    """The unedited model, each editor, and raw fine-tuning of what they edit, on each set."""
    text = reading_text(None, 512)
    base = text(model)
    edited = dict.fromkeys(tuple(one.recipe["tensors"]) for one in artefacts)
    rates = {tensors: best_rate(model, tensors) for tensors in edited}
    for name, requests in {"CounterFact": counterfact_held_out(), "zsRE": zsre_held_out()}.items():
        some = requests[:count]
        print(f"\n{len(some)} held-out records of {name}\n{HEADING}", flush=True)
        print(unedited_row(model, some).row("unedited", base), flush=True)
        for one in artefacts:
            editor = get_editor(one.recipe["method"])
            for way in WAYS:
                config = editor.default_config(model).model_copy(update={"artefact": one.digest, **way})
                table = edit_each_alone(model, editor, config, statistics, some, text)
                print(table.row(named(one, way), base), flush=True)
        for tensors, rate in rates.items():
            raw = fine_tune_each(model, tensors, some, rate, text)
            print(raw.row(f"raw fine-tuning, {rate:g}", base), flush=True)


def times(artefacts: Sequence[LearnedArtefact], statistics: Statistics) -> None:
    """The time of an edit, as a ratio to ROME's: each fact by all in turn, as a machine's pace drifts."""
    some = counterfact_held_out()[:TIMED]
    timed = [(one, way) for one in artefacts for way in WAYS]
    kinds = [("rome", {}), *((one.recipe["method"], {"artefact": one.digest, **way}) for one, way in timed)]
    planned = [planning(method, settings, statistics, some[0]) for method, settings in kinds]
    rome, *others = zip(*([plan(request) for plan in planned] for request in some), strict=True)
    for (one, way), own in zip(timed, others, strict=True):
        print(f"time of one edit, {named(one, way)}, as a ratio to ROME's:", end="")
        print("".join(f"  {of.__name__} {of(own) / of(rome):.3f}" for of in (numbers.median, numbers.mean)))


def sequence(arguments: argparse.Namespace, artefact: LearnedArtefact, settings: Mapping[str, Any]) -> None:
    """At which edit of a run the gate calls the model degrading or worse; it only looks (`observe`)."""
    requests = counterfact_held_out()[: arguments.sequence]
    series = Series(len(requests))
    with (
        tempfile.TemporaryDirectory() as folder,
        Workbench.create(Path(folder) / "store", model=arguments.model, device=arguments.device) as workbench,
    ):
        workbench.statistics.trained.add(artefact)
        method = artefact.recipe["method"]
        workbench.apply(requests, method=method, config=settings, policy="observe", on_outcome=series.add)
    print(f"\n{len(series.ratios)} edits in a row, {named(artefact)}, {dict(settings) or 'its defaults'}:")
    print(f"  perplexity {series.ratios[-1]:.3f} ×")
    print(f"  called degrading at {series.first('degrading')}, collapsed at {series.first('collapsed')}")


def named(artefact: LearnedArtefact, settings: Mapping[str, Any] | None = None) -> str:
    told = "".join(f", {name}={value}" for name, value in (settings or {}).items())
    return f"{artefact.recipe['method']} {artefact.digest[:8]}{told}"


def train(arguments: argparse.Namespace) -> Path:
    """Train by the default recipe; where the artefact was copied to."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Workbench.create(Path(folder) / "store", model=arguments.model, device=arguments.device) as workbench,
    ):
        began = time.perf_counter()
        held = [*counterfact_held_out(), *zsre_held_out()]
        facts = training_facts(world_facts=arguments.world_facts)
        made = train_editor(workbench, arguments.train, facts, evaluation=held, progress=Curve())
        print(f"trained in {(time.perf_counter() - began) / 60:.1f} min", flush=True)
        place = Path(arguments.keep) / made.artefact.digest
        shutil.copytree(made.path, place, dirs_exist_ok=True)
    return place


class Curve:
    """Prints each validation of a training."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        pass

    def hear(self, kind: str, found: Mapping[str, float]) -> None:
        if kind == "validation":
            print("  ".join(f"{name} {value:.4g}" for name, value in found.items()), flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("artefacts", type=Path, nargs="*")
    parser.add_argument("--train", metavar="METHOD")
    parser.add_argument("--world-facts", action="store_true", help="train on the built-in facts too")
    parser.add_argument("--keep", type=Path, default=Path("trained"))
    parser.add_argument("--count", type=int, default=None, help="records of each set; 0: no tables")
    parser.add_argument("--sequence", type=int, default=0, help="edits in a row, judged by the gate")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    places = [*arguments.artefacts, *([train(arguments)] if arguments.train else [])]
    places = places or artefacts_that_come_along()
    artefacts = [LearnedArtefact.load(place) for place in places]
    for one in artefacts:
        print(f"{named(one)}, best at step {one.recipe['best_step']}: {one.recipe['validation']}")
        print(f"  settings {dict(one.recipe['settings'])}\n  training {dict(one.recipe['training'])}")
    model = load_model(arguments.model, device=arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        statistics = statistics_in(model, folder)
        for one in artefacts:
            statistics.trained.add(one)
        if arguments.count != 0:
            tables(model, artefacts, statistics, arguments.count)
        times(artefacts, statistics)
    for one in artefacts if arguments.sequence else []:
        for settings in ({}, SMALL_STEPS):
            sequence(arguments, one, settings)


if __name__ == "__main__":
    main()
