"""`train`: what methods learn before the first edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kedit_lifecycle.cli.catalogue import COMMANDS
from kedit_lifecycle.cli.options import DEVICE
from kedit_lifecycle.cli.output import Column, emit_json, line, narrate, number, plain, print_table
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, StoreCommand, pass_session, quiet_libraries
from kedit_lifecycle.cli.train_editors import LEARNED, editor_training_command


@click.group("train", short_help=COMMANDS["train"].summary)
def train_command() -> None:
    """Train what a method needs before the first edit."""


for _method in LEARNED:
    train_command.add_command(editor_training_command(_method))


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
@click.option(
    "--counterfactual",
    is_flag=True,
    help="Train who answers as well: a LoRA on the store's model, on answers and what they entail.",
)
@click.option(
    "--steps", type=click.IntRange(1), default=300, show_default=True, help="Of the LoRA, 8 queries each."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of pairs, split, head and LoRA.")
@DEVICE
@pass_session
def serac_command(
    session: Session,
    data: Path,
    limit: int | None,
    false_positive_rate: float,
    counterfactual: bool,
    steps: int,
    seed: int,
    device: str,
) -> None:
    """Train a scope classifier: which queries an edit in memory answers.

    In scope are the facts' paraphrases, out of scope the nearest that are not: the same subject with another
    relation, the same relation with another subject, neighbors. Held-out subjects set the threshold. The
    artefacts are kept in the store by content; use them as the last line says.
    """
    session.must_write()
    quiet_libraries()
    from kedit_lifecycle.facts.readers import load_requests
    from kedit_lifecycle.workbench.serac_training import train_serac

    requests = load_requests(data).requests[:limit]
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        trained = train_serac(
            workbench,
            requests,
            false_positive_rate=false_positive_rate,
            seed=seed,
            counterfactual_steps=steps if counterfactual else 0,
            progress=progress,
        )
    scope, lora = trained.scope, trained.counterfactual
    if session.json:
        found = {"digest": scope.digest, "path": str(trained.scope_path), "recipe": plain(scope.recipe)}
        answers = lora and {"digest": lora.digest, "recipe": plain(lora.recipe)}
        emit_json(found | {"counterfactual": answers})
        return
    line(f"scope classifier {scope.digest[:12]}, threshold {scope.threshold:.3f}")
    line(f"  {trained.scope_path}")
    _print_curve(scope.recipe)
    if lora:
        nll = lora.recipe["nll"]
        line(f"counterfactual model {lora.digest[:12]}")
        line(f"  NLL of the answers {nll['first']:.2f} → {nll['last']:.2f} nats per token")
    chosen = f" --set counterfactual={lora.digest}" if lora else ""
    narrate(f"  use it: kedit edit --method serac --set scope={scope.digest}{chosen}")


def _print_curve(recipe: Any) -> None:
    """A few points of the held-out ROC."""
    points = [tuple(map(float, point)) for point in recipe["roc"]]
    step = max(1, len(points) // 8)
    rows = [tuple(number(value) for value in point) for point in points[::step]]
    columns = [Column(name, "right") for name in ("threshold", "false positives", "true positives")]
    print_table(columns, rows)
