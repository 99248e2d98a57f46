"""`LearnedEditor`: edits with a network that was trained for this base model."""

from __future__ import annotations

import inspect
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from kedit_lifecycle.editors.base import Editor, EditorConfig
from kedit_lifecycle.editors.learned.artefact import LATEST, LearnedArtefact, load_for, packaged_for
from kedit_lifecycle.editors.learned.examples import Example, encode_example
from kedit_lifecycle.editors.learned.gradients import Factors, Networked, is_transposed, mlp_weights
from kedit_lifecycle.editors.learned.network import HyperNetwork
from kedit_lifecycle.editors.learned.reading import Applied, TargetNll, read_edits
from kedit_lifecycle.editors.learned.settings import Matrices, NetworkConfig, TrainingSettings
from kedit_lifecycle.editors.learned.training import Trainable
from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.errors import BadRecordError, EditFailedError, UsageError, first_problem
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.batching import position_limit
from kedit_lifecycle.models.delta import TensorUpdate, WeightDelta
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.lower_cache import CachedLower, layer_of
from kedit_lifecycle.progress import Progress, silent

UNTRAINED = "untrained"
ModelShape = tuple[str, int, int]
"""Family, layers, d_model: what settings are chosen by."""


class LearnedConfig(EditorConfig):
    """What an edit with a trained network is set to; the network's own settings are its artefact's."""

    artefact: str = Field(
        default=LATEST,
        description="the trained network: latest (of the store, else what comes along for the model), or the "
        "beginning of a digest (`kedit train` prints it)",
    )
    scale: float = Field(default=1.0, gt=0, description="the update is multiplied by this")
    rounds: int = Field(
        default=1,
        ge=1,
        description="updates of one edit at most: the network is asked again, with the gradient at the model "
        "as its update left it, while a token of the target is less probable than `stop_probability`; 1: as "
        "published",
    )
    stop_probability: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="a target of which each token is as probable as this gets no further round",
    )
    expected_gain: float | None = Field(
        default=None,
        gt=0,
        description="a further round is taken to bring the target's least probable token this share of the "
        "nats that the round before it brought; where that is enough for `stop_probability`, it is the last, "
        "and no pass is spent on looking; null: each but the last is looked at",
    )


ConfigT = TypeVar("ConfigT", bound=LearnedConfig)


class LearnedEditor(Editor[ConfigT]):
    """A round is one forward and backward pass, then the network. The artefact is not needed again."""

    published_network: ClassVar[NetworkConfig]
    published_training: ClassVar[TrainingSettings]
    edits: ClassVar[Mapping[ModelShape, LearnedConfig]] = {}
    networks: ClassVar[Mapping[ModelShape, NetworkConfig]] = {}
    trainings: ClassVar[Mapping[ModelShape, TrainingSettings]] = {}
    training_elsewhere: ClassVar[TrainingSettings]

    @abstractmethod
    def network(
        self, model: EditableModel, tensors: Sequence[str], settings: Mapping[str, Any]
    ) -> HyperNetwork:
        """A fresh network for these weights, the same for the same settings; untrained, a gradient step."""

    def default_config(self, model: EditableModel) -> ConfigT:
        """The store's latest network, else the one that comes along for this base model.

        Rounds and scale are this model's, else as published.
        """
        return cast("ConfigT", self.edits.get(_shape(model), self.config_class()))

    def training_settings(self, model: EditableModel) -> TrainingSettings:
        """The loop's settings for this model, else a rule."""
        return self.trainings.get(_shape(model), self.training_elsewhere)

    def trainable(self, model: EditableModel, settings: Mapping[str, Any] | None = None) -> Trainable:
        """What `kedit train` trains: the network's settings are this model's, with some replaced.

        Raises:
            UsageError: naming the setting that is wrong.
        """
        default = self.networks.get(_shape(model), self.published_network)
        config = self._checked({**default.model_dump(), **(settings or {})})
        layers, tensors = last_layers(model, config.blocks, config.above, config.matrices)
        values = config.model_dump(mode="json")
        return Trainable(self.name, self.network(model, tensors, values), tensors, layers, values)

    def layers(self, config: ConfigT) -> tuple[int, ...]:
        """None: a network knows what it needs."""
        return ()

    def settled(self, config: ConfigT, statistics: Statistics) -> ConfigT:
        """The config with the artefact's full digest, as the ledger keeps it."""
        if config.artefact == UNTRAINED:
            return config
        digest = self._coming_along(config.artefact, statistics)
        digest = digest or statistics.trained.digest_of(self.name, config.artefact)
        return config.model_copy(update={"artefact": digest})

    def _coming_along(self, asked: str, statistics: Statistics) -> str | None:
        """The digest of what comes along for this base model, if that is what is asked for."""
        if asked == LATEST and statistics.trained.has_latest(self.name):
            return None
        found = packaged_for(self.packaged, statistics.model)
        is_it = found is not None and asked != "" and (asked == LATEST or found.startswith(asked))
        return found if is_it else None

    @property
    def packaged(self) -> Path:
        """The folder of the artefacts that come with the method, by digest; each is of one base model."""
        return Path(inspect.getfile(type(self))).parent / "trained"

    def plan(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        config: ConfigT,
        *,
        statistics: Statistics,
        past: PastKeys | None = None,
        progress: Progress = silent,
    ) -> WeightDelta:
        """The network's update of each request, from the gradient at the model as it stands.

        The requests of one batch are edited one after the other, each at the model with those before it,
        as they would be in a row; one that fails is left out, for those after it too.

        Raises:
            EditFailedError: naming the requests, if none could be solved.
            ModelError: the artefact was trained for another base model.
        """
        network, tensors = self._network(model, config, statistics)
        examples = [_encoded(model, request) for request in requests]
        kept: list[dict[str, Factors]] = []
        failures: dict[int, str] = {}
        with model.trial():
            for place, example in enumerate(examples):
                update = _update(network, model, tensors, example, config)
                if update is None:
                    failures[place] = f"{requests[place].question!r}: its gradient is not finite"
                else:
                    kept.append(update)
                    if place + 1 < len(examples):
                        model.try_out(_merged(model, tensors, [update]))
                progress(self.name, place + 1, len(examples))
        if not kept:
            raise EditFailedError(
                "; ".join(failures.values()), hint="a model in float16 may need float32; `kedit models check`"
            )
        return WeightDelta(updates=_merged(model, tensors, kept), failures=failures)

    def _network(
        self, model: EditableModel, config: ConfigT, statistics: Statistics
    ) -> tuple[HyperNetwork, tuple[str, ...]]:
        settled = self.settled(config, statistics)
        if settled.artefact == UNTRAINED:
            fresh = self.trainable(model)
            return fresh.network.to(model.device).eval(), fresh.tensors

        def make() -> tuple[HyperNetwork, tuple[str, ...]]:
            comes_along = (self.packaged / settled.artefact).is_dir()
            folder = self.packaged if comes_along else statistics.trained.folder
            artefact = load_for(folder, self.name, settled.artefact, model)
            return self._trained(model, artefact), tuple(artefact.recipe["tensors"])

        return statistics.remember((self.name, settled.artefact), make)

    def _trained(self, model: EditableModel, artefact: LearnedArtefact) -> HyperNetwork:
        network = self.network(model, artefact.recipe["tensors"], artefact.recipe["settings"])
        network.load_state_dict(dict(artefact.tensors))
        return network.to(model.device).eval()

    def _checked(self, given: Mapping[str, Any]) -> NetworkConfig:
        kind = type(self.published_network)
        try:
            return kind.model_validate(given)
        except ValidationError as error:
            raise UsageError(
                f"{self.name} network, {first_problem(error, 'settings')}",
                hint=f"its settings: {', '.join(kind.model_fields)}",
            ) from error


