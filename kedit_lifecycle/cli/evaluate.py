"""`eval`: measure the edits of a history again, or requests of a file."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.options import DEVICE
from kedit_lifecycle.cli.output import Column, emit_json, line, narrate, number, plain, print_table
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, command, pass_session

if TYPE_CHECKING:
    from kedit_lifecycle.workbench import Evaluation, Workbench

EACH = ("efficacy", "paraphrase", "neighborhood", "exact_match", "generated_exact_match")


@command("eval")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--ref", default="HEAD", show_default=True, help="Whose edits: all on the way to this version.")
@click.option("--at", metavar="REF", help="Measured on the model of this version. Default: --ref.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["json", "jsonl", "csv"]),
    help="Of FILE; default: by content.",
)
@click.option("--limit", type=click.IntRange(1), help="Only the first so many requests of FILE.")
@click.option("--fluency", is_flag=True, help="Also generate texts, for fluency.")
@click.option("--each", is_flag=True, help="A line for each request.")
@click.option("--no-record", is_flag=True, help="Do not add the numbers to the ledger.")
@DEVICE
@pass_session
def eval_command(
    session: Session,
    file: Path | None,
    ref: str,
    at: str | None,
    file_format: Any,
    limit: int | None,
    fluency: bool,
    each: bool,
    no_record: bool,
    device: str,
) -> None:
    """Measure every edit of a history at a version, beside the unedited model.

    Beside them stand the numbers taken when each edit was made: the difference is what was forgotten. They
    go into the ledger too (not with --readonly or --no-record). With FILE (or `world-facts`) its requests
    are measured instead, and nothing is written.
    """
    requests = _from_file(file, file_format, limit) if file else None
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        if requests is None:
            record = not (no_record or session.readonly)
            result = workbench.evaluate_history(ref=ref, at=at, fluency=fluency, record=record)
        else:
            result = workbench.evaluate(requests, ref=at or ref, fluency=fluency)
        made = {} if file else _when_made(workbench, ref)
        notes = list(workbench.notes)
    for text in notes:
        narrate(f"warning: {text}")
    if session.json:
        emit_json(_as_json(result) | {"when_made": made})
    else:
        _print(result, each, made)


def _when_made(workbench: Workbench, ref: str) -> dict[str, float]:
    """Means over the edits of a history of what was measured when each was made."""
    from kedit_lifecycle.cli.shapes import SCORE_PARTS
    from kedit_lifecycle.evaluation.registry import METRICS
    from kedit_lifecycle.ledger.line import line_request_metrics

    reader = workbench.store.reader
    found: dict[str, list[float]] = {}
    for _, _, metric, value in line_request_metrics(reader, reader.resolve(ref), list(METRICS)):
        found.setdefault(metric, []).append(value)
    means = {metric: statistics.fmean(values) for metric, values in found.items()}
    parts = [means[name] for name in SCORE_PARTS if name in means]
    if "score" in means and len(parts) == len(SCORE_PARTS):
        means["score"] = statistics.harmonic_mean(parts)
    return means


def _from_file(file: Path, file_format: Any, limit: int | None) -> Any:
    from kedit_lifecycle.facts.readers import load_requests

    return load_requests(file, file_format).requests[:limit]


def _as_json(result: Evaluation) -> Any:
    return {
        "version": result.version.number,
        "id": result.version.id,
        "metrics": plain(result.metrics),
        "unedited": plain(result.unedited),
        "requests": [
            {"made_by": made_by or None, "request": plain(request), "metrics": plain(one.metrics())}
            for made_by, request, one in zip(
                result.versions, result.requests, result.per_request, strict=True
            )
        ],
    }


def _print(result: Evaluation, each: bool, when_made: dict[str, float]) -> None:
    from kedit_lifecycle.cli.measures import print_measures
    from kedit_lifecycle.evaluation.registry import METRICS

    line(f"{len(result.requests)} requests at version {result.version.number} ({result.version.short})")
    if each:
        columns = [
            Column("version", "right"),
            Column("fact", elastic=True),
            *(Column(METRICS[metric].short, "right") for metric in EACH),
        ]
        rows = []
        for made_by, request, one in zip(result.versions, result.requests, result.per_request, strict=True):
            values = {value.metric: value.value for value in one.metrics()}
            fact = f"{request.subject} → {request.target_new}"
            rows.append((made_by or "-", fact, *(number(values.get(metric), 2) for metric in EACH)))
        print_table(columns, rows)
    line()
    print_measures(result.unedited, result.metrics, f"version {result.version.number}", when_made)
