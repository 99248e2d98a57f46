"""What SERAC learns before the first edit: the scope classifier, and who answers what is in scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.counterfactual_training import (
    CounterfactualArtefact,
    CounterfactualTraining,
    train_counterfactual,
)
from kedit_lifecycle.memory.scope.classifier import ScopeArtefact
from kedit_lifecycle.memory.scope.training import ScopeTraining, train_scope
from kedit_lifecycle.models.sentence_encoder import SentenceEncoder
from kedit_lifecycle.progress import Progress, silent
from kedit_lifecycle.workbench.remembering import COUNTERFACTUAL_FOLDER, SCOPE_FOLDER
from kedit_lifecycle.workbench.serac import MEMORY
from kedit_lifecycle.workbench.workbench import Workbench


@dataclass(frozen=True)
class TrainedSerac:
    """What was trained, kept in the store by content."""

    scope: ScopeArtefact
    scope_path: Path
    counterfactual: CounterfactualArtefact | None


def train_serac(
    workbench: Workbench,
    requests: Sequence[EditRequest],
    *,
    false_positive_rate: float = 0.01,
    counterfactual_steps: int = 0,
    seed: int = 0,
    progress: Progress = silent,
) -> TrainedSerac:
    """Train the scope classifier and, with `counterfactual_steps`, a LoRA that answers.

    Both as in Mitchell et al. 2022, §3; without steps the model itself answers, conditioned in context.

    Raises:
        UsageError: no requests, or none with a paraphrase.
    """
    store = workbench.store
    with store.writing():
        how = ScopeTraining(false_positive_rate=false_positive_rate)
        scope = train_scope(requests, SentenceEncoder(), seed, how, progress=progress)
        place = scope.save(store.path / MEMORY / SCOPE_FOLDER)
        _record(workbench, scope.digest, "scope", len(requests), seed)
        lora = None
        if counterfactual_steps:
            steps = CounterfactualTraining(steps=counterfactual_steps)
            lora = train_counterfactual(workbench.model, requests, seed, steps, progress=progress)
            lora.save(store.path / MEMORY / COUNTERFACTUAL_FOLDER)
            _record(workbench, lora.digest, "counterfactual", len(requests), seed)
    return TrainedSerac(scope, place, lora)


def _record(workbench: Workbench, digest: str, kind: str, facts: int, seed: int) -> None:
    payload = {"artefact": digest, "kind": kind, "facts": facts, "seed": seed}
    workbench.store.record("train", payload, author=workbench.author, command=workbench.command)
