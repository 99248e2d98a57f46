"""FT and FT-L: one layer's second MLP matrix, trained on the targets (the baselines of Meng et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from kedit_lifecycle.editors.base import Editor
from kedit_lifecycle.editors.fine_tuning.config import FineTuningConfig, default_fine_tuning_config
from kedit_lifecycle.editors.locate.outcome import POOR_PROBABILITY
from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.editors.statistics import Statistics
from kedit_lifecycle.errors import BadRecordError, EditFailedError, UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.batching import length_buckets, position_limit
from kedit_lifecycle.models.delta import TensorUpdate, WeightDelta, replay
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.partial_run import Enough, call_by_name, first_output, stopped_early
from kedit_lifecycle.models.tokens import EncodedTarget, encode_with_target, pad_batch
from kedit_lifecycle.progress import Progress, silent, tell

_HINT = "a smaller learning_rate, or another layer; a float16 model may need float32"


class FineTuning(Editor[FineTuningConfig]):
    """FT: Adam on the targets' negative log-likelihood, for one matrix of one layer."""

    name = "ft"
    pretty_name = "FT (fine-tuning of one layer)"
    reference_url = "https://arxiv.org/abs/2202.05262"
    config_class = FineTuningConfig
    constrained: ClassVar[bool] = False

    def default_config(self, model: EditableModel) -> FineTuningConfig:
        """Published for GPT-2 XL, GPT-J and Llama-3-8B, set for the default model, a rule for the rest."""
        family, width = model.architecture.family, model.network.config.hidden_size
        return default_fine_tuning_config(family, model.layer_count, width, constrained=self.constrained)

    def layers(self, config: FineTuningConfig) -> tuple[int, ...]:
        """None: training weighs no keys."""
        return ()

    def plan(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        config: FineTuningConfig,
        *,
        statistics: Statistics,
        past: PastKeys | None = None,
        progress: Progress = silent,
    ) -> WeightDelta:
        """One dense update for all requests together.

        The loss is each target's mean negative log-likelihood after its prompt, averaged over requests.

        Raises:
            UsageError: if the model has no such layer.
            BadRecordError: if a target or a prompt has no tokens, or they are too long for the model.
            EditFailedError: naming the requests, if the loss or the weight is not finite.
        """
        _check_layer(model, config)
        training = _Training(model, requests, config)
        update = training.run(progress)
        probabilities = training.probabilities(replay(training.master, update))
        return WeightDelta(
            updates=(update,),
            warnings=tuple(_missed_targets(requests, probabilities, config)),
            diagnostics={"losses": training.losses, "target_probability": probabilities},
        )


class ConstrainedFineTuning(FineTuning):
    """FT-L: FT with every weight kept close to its value before the edit (Zhu et al. 2020)."""

    name = "ft-l"
    pretty_name = "FT-L (fine-tuning of one layer, L∞-constrained)"
    reference_url = "https://arxiv.org/abs/2012.00363"
    constrained = True


def _check_layer(model: EditableModel, config: FineTuningConfig) -> None:
    if config.layer >= model.layer_count:
        raise UsageError(
            f"there is no layer {config.layer} to train: {model.name} has {model.layer_count} layers, from 0"
        )


def _missed_targets(
    requests: Sequence[EditRequest], probabilities: Sequence[float], config: FineTuningConfig
) -> list[str]:
    """A warning for each request whose target did not become likely, naming what to turn."""
    constrained = config.norm_constraint is not None
    knobs = "steps, learning_rate or norm_constraint" if constrained else "steps or learning_rate"
    return [
        f"{request.question!r}: the target's probability reached only {probability:.2f}; raise {knobs}, or "
        "try another layer"
        for request, probability in zip(requests, probabilities, strict=True)
        if probability < POOR_PROBABILITY
    ]


def _encoded(model: EditableModel, request: EditRequest) -> EncodedTarget:
    encoded = encode_with_target(model.tokenizer, request.question, request.target_new)
    if encoded.target_start == 0:
        raise BadRecordError(f"the prompt {request.question!r} has no tokens for the target to follow")
    length, limit = len(encoded.ids) - 1, position_limit(model)
    if limit is not None and length > limit:
        raise BadRecordError(
            f"{request.question!r} and its target have {length} tokens, and this model reads at most {limit}"
        )
    return encoded


@dataclass(frozen=True)
class _Row:
    """A request by its place in the batch, and its tokens."""

    index: int
    encoded: EncodedTarget

    @property
    def fed(self) -> tuple[int, ...]:
        """What the model reads: all but the target's last token."""
        return self.encoded.ids[:-1]


