"""One training loop for every hyper-network: it can be killed at any time and ends the same."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785
import torch
from torch import Tensor

from kedit_lifecycle.editors.learned.acceleration import accelerator, bf16_products
from kedit_lifecycle.editors.learned.artefact import LearnedArtefact
from kedit_lifecycle.editors.learned.checkpoint import (
    Standing,
    read_checkpoint,
    restore_optimiser,
    under,
    write_checkpoint,
)
from kedit_lifecycle.editors.learned.examples import Example, Examples
from kedit_lifecycle.editors.learned.gradients import Factors
from kedit_lifecycle.editors.learned.network import HyperNetwork
from kedit_lifecycle.editors.learned.reading import (
    edit_gradients,
    preferences,
    step_losses,
    subject_moments,
    updates_in_rounds,
)
from kedit_lifecycle.editors.learned.settings import TrainingSettings
from kedit_lifecycle.editors.learned.unedited import Unedited
from kedit_lifecycle.editors.learned.whitening import balanced
from kedit_lifecycle.editors.statistics.second_moment import accumulate_second_moments
from kedit_lifecycle.errors import EditFailedError
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent, tell

FORMAT = "kedit/learned@1"
STAGE = "training"
_VALIDATED_TOGETHER = 16
_SUBJECTS = 1024


@dataclass(frozen=True)
class Trainable:
    """What is trained: the method, its network, the weights it edits, and the network's own settings."""

    method: str
    network: HyperNetwork
    tensors: tuple[str, ...]
    layers: tuple[int, ...]
    settings: Mapping[str, Any]


