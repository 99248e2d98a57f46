"""`train`: what methods learn before the first edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kedit_lifecycle.cli.catalogue import COMMANDS
from kedit_lifecycle.cli.output import Column, emit_json, line, narrate, number, plain, print_table
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, StoreCommand, pass_session, quiet_libraries


@click.group("train", short_help=COMMANDS["train"].summary)
def train_command() -> None:
    """Train what a method needs before the first edit."""


@train_command.command("serac", cls=StoreCommand)
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Facts with paraphrases, in any format of `apply`; world-facts is built in.",
)
@click.option("--limit", type=click.IntRange(1), help="Only the first so many facts.")
@click.option(
    "--false-positive-rate",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Share of out-of-scope queries on held-out subjects that the threshold may let pass.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of pairs, split and head.")
@pass_session
def serac_command(
    session: Session, data: Path, limit: int | None, false_positive_rate: float, seed: int
) -> None:
    """Train a scope classifier: which queries an edit in memory answers.

    In scope are the facts' paraphrases, out of scope the nearest that are not: the same subject with another
    relation, the same relation with another subject, neighbors. Held-out subjects set the threshold. The
    artefact is kept in the store by its content; use it with `edit --method serac --set scope=DIGEST`.
    """
    session.must_write()
    quiet_libraries()
    from kedit_lifecycle.facts.readers import load_requests
    from kedit_lifecycle.memory.scope.training import ScopeTraining, train_scope
    from kedit_lifecycle.models.sentence_encoder import SentenceEncoder
    from kedit_lifecycle.workbench.remembering import SCOPE_FOLDER
    from kedit_lifecycle.workbench.serac import MEMORY

    requests = load_requests(data).requests[:limit]
    with ProgressDisplay() as progress, session.open_store() as store, store.writing():
        how = ScopeTraining(false_positive_rate=false_positive_rate)
        artefact = train_scope(requests, SentenceEncoder(), seed, how, progress=progress)
        place = artefact.save(store.path / MEMORY / SCOPE_FOLDER)
        payload = {"artefact": artefact.digest, "kind": "scope", "facts": len(requests), "seed": seed}
        store.record("train", payload, author=session.author, command=session.command)
    if session.json:
        emit_json({"digest": artefact.digest, "path": str(place), "recipe": plain(artefact.recipe)})
        return
    line(f"scope classifier {artefact.digest[:12]}, threshold {artefact.threshold:.3f}")
    line(f"  {place}")
    _print_curve(artefact.recipe)
    narrate(f"  use it: kedit edit --method serac --set scope={artefact.digest}")


def _print_curve(recipe: Any) -> None:
    """A few points of the held-out ROC."""
    points = [tuple(map(float, point)) for point in recipe["roc"]]
    step = max(1, len(points) // 8)
    rows = [tuple(number(value) for value in point) for point in points[::step]]
    columns = [Column(name, "right") for name in ("threshold", "false positives", "true positives")]
    print_table(columns, rows)
