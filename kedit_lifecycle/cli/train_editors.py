"""`train mend` and `train knowledge-editor`: networks that learn to edit the store's model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.options import DEVICE, config_options, editor_config
from kedit_lifecycle.cli.output import Column, emit_json, line, narrate, number, plain, print_table
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, StoreCommand, pass_session, quiet_libraries

if TYPE_CHECKING:
    from kedit_lifecycle.workbench.editor_training import TrainedEditor

LEARNED = {
    "mend": "Train MEND: networks that turn a fine-tuning gradient into a better update.",
    "knowledge-editor": "Train KnowledgeEditor: an LSTM that reads the edit and gates the gradient.",
}
_DETAILS = """

    The facts' paraphrases are what it learns to generalise to; their neighborhood prompts, other facts
    and the model's own text are what it learns to leave alone. Facts without a paraphrase are passed over.
    Some subjects are held out: they say which network is best, and when to stop. A training that was
    interrupted goes on where it stood when the same command is given again.
"""
LOSS_EVERY = 50  # steps between two lines with losses


class LossDisplay(ProgressDisplay):
    """Progress that also says the losses now and then, and every validation's scores."""

    def hear(self, kind: str, found: dict[str, Any]) -> None:
        """A step's losses, or a validation."""
        super().hear(kind, found)
        scores = ", ".join(f"{name} {value:.3f}" for name, value in found.items() if name != "step")
        if kind == "loss" and found["step"] % LOSS_EVERY == 0:
            self.say(f"  step {found['step']}: {scores}")
        elif kind == "validation":
            self.say(f"  step {found['step']:.0f}, validation: {scores}")


def editor_training_command(method: str) -> click.Command:
    """The command that trains one method."""

    @click.command(method, cls=StoreCommand, help=LEARNED[method] + _DETAILS, short_help=LEARNED[method])
    @click.option(
        "--data",
        required=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        multiple=True,
        help="Facts with paraphrases, in any format of `apply`; world-facts is built in. Repeatable.",
    )
    @click.option("--limit", type=click.IntRange(1), help="Only the first so many facts of each file.")
    @click.option(
        "--evaluate-on",
        type=click.Path(path_type=Path),
        metavar="FILE",
        multiple=True,
        help="Facts that it will be measured on: they are kept out of the training. Repeatable.",
    )
    @click.option("--steps", type=click.IntRange(1), help="Steps at most (default: this model's recipe).")
    @config_options
    @click.option("--published", is_flag=True, help="The paper's settings instead of this model's.")
    @click.option("--afresh", is_flag=True, help="Do not go on with an interrupted training.")
    @click.option("--seed", type=int, default=0, show_default=True, help="Of split, draws and network.")
    @DEVICE
    @pass_session
    def train(session: Session, /, **options: Any) -> None:
        session.must_write()
        quiet_libraries()
        trained = _train(session, method, **options)
        _print(session, method, trained)

    return train


def _train(
    session: Session,
    method: str,
    *,
    data: tuple[Path, ...],
    limit: int | None,
    evaluate_on: tuple[Path, ...],
    steps: int | None,
    settings: tuple[str, ...],
    config_file: Path | None,
    published: bool,
    afresh: bool,
    seed: int,
    device: str,
) -> TrainedEditor:
    from kedit_lifecycle.facts.readers import load_requests
    from kedit_lifecycle.workbench.editor_training import learned_editor, settings_for, train_editor

    given = editor_config(settings, config_file) | {"seed": seed} | ({"steps": steps} if steps else {})
    requests = [one for file in data for one in load_requests(file).requests[:limit]]
    evaluation = [one for file in evaluate_on for one in load_requests(file).requests]
    editor = learned_editor(method)
    session.resume = session.command
    with LossDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        how, network = settings_for(editor, workbench.model, given, published=published)
        return train_editor(
            workbench,
            method,
            requests,
            settings=how,
            network=network,
            evaluation=evaluation,
            resume=not afresh,
            progress=progress,
        )


def _print(session: Session, method: str, trained: TrainedEditor) -> None:
    recipe = trained.artefact.recipe
    left_out = recipe["data"]["without_paraphrase"]
    if trained.overlap:
        narrate(f"warning: {trained.overlap} facts to be evaluated on were in the data, and left out of it")
    if left_out:
        narrate(f"{left_out} facts without a paraphrase were passed over: give them `paraphrases`")
    if recipe["stopped"]:
        narrate(f"training stopped early: {recipe['stopped']}; kept is step {recipe['best_step']}")
    if session.json:
        found = {"digest": trained.artefact.digest, "path": str(trained.path), "overlap": trained.overlap}
        emit_json(found | {"recipe": plain(recipe)})
        return
    line(f"{method} {trained.artefact.digest[:12]}, best at step {recipe['best_step']}")
    line(f"  {trained.path}")
    names = [name for name in ("step", "loss", "nll", "kl", "es", "ps", "ns") if name in recipe["curve"][0]]
    rows = [tuple(number(point[name]) for name in names) for point in recipe["curve"]]
    print_table([Column(name, "right") for name in names], rows)
    narrate(f"  use it: kedit edit --method {method} --set artefact={trained.artefact.digest[:12]}")