class Training:
    """Trains the network of `what` to edit the unedited `model`."""

    def __init__(
        self,
        model: EditableModel,
        what: Trainable,
        examples: Examples,
        settings: TrainingSettings,
        folder: Path,
        progress: Progress = silent,
    ) -> None:
        self._model, self._what, self._examples = model, what, examples
        self._settings, self._folder, self._progress = settings, folder, progress
        self._unedited = Unedited(model, examples.kept_texts())
        self._network = what.network.to(model.device)
        self._optimiser = torch.optim.Adam(self._network.groups(settings.learning_rate))
        self._rates = [float(group["lr"]) for group in self._optimiser.param_groups]
        self._accelerator = accelerator(model.device, settings.mixed_precision)
        self._standing = Standing()
        self._best = self._copy()
        self._recipe = self._make_recipe()

    @property
    def name(self) -> str:
        """What its checkpoint is kept under: another setting, model or data is another training."""
        return hashlib.sha256(rfc8785.dumps(self._recipe)).hexdigest()[:32]

    def run(self, *, resume: bool = True) -> LearnedArtefact:
        """Train to the end; with `resume` from the checkpoint, if this very training left one.

        A loss that is no number ends it at the best validation so far, which the recipe says.

        Raises:
            EditFailedError: that happened before the first validation.
        """
        precision = self._settings.mixed_precision
        with self._model.unedited(), bf16_products(self._model.device, precision):
            if not (resume and self._resumed()):
                self._measure_inputs()
                self._warm_up()
            while self._standing.step < self._settings.steps and not self._standing.stopped:
                self._one_step()
        return self._artefact()

    def forget(self) -> None:
        """Delete the checkpoint, once the artefact is kept."""
        (self._folder / f"{self.name}.checkpoint").unlink(missing_ok=True)

    # Steps

    def _resumed(self) -> bool:
        found = read_checkpoint(self._folder, self.name)
        if found is None:
            return False
        self._standing, tensors = found
        self._network.load_state_dict(under(tensors, "network."))
        self._best = under(tensors, "best.")
        restore_optimiser(self._optimiser, tensors)
        return True

    def _measure_inputs(self) -> None:
        if not self._network.whitens:
            return
        texts = self._examples.unrelated or [one.text.prompt for one in self._examples.training]
        tokens = sum(len(text) for text in texts)
        with torch.no_grad():
            found = accumulate_second_moments(self._model, self._what.layers, texts, tokens, self._progress)
        facts = self._examples.training[:_SUBJECTS] if self._network.own_keys else []
        subjects = subject_moments(self._model, self._what.tensors, facts, self._progress)
        for layer, second_moment in found.items():
            tensor = self._model.architecture.mlp_down_weight(layer)
            both = balanced(second_moment, subjects[tensor]) if subjects else second_moment
            self._network.whitening(tensor).measure(both)

    def _warm_up(self) -> None:
        for place in range(self._settings.warm_up):
            batch = self._batch(-1 - place)
            found = edit_gradients(self._model, self._what.tensors, [one.edit.new for one in batch])
            self._network.learn_sizes([one.text for one in batch], found)
            self._progress("gathering statistics of gradients", place + 1, self._settings.warm_up)

    def _batch(self, place: int) -> list[Example]:
        return self._examples.batch(self._settings, place)

    def _together(self, place: int) -> int:
        """Of so many edits the updates stand in one model: 1, 2, 4 … as often."""
        powers = self._settings.together.bit_length()
        return 1 << random.Random(f"together:{self._settings.seed}:{place}").randrange(powers)

    def _rounds(self, place: int) -> int:
        """So many updates of each edit: 1 to as many as are set, as often."""
        return 1 + random.Random(f"rounds:{self._settings.seed}:{place}").randrange(self._settings.rounds)

    def _updates(self, batch: Sequence[Example], together: int, rounds: int) -> dict[str, Factors]:
        return updates_in_rounds(
            self._network,
            self._model,
            self._what.tensors,
            batch,
            rounds=rounds,
            together=together,
            enough=self._settings.enough,
        )

    def _one_step(self) -> None:
        settings, standing = self._settings, self._standing
        loss, kl, answers = 0.0, 0.0, 0.0
        self._optimiser.zero_grad()
        for part in range(settings.accumulate):
            place = standing.step * settings.accumulate + part
            batch = self._batch(place)
            with self._accelerator.autocast():
                together, rounds = self._together(place), self._rounds(place)
                updates = self._updates(batch, together, rounds)
                found = step_losses(
                    self._model,
                    self._unedited,
                    updates,
                    self._examples,
                    batch,
                    seed=settings.seed,
                    step=place,
                    enough=settings.enough,
                    kept=settings.keep,
                    together=together,
                )
                objective = self._network.objective(found.nll, found.kl) / settings.accumulate
            self._accelerator.backward(objective)
            loss += float(objective.detach())
            kl += float(found.kl.detach()) / settings.accumulate
            answers += float(found.nll.detach()) / settings.accumulate
        norm = self._accelerator.clip_grad_norm_(self._network.parameters(), settings.clip)
        if not (math.isfinite(loss) and math.isfinite(float(norm))):
            self._give_up(loss)
            return
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * self._share_of_rate(standing.step)
        self._optimiser.step()
        self._network.stepped(kl)
        standing.step += 1
        self._progress(STAGE, standing.step, settings.steps)
        tell(self._progress, "loss", step=standing.step, value=loss, nll=answers, kl=kl)
        self._after_step()

    def _share_of_rate(self, step: int) -> float:
        """Of the learning rate, at a step; it depends on nothing else, so that a resumed training goes on."""
        if self._settings.decay == "none":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * step / self._settings.steps))

    def _give_up(self, loss: float) -> None:
        standing = self._standing
        standing.stopped = f"the loss became {loss} after step {standing.step}"
        if not standing.curve:
            raise EditFailedError(
                f"training failed before its first validation: {standing.stopped}",
                hint="a smaller --set learning_rate",
            )

    def _after_step(self) -> None:
        settings, standing = self._settings, self._standing
        last = standing.step == settings.steps
        if last or standing.step % settings.validate_every == 0:
            self._validate()
        if last or standing.stopped or standing.step % settings.checkpoint_every == 0:
            network = self._network.state_dict()
            write_checkpoint(self._folder, self.name, standing, network, self._best, self._optimiser)

    # Validation

    def _validate(self) -> None:
        standing = self._standing
        point = {"step": float(standing.step), **self.scores(self._examples.validation)}
        if not all(math.isfinite(value) for value in point.values()):
            self._give_up(point["loss"])
            return
        standing.curve.append({name: round(value, 6) for name, value in point.items()})
        tell(self._progress, "validation", **point)
        self._network.validated(point)
        if point["loss"] < standing.best_loss:
            standing.best_loss, standing.best_step, standing.since_best = point["loss"], standing.step, 0
            self._best = self._copy()
            return
        standing.since_best += 1
        if standing.since_best >= self._settings.patience:
            standing.stopped = f"no better validation since step {standing.best_step}"

    @torch.no_grad()
    def scores(self, examples: Sequence[Example]) -> dict[str, float]:
        """ES, PS, NS and the losses on held-out edits, each made alone; `loss` decides which network is best.

        NS here is the share of neighbors that prefer the true answer with the edit. Where training puts
        edits together, the same of groups of them is there too, as `…_together`, and `loss` is the mean.
        """
        chosen = list(examples)[: self._settings.validation_edits]
        self._network.eval()
        try:
            found = self._scores(chosen, 1)
            if (together := min(self._settings.together, _VALIDATED_TOGETHER)) > 1:
                grouped = self._scores(chosen, together)
                found |= {f"{name}_together": value for name, value in grouped.items() if name != "loss"}
                found["loss"] = (found["loss"] + grouped["loss"]) / 2
        finally:
            self._network.train()
        return found

    def _scores(self, chosen: Sequence[Example], together: int) -> dict[str, float]:
        nll: list[float] = []
        kl: list[float] = []
        pairs: dict[str, list[tuple[float, float]]] = {}
        for start in range(0, len(chosen), _VALIDATED_TOGETHER):
            batch = chosen[start : start + _VALIDATED_TOGETHER]
            update = self._updates(batch, together, self._settings.rounds)
            found = step_losses(
                self._model, self._unedited, update, self._examples, batch,
                seed=self._settings.seed, step=0, together=together,
            )  # fmt: skip
            nll.append(float(found.nll))
            kl.append(float(found.kl))
            for kind, some in preferences(self._model, update, batch, together).items():
                pairs.setdefault(kind, []).extend(some)
        mean_nll, mean_kl = sum(nll) / len(nll), sum(kl) / len(kl)
        scores = {
            name: sum((true < new) == (kind == "neighbor") for new, true in pairs.get(kind, ()))
            / len(pairs[kind])
            for name, kind in (("es", "edit"), ("ps", "paraphrase"), ("ns", "neighbor"))
            if pairs.get(kind)
        }
        objective = float(self._network.validation_loss(torch.tensor(mean_nll), torch.tensor(mean_kl)))
        return {"loss": objective, "nll": mean_nll, "kl": mean_kl, **scores}

    # What is left

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.detach().cpu().clone() for name, value in self._network.state_dict().items()}

    def _artefact(self) -> LearnedArtefact:
        standing = self._standing
        at_best = next((one for one in standing.curve if one["step"] == standing.best_step), {})
        ended = {
            "steps": standing.step,
            "best_step": standing.best_step,
            "stopped": standing.stopped,
            "validation": at_best,
            "curve": standing.curve,
        }
        return LearnedArtefact(self._best, {**self._recipe, **ended})

    def _make_recipe(self) -> dict[str, Any]:
        examples = self._examples
        return {
            "format": FORMAT,
            "method": self._what.method,
            "base": self._model.base_digest,
            "model": self._model.name,
            "tensors": list(self._what.tensors),
            "settings": dict(self._what.settings),
            "training": self._settings.model_dump(mode="json"),
            "data": {
                "digest": examples.digest,
                "training": len(examples.training),
                "validation": len(examples.validation),
                "without_paraphrase": examples.left_out,
            },
        }
