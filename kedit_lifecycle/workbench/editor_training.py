"""Training an editor that learns to edit, for the model of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kedit_lifecycle.editors import editor_names, get_editor
from kedit_lifecycle.editors.learned.artefact import LearnedArtefact
from kedit_lifecycle.editors.learned.curve import write_curve
from kedit_lifecycle.editors.learned.editor import LearnedEditor
from kedit_lifecycle.editors.learned.examples import make_examples, overlap
from kedit_lifecycle.editors.learned.settings import TrainingSettings
from kedit_lifecycle.editors.learned.training import Training
from kedit_lifecycle.errors import UsageError, first_problem
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent
from kedit_lifecycle.workbench.workbench import Workbench

CHECKPOINTS = "unfinished"


@dataclass(frozen=True)
class TrainedEditor:
    """What was trained and where it lies.

    `overlap`: facts of the evaluation set that were among the data; unless they were to be kept, none of
    them was trained on.
    """

    artefact: LearnedArtefact
    path: Path
    overlap: int


def learned_editor(name: str) -> LearnedEditor[Any]:
    """A method that is trained.

    Raises:
        UsageError: there is no such method, or it needs no training.
    """
    editor = get_editor(name)
    if not isinstance(editor, LearnedEditor):
        learned = [one for one in editor_names() if isinstance(get_editor(one), LearnedEditor)]
        raise UsageError(f"{name} needs no training; trained are {', '.join(learned)}")
    return editor


def settings_for(
    editor: LearnedEditor[Any], model: EditableModel, given: Mapping[str, Any], *, published: bool = False
) -> tuple[TrainingSettings, dict[str, Any]]:
    """The loop's settings and those of the network: this model's, or the paper's, with `given` over them.

    Raises:
        UsageError: naming the setting of the loop that is wrong; those of the network are checked later.
    """
    loop = editor.training_settings(model).model_dump()
    network: dict[str, Any] = {}
    if published:
        loop = editor.published_training.model_dump()
        network = editor.published_network.model_dump()
    names = TrainingSettings.model_fields
    network |= {name: value for name, value in given.items() if name not in names}
    loop |= {name: value for name, value in given.items() if name in names}
    try:
        return TrainingSettings.model_validate(loop), network
    except ValidationError as error:
        raise UsageError(
            f"training, {first_problem(error, 'settings')}",
            hint=f"its settings: {', '.join(names)}",
        ) from error


def train_editor(
    workbench: Workbench,
    method: str,
    requests: Sequence[EditRequest],
    *,
    settings: TrainingSettings | None = None,
    network: Mapping[str, Any] | None = None,
    evaluation: Sequence[EditRequest] = (),
    keep_overlap: bool = False,
    resume: bool = True,
    progress: Progress = silent,
) -> TrainedEditor:
    """Train a method's network on facts with paraphrases; the artefact is kept in the store by content.

    Facts that are in `evaluation` too are not trained on, unless `keep_overlap`. A training that was
    interrupted goes on from its last checkpoint, and ends with the same artefact.

    Raises:
        UsageError: no fact has a paraphrase, or a setting is wrong.
        EditFailedError: the loss was no number before the first validation.
    """
    editor = learned_editor(method)
    how = settings or editor.training_settings(workbench.model)
    both = overlap(requests, evaluation)
    seen = {(one.subject, one.prompt) for one in evaluation}
    kept = [one for one in requests if keep_overlap or (one.subject, one.prompt) not in seen]
    store, model = workbench.store, workbench.model
    with store.writing():
        with model.unedited():
            unrelated = workbench.statistics.samples(workbench.statistics.tokens_behind(None))
            examples = make_examples(model, kept, unrelated=unrelated, seed=how.seed)
            shelf = workbench.statistics.trained
            training = Training(
                model, editor.trainable(model, network), examples, how, shelf.folder / CHECKPOINTS, progress
            )
            artefact = training.run(resume=resume)
        path = shelf.add(artefact)
        write_curve(artefact.recipe["curve"], artefact.recipe["best_step"], path)
        payload = {"artefact": artefact.digest, "kind": method, "facts": len(kept), "seed": how.seed}
        store.record("train", payload, author=workbench.author, command=workbench.command)
        training.forget()
    return TrainedEditor(artefact, path, both)