def _shape(model: EditableModel) -> ModelShape:
    return model.architecture.family, model.layer_count, model.network.config.hidden_size


def last_layers(
    model: EditableModel, blocks: int, above: int = 0, which: Matrices = "all"
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The last so many layers below the `above` highest ones, and the matrices of their MLPs."""
    count = max(1, model.layer_count - above)
    layers = tuple(range(max(0, count - blocks), count))
    return layers, mlp_weights(model, layers, which)


def _encoded(model: EditableModel, request: EditRequest) -> Example:
    alone = request.model_copy(update={"paraphrases": (), "neighborhood": ()})  # an edit reads its prompt
    example = encode_example(model, alone)
    length, limit = len(example.edit.new.ids) - 1, position_limit(model)
    if limit is not None and length > limit:
        raise BadRecordError(
            f"{request.question!r} and its target have {length} tokens, and this model reads at most {limit}"
        )
    if example.edit.new.target_start == 0:
        raise BadRecordError(f"the prompt {request.question!r} has no tokens for the target to follow")
    return example


def _update(
    network: HyperNetwork,
    model: EditableModel,
    tensors: Sequence[str],
    example: Example,
    config: LearnedConfig,
) -> dict[str, Factors] | None:
    """The update of one request, of all its rounds; None where it, or a gradient, is not finite.

    What the earlier rounds found runs beside the weights, which stay as they are; further rounds begin at
    the lowest layer that the network changes.
    """
    found: dict[str, Factors] = {}
    lower = CachedLower(model, min(layer_of(model, tensor) for tensor in tensors))
    run = lower.differentiable if config.rounds > 1 else None
    enough, before = -math.log(config.stop_probability), math.inf

    def reached(so_far: TargetNll) -> Tensor:
        return so_far.worst < (enough if found else 0.0)

    for done in range(config.rounds):
        applied = Applied(found) if done else None
        gradients, losses = read_edits(model, tensors, [example.edit.new], applied, reached, run)
        if not _finite(gradients):
            return None
        if done and not any(one.left.any() for one in gradients.values()):
            break
        with torch.no_grad():
            made = network.updates([example.text], gradients)
        scaled = {tensor: Factors(one.left * config.scale, one.right) for tensor, one in made.items()}
        found = {tensor: found[tensor].beside(one) for tensor, one in scaled.items()} if done else scaled
        now = float(losses.worst)
        if done and config.expected_gain and now - config.expected_gain * (before - now) < enough:
            break
        before = now
    return found if _finite(found) else None


def _merged(
    model: EditableModel, tensors: Sequence[str], updates: Sequence[Mapping[str, Factors]]
) -> tuple[TensorUpdate, ...]:
    return tuple(merged_update(model, tensor, updates) for tensor in tensors)


def _finite(factors: Mapping[str, Factors]) -> bool:
    parts = [part for one in factors.values() for part in (one.left, one.right)]
    return all(bool(part.isfinite().all()) for part in parts)


def merged_update(model: Networked, tensor: str, updates: Sequence[Mapping[str, Factors]]) -> TensorUpdate:
    """The requests' factors behind each other, as the weight is kept; steps that are 0 are left out."""
    left = torch.cat([one[tensor].left[0] for one in updates])
    right = torch.cat([one[tensor].right[0] for one in updates])
    kept = left.abs().amax(dim=1).gt(0) & right.abs().amax(dim=1).gt(0)
    first, second = _plain(left[kept]), _plain(right[kept])
    if is_transposed(model, tensor):
        first, second = second, first
    return TensorUpdate(tensor, "rank", first, second)


def _plain(factor: Tensor) -> Tensor:
    return factor.detach().to("cpu", torch.float32).contiguous().clone()