class _Training:
    """The weight of one layer as a float32 leaf, and the requests that it is trained on."""

    def __init__(
        self, model: EditableModel, requests: Sequence[EditRequest], config: FineTuningConfig
    ) -> None:
        self._model, self._requests, self._config = model, requests, config
        rows = [_Row(index, _encoded(model, request)) for index, request in enumerate(requests)]
        self._buckets = [
            _Bucket(model, config.layer, bucket)
            for bucket in length_buckets(rows, lambda row: len(row.fed), config.token_budget)
        ]
        self.tensor = model.architecture.mlp_down_weight(config.layer)
        self.master = model.master(self.tensor)
        self._before = self.master.to(model.device)
        self._weight = self._before.clone().requires_grad_()
        self.losses: list[float] = []

    def run(self, progress: Progress) -> TensorUpdate:
        """Train; the dense update that was found."""
        config = self._config
        adam = torch.optim.Adam([self._weight], lr=config.learning_rate, weight_decay=config.weight_decay)
        for step in range(config.steps):
            adam.zero_grad()
            self.losses.append(self._forward_and_backward())
            progress("fine-tuning", step + 1, config.steps)
            tell(progress, "loss", step=step + 1, value=self.losses[-1])
            if self.losses[-1] < config.stop_loss:
                break
            adam.step()
            self._clamp()
        return TensorUpdate(self.tensor, "add", self._weight.detach().cpu() - self.master)

    def _forward_and_backward(self) -> float:
        """The loss; its gradient, summed over the buckets, is in the weight."""
        total = 0.0
        for bucket in self._buckets:
            loss = bucket.nll(self._weight).sum() / len(self._requests)
            torch.autograd.backward(loss)
            total += float(loss.detach())
        self._refuse_unless_finite(torch.tensor(total), "the loss")
        return total

    @torch.no_grad()
    def _clamp(self) -> None:
        bound = self._config.norm_constraint
        if bound is not None:
            self._weight.clamp_(self._before - bound, self._before + bound)
        # squared, as the norms above square the stream: past the range they would give 0 and no NaN
        served = self._weight.to(self._model.dtype).float()
        self._refuse_unless_finite(served.square().sum(), "the weight's norm")

    @torch.no_grad()
    def probabilities(self, weight: Tensor) -> list[float]:
        """Each target's probability under this weight (float32), geometric mean over its tokens."""
        nll = torch.zeros(len(self._requests))
        for bucket in self._buckets:
            nll[bucket.indices] = bucket.nll(weight.to(self._model.device)).cpu()
        self._refuse_unless_finite(nll, "the loss")
        return [math.exp(-value) for value in nll.tolist()]

    def _refuse_unless_finite(self, values: Tensor, what: str) -> None:
        if not values.isfinite().all():
            asked = ", ".join(repr(request.question) for request in self._requests)
            raise EditFailedError(f"fine-tuning failed for {asked}: {what} is not finite", hint=_HINT)


class _Bucket:
    """Requests of similar length as a function of one layer's weight; what lies below is run once."""

    def __init__(self, model: EditableModel, layer: int, rows: Sequence[_Row]) -> None:
        architecture, network = model.architecture, model.network
        self._model = model
        self._hidden: Tensor  # the stream at the layer's entrance, (rows, positions, d_model)
        self._weight_name = f"{architecture.mlp_down}.weight"  # within the layer
        self._modules = architecture.layer_modules(network)[layer:]
        self._norm = network.get_submodule(architecture.final_norm)
        self._calls: list[dict[str, Any]] = []  # the other arguments of the layer and of those above
        self._run_below(rows)
        self._place_targets(rows)
        self.indices = [row.index for row in rows]  # the requests' places in the batch

    def _run_below(self, rows: Sequence[_Row]) -> None:
        input_ids, mask = pad_batch([row.fed for row in rows], self._model.pad_id, self._model.device)
        hooks = [module.register_forward_pre_hook(self._keep, with_kwargs=True) for module in self._modules]
        with torch.no_grad(), stopped_early(hooks):
            self._model.hidden_states(input_ids, mask)

    def _keep(self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        call = call_by_name(module, arguments, keywords)
        hidden = call.pop("hidden_states")
        if not self._calls:
            self._hidden = hidden
        self._calls.append(call)
        if module is self._modules[-1]:
            raise Enough

    def _place_targets(self, rows: Sequence[_Row]) -> None:
        """(row of the bucket, position that predicts it, token) of each token of each target."""
        places = [
            (row, one.encoded.target_start - 1 + offset, token)
            for row, one in enumerate(rows)
            for offset, token in enumerate(one.encoded.target)
        ]
        self._lengths = [len(one.encoded.target) for one in rows]
        self._row, self._position, self._token = (
            torch.tensor(column, device=self._model.device) for column in zip(*places, strict=True)
        )

    def nll(self, weight: Tensor) -> Tensor:
        """Each target's mean negative log-likelihood, (rows,) float32, for a float32 `weight`."""
        served = {self._weight_name: weight.to(self._model.dtype)}
        hidden = self._hidden
        for number, (module, call) in enumerate(zip(self._modules, self._calls, strict=True)):
            keywords = {"hidden_states": hidden, **call}
            output = module(**keywords) if number else functional_call(module, served, (), keywords)
            hidden = first_output(output)
        logits = self._model.logits(self._norm(hidden[self._row, self._position]))  # (tokens, vocabulary)
        losses = nn.functional.cross_entropy(logits, self._token, reduction="none")
        return torch.stack([target.mean() for target in torch.split(losses, self._lengths)])
