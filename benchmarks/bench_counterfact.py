"""CounterFact records, each edited alone and restored, beside the unedited model.

python benchmarks/bench_counterfact.py --records counterfact.json [--text wikitext.txt] [--count 100]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmark_files import add_data_file
from single_edits import HEADING, edit_each_alone, reading_text, statistics_in, unedited_row

from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.models.sources import DEFAULT_MODEL, load_model


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_file(parser, "--records", "counterfact_100.json")
    parser.add_argument("--text", type=Path, default=None, help="a text for perplexity (default: built in)")
    parser.add_argument("--tokens", type=int, default=1024, help="tokens of that text")
    parser.add_argument("--count", type=int, default=None)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--method", default="rome")
    arguments = parser.parse_args()
    model, editor = load_model(arguments.model), get_editor(arguments.method)
    requests = load_requests(arguments.records).requests[: arguments.count]
    config = editor.default_config(model)
    text = reading_text(arguments.text, arguments.tokens)
    base = text(model)
    print(f"{len(requests)} records of {arguments.records.name}, {editor.pretty_name}")
    print(f"config: {config.model_dump_json()}\nperplexity of the unedited model: {base:.3f}\n{HEADING}")
    print(unedited_row(model, requests).row("unedited", base), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        table = edit_each_alone(model, editor, config, statistics_in(model, folder), requests, text)
    print(table.row(editor.name, base))


if __name__ == "__main__":
    main()
