"""How many rounds a learned editor takes, and how large: single edits, and the same facts in a row.

    python benchmarks/bench_rounds.py [--method mend] [--try 2:0.7,5:0.7:0.7] [--count 60] [--row 10,30,60]

The facts are those that the default training held out for its own validation: none was trained on, and no
record of the evaluation is among them, so that defaults may be chosen by them. Each ROUNDS:SCALE, or
ROUNDS:SCALE:GAIN (`expected_gain`), makes a row of the table, where each fact is edited alone (with its mean
time as a ratio to ROME's in the same run), and with `--row` more of them, after so many facts in one model.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from bench_learned import planning
from learned_data import counterfact_held_out, training_facts, zsre_held_out
from single_edits import HEADING, edit_each_alone, reading_text, statistics_in, unedited_row

from kedit_lifecycle.editors import Editor, EditorConfig, get_editor
from kedit_lifecycle.editors.learned.artefact import LearnedArtefact
from kedit_lifecycle.editors.learned.examples import make_examples
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.evaluation.suite import aggregate, evaluate_requests, read_neighborhood
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model

SHOWN = {"efficacy": "ES", "paraphrase": "PS", "neighborhood": "NS", "score": "S", "exact_match": "EM"}


def validation_facts(model: EditableModel, count: int) -> list[EditRequest]:
    """Of the default training (`learned_data.training_facts`), those with a true answer and neighbors."""
    held = {(one.subject, one.prompt) for one in [*counterfact_held_out(), *zsre_held_out()]}
    facts = [one for one in training_facts() if (one.subject, one.prompt) not in held]
    validation = make_examples(model, facts, unrelated=[]).validation
    some = [one.request for one in validation]
    return [one for one in some if one.target_true and one.neighborhood][:count]


def facts_of(arguments: argparse.Namespace, model: EditableModel) -> list[EditRequest]:
    """The validation facts, or what the files hold."""
    if not arguments.records:
        return validation_facts(model, arguments.count)
    return [one for path in arguments.records for one in load_requests(path).requests][: arguments.count]


def in_a_row(
    model: EditableModel,
    editor: Editor[Any],
    config: EditorConfig,
    statistics: Statistics,
    requests: Sequence[EditRequest],
    counts: Sequence[int],
    text: Callable[[EditableModel], float],
) -> list[str]:
    """S, EM and perplexity after so many edits, over all of them."""
    base, before, cells = text(model), read_neighborhood(model, requests), []
    with model.trial():
        for done, request in enumerate(requests[: max(counts)], start=1):
            model.apply(editor.plan(model, [request], config, statistics=statistics).updates)
            if done in counts:
                found = evaluate_requests(
                    model, requests[:done], before=before, fluency=False, generate=False
                )
                values = aggregate(found)
                told = "  ".join(f"{short} {values[name].value:.3f}" for name, short in SHOWN.items())
                cells.append(f"after {done}: {told}  ppl {text(model) / base:.3f} ×")
    return cells


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method", default="mend")
    parser.add_argument("--artefact", type=Path, help="a folder; otherwise what comes along")
    parser.add_argument("--try", dest="tried", default="1:1,2:1,2:0.7,3:0.7,8:0.5,16:0.25,32:0.1")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--records", type=Path, nargs="+", help="other facts than the validation's")
    parser.add_argument("--row", default="", metavar="10,30,60")
    parser.add_argument("--timed", type=int, default=10, help="facts of the times; 0: no times")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    arguments = parser.parse_args()
    model, text = load_model(arguments.model), reading_text(None, 512)
    requests, base = facts_of(arguments, model), text(model)
    counts = [int(count) for count in arguments.row.split(",") if count]
    with tempfile.TemporaryDirectory() as folder:
        statistics = statistics_in(model, folder)
        if arguments.artefact:
            statistics.trained.add(LearnedArtefact.load(arguments.artefact))
        editor = get_editor(arguments.method)
        timed = requests[: arguments.timed]
        pace = mean(map(planning("rome", {}, statistics, timed[0]), timed)) if timed else 0.0
        print(f"{len(requests)} facts, each alone\n{HEADING}", flush=True)
        print(unedited_row(model, requests).row("unedited", base), flush=True)
        for tried in arguments.tried.split(","):
            rounds, scale, *gain = tried.split(":")
            settings: dict[str, Any] = {"rounds": int(rounds), "scale": float(scale)}
            settings["expected_gain"] = float(gain[0]) if gain else None
            config = editor.default_config(model).model_copy(update=settings)
            name = f"rounds {rounds}, scale {scale}" + "".join(f", gain {one}" for one in gain)
            table = edit_each_alone(model, editor, config, statistics, requests, text, generate=False)
            share = ""
            if timed:
                own = mean(map(planning(arguments.method, settings, statistics, timed[0]), timed))
                share = f"{own / pace:8.3f} of ROME"
            print(table.row(name, base) + share, flush=True)
            for cell in in_a_row(model, editor, config, statistics, requests, counts, text) if counts else []:
                print(f"  in a row, {cell}", flush=True)


if __name__ == "__main__":
    main()
