"""FT and FT-L against a plain float64 training loop, and what they promise about the model."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CORE_FAMILIES, POSITIONS, tiny_editable, tiny_model
from tiny_workbench import DTYPES, all_fingerprints, requests
from torch import Tensor

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors.base import Editor
from kedit_lifecycle.editors.fine_tuning import ConstrainedFineTuning, FineTuning, FineTuningConfig
from kedit_lifecycle.editors.fine_tuning import editor as fine_tuning_editor
from kedit_lifecycle.editors.fine_tuning.config import default_fine_tuning_config
from kedit_lifecycle.editors.statistics import open_statistics
from kedit_lifecycle.errors import BadRecordError, EditFailedError, UsageError
from kedit_lifecycle.evaluation.scoring import Scorer
from kedit_lifecycle.facts.request import EditRequest, make_request
from kedit_lifecycle.models.delta import WeightDelta, replay
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import pad_batch
from kedit_lifecycle.progress import Progress, silent

MIXED = [
    *requests(2),
    make_request(subject="Mozart", prompt="{} wrote", target_new="the city of London"),
    make_request(
        subject="Albert Einstein",
        prompt="The physicist {}, who was born in Germany and worked in America, speaks",
        target_new="French",
    ),
]
ALL_FAMILIES = (*CORE_FAMILIES, "llama_tied", "qwen2", "qwen3", "gemma")
Plan = Callable[..., WeightDelta]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Plan with the editor that the settings call for, FT-L if they hold a constraint."""

    def call(
        model: EditableModel,
        batch: list[EditRequest] = MIXED,
        *,
        progress: Progress = silent,
        **settings: Any,
    ) -> WeightDelta:
        config = FineTuningConfig.model_validate({"layer": 1, "learning_rate": 0.005, **settings})
        editor: Editor[Any] = FineTuning() if config.norm_constraint is None else ConstrainedFineTuning()
        statistics = open_statistics(model, tmp_path / "stats", BlobStore(tmp_path / "blobs"), share=False)
        return editor.plan(model, batch, config, statistics=statistics, progress=progress)

    return call


class PlainTraining:
    """The whole network in float64, one request at a time without padding, Adam and the clamp by hand."""

    def __init__(self, family: str, tensor: str, batch: list[EditRequest]) -> None:
        self.network, self.tokenizer = tiny_model(family)
        self.network = self.network.double().requires_grad_(False)
        self.batch = batch
        self.weight = self.network.get_parameter(tensor).requires_grad_()
        self.before = self.weight.detach().clone()
        self.losses: list[float] = []

    def nll(self, request: EditRequest) -> Tensor:
        text = f"{request.question} {request.target_new}"
        ids = torch.tensor([self.tokenizer(text)["input_ids"]])
        start = len(self.tokenizer(request.question)["input_ids"])
        logprobs = torch.log_softmax(self.network(input_ids=ids).logits[0], dim=-1)
        picked = [logprobs[at - 1, ids[0, at]] for at in range(start, ids.shape[1])]
        return -torch.stack(picked).mean()

    def train(
        self, steps: int, rate: float, bound: float | None = None, decay: float = 0.0, stop: float = 0.0
    ) -> None:
        mean, square = torch.zeros_like(self.before), torch.zeros_like(self.before)
        for step in range(1, steps + 1):
            loss = torch.stack([self.nll(request) for request in self.batch]).mean()
            self.losses.append(float(loss.detach()))
            if self.losses[-1] < stop:
                return
            (gradient,) = torch.autograd.grad(loss, self.weight)
            gradient = gradient + decay * self.weight.detach()
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
            move = (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
            with torch.no_grad():
                self.weight -= rate * move
                if bound is not None:
                    self.weight.copy_(self.weight.clamp(self.before - bound, self.before + bound))

    @property
    def change(self) -> Tensor:
        return self.weight.detach() - self.before

    def probabilities(self) -> list[float]:
        with torch.no_grad():
            return [float(self.nll(request).neg().exp()) for request in self.batch]


def assert_equal_training(delta: WeightDelta, reference: PlainTraining) -> None:
    (update,) = delta.updates
    change = reference.change
    assert update.operation == "add"
    assert update.keys is None
    assert float((update.left - change).norm()) < 2e-3 * float(change.norm())
    assert delta.diagnostics["losses"] == pytest.approx(reference.losses, rel=1e-4)
    assert delta.diagnostics["target_probability"] == pytest.approx(reference.probabilities(), rel=1e-3)


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("bound", [None, 0.012])
@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_training_equals_a_plain_float64_loop(
    family: str, bound: float | None, layer: int, plan: Plan
) -> None:
    model = tiny_editable(family)
    delta = plan(model, layer=layer, steps=5, norm_constraint=bound)
    reference = PlainTraining(family, model.architecture.mlp_down_weight(layer), MIXED)
    reference.train(5, 0.005, bound)
    assert delta.updates[0].tensor == model.architecture.mlp_down_weight(layer)
    assert_equal_training(delta, reference)


def test_weight_decay_is_an_l2_penalty_in_the_gradient(plan: Plan) -> None:
    model = tiny_editable("gptj")
    reference = PlainTraining("gptj", model.architecture.mlp_down_weight(1), MIXED)
    reference.train(4, 0.005, decay=0.5)
    assert_equal_training(plan(model, steps=4, weight_decay=0.5), reference)


def test_training_stops_below_the_loss_asked_for(plan: Plan) -> None:
    model = tiny_editable("llama")
    reference = PlainTraining("llama", model.architecture.mlp_down_weight(1), MIXED[:1])
    reference.train(60, 0.01, stop=0.5)
    assert 2 < len(reference.losses) < 60
    stopped = plan(model, MIXED[:1], steps=60, learning_rate=0.01, stop_loss=0.5)
    assert_equal_training(stopped, reference)


def test_every_step_is_reported(plan: Plan) -> None:
    seen: list[tuple[str, int, int]] = []
    plan(tiny_editable("gpt2"), steps=3, progress=lambda *at: seen.append(at))
    assert seen == [("fine-tuning", step, 3) for step in (1, 2, 3)]


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_the_constraint_holds_and_is_reached(family: str, dtype: str, plan: Plan) -> None:
    bound = 0.007
    model = tiny_editable(family, DTYPES[dtype])
    (update,) = plan(model, steps=6, norm_constraint=bound).updates
    master = model.master(update.tensor)
    change = (replay(master, update) - master).abs()
    rounding = float(master.abs().max()) * 2**-22
    assert float(change.max()) <= bound + rounding
    assert float((change > bound - rounding).float().mean()) > 0.2
    (free,) = plan(model, steps=6).updates
    assert float(free.left.abs().max()) > 2 * bound


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_training_goes_on_from_what_earlier_edits_left(dtype: str, plan: Plan) -> None:
    model = tiny_editable("gptj", DTYPES[dtype])
    first = plan(model, steps=8)
    model.apply(first.updates)
    reached = [-math.log(probability) for probability in first.diagnostics["target_probability"]]
    second = plan(model, steps=8)
    assert second.diagnostics["losses"][0] == pytest.approx(sum(reached) / len(reached), rel=1e-5)
    assert second.diagnostics["losses"][0] < 0.9 * first.diagnostics["losses"][0]


def test_the_constraint_is_around_the_weight_as_earlier_edits_left_it(plan: Plan) -> None:
    model = tiny_editable("llama")
    model.apply(plan(model, steps=8).updates)
    edited = model.master(model.architecture.mlp_down_weight(1))
    (update,) = plan(model, steps=3, norm_constraint=0.004).updates
    assert float((replay(edited, update) - edited).abs().max()) <= 0.004 + 1e-6


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_targets_become_likely_and_diagnostics_say_how_likely(family: str, dtype: str, plan: Plan) -> None:
    model = tiny_editable(family, DTYPES[dtype])

    def measured() -> list[float]:
        pairs = [(request.question, request.target_new) for request in MIXED]
        return [math.exp(-score.mean_nll) for score in Scorer(model).score_targets(pairs)]

    before = measured()
    delta = plan(model, steps=40, learning_rate=0.03)
    model.apply(delta.updates)
    after = measured()
    assert all(now > 3 * then for now, then in zip(after, before, strict=True))
    assert delta.diagnostics["target_probability"] == pytest.approx(after, rel=0.02)


@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_a_small_token_budget_gives_what_a_large_one_gives(
    family: str, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []

    def counted(sequences: Any, *rest: Any) -> Any:
        batches.append(len(sequences))
        return pad_batch(sequences, *rest)

    monkeypatch.setattr(fine_tuning_editor, "pad_batch", counted)
    model = tiny_editable(family)
    small, large = (plan(model, steps=5, token_budget=budget) for budget in (16, 10_000))
    assert len(batches) > 2
    assert sorted(batches)[-1] == len(MIXED)
    (one,), (other,) = small.updates, large.updates
    assert float((one.left - other.left).norm()) < 2e-3 * float(other.left.norm())
    for name in ("losses", "target_probability"):
        assert small.diagnostics[name] == pytest.approx(large.diagnostics[name], rel=1e-3)


def test_probabilities_are_in_the_order_of_the_requests(plan: Plan) -> None:
    model = tiny_editable("gpt_neox")
    straight, reverse = (
        plan(model, batch, token_budget=16, steps=4).diagnostics["target_probability"]
        for batch in (MIXED, MIXED[::-1])
    )
    assert reverse[::-1] == pytest.approx(straight, rel=1e-3)
    assert min(abs(a - b) / a for a, b in zip(straight, reverse, strict=True)) > 5e-3


class Untouched:
    """What a plan must leave as it is: taken before, compared after."""

    def __init__(self, model: EditableModel) -> None:
        self.model, self.was = model, self._state(model)

    @staticmethod
    def _state(model: EditableModel) -> dict[str, Any]:
        named = dict(model.network.named_parameters())
        masters = model.masters
        return {
            "fingerprints": all_fingerprints(model),
            "objects": {name: (id(one), one.data_ptr()) for name, one in named.items()},
            "flags": {name: (one.requires_grad, one.grad is None) for name, one in named.items()},
            "masters": {name: (id(one), one.numpy().tobytes()) for name, one in masters.items()},
            "random": torch.get_rng_state().tolist(),
            "hooks": sum(len(module._forward_pre_hooks) for module in model.network.modules()),
            "training": any(module.training for module in model.network.modules()),
        }

    def check(self) -> None:
        assert self._state(self.model) == self.was


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_the_model_is_left_as_it_was(family: str, dtype: str, plan: Plan) -> None:
    model = tiny_editable(family, DTYPES[dtype])
    untouched = Untouched(model)
    delta = plan(model, steps=3)
    untouched.check()
    model.apply(delta.updates)
    assert {one.dtype for one in model.network.parameters()} == {DTYPES[dtype]}
    edited = Untouched(model)
    plan(model, steps=3, norm_constraint=0.01)
    edited.check()


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_what_is_not_finite_is_refused_by_name_and_the_model_left_alone(
    family: str, dtype: str, plan: Plan
) -> None:
    model = tiny_editable(family, DTYPES[dtype])
    model.apply(plan(model, MIXED[:1], steps=1).updates)
    untouched = Untouched(model)
    with pytest.raises(EditFailedError, match="not finite") as raised:
        plan(model, learning_rate=1e30, steps=1)
    assert all(request.question in str(raised.value) for request in MIXED)
    assert "learning_rate" in raised.value.hint
    untouched.check()


def test_an_interrupted_plan_leaves_the_model_alone(plan: Plan) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    model = tiny_editable("gpt2")
    untouched = Untouched(model)
    with pytest.raises(KeyboardInterrupt):
        plan(model, progress=interrupt)
    untouched.check()


@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_the_same_call_gives_the_same_bits(family: str, plan: Plan) -> None:
    model = tiny_editable(family)
    first = plan(model, steps=4)
    torch.manual_seed(23)
    second = plan(model, steps=4)
    assert torch.equal(first.updates[0].left, second.updates[0].left)
    assert first.diagnostics == second.diagnostics


@pytest.mark.parametrize("bound", [None, 1e-4])
def test_a_target_that_stays_unlikely_is_warned_of(bound: float | None, plan: Plan) -> None:
    delta = plan(tiny_editable("llama"), steps=1, norm_constraint=bound)
    assert len(delta.warnings) == len(MIXED)
    for request, warning in zip(MIXED, delta.warnings, strict=True):
        assert request.question in warning
        assert all(knob in warning for knob in ("steps", "learning_rate"))
        assert ("norm_constraint" in warning) is (bound is not None)


def test_a_target_that_became_likely_is_not_warned_of(plan: Plan) -> None:
    delta = plan(tiny_editable("gpt2"), MIXED[:1], steps=40, learning_rate=0.01)
    assert delta.diagnostics["target_probability"][0] > 0.6
    assert delta.warnings == ()


def test_a_layer_out_of_range_names_the_number_of_layers(plan: Plan) -> None:
    with pytest.raises(UsageError, match=r"layer 3 .* 3 layers"):
        plan(tiny_editable("llama"), layer=3)


def test_a_text_longer_than_the_model_reads_is_refused(plan: Plan) -> None:
    long = make_request(subject="Rome", prompt="{}" + " is" * POSITIONS, target_new="old")
    with pytest.raises(BadRecordError, match=f"at most {POSITIONS}"):
        plan(tiny_editable("gpt2"), [*MIXED, long])


def test_no_statistics_are_asked_for() -> None:
    assert FineTuning().layers(FineTuningConfig(layer=1)) == ()


@pytest.mark.parametrize(
    ("family", "layers", "d_model", "layer", "bound"),
    [
        ("gpt2", 48, 1600, 21, 5e-4),
        ("gptj", 28, 4096, 21, 5e-5),
        ("llama", 32, 4096, 21, 5e-5),
        ("llama", 30, 576, 6, 8e-3),
        ("gpt_neox", 12, 768, 8, 5e-4),
    ],
)
def test_defaults(family: str, layers: int, d_model: int, layer: int, bound: float) -> None:
    free = default_fine_tuning_config(family, layers, d_model, constrained=False)
    kept = default_fine_tuning_config(family, layers, d_model, constrained=True)
    assert (free.layer, free.norm_constraint) == (layer, None)
    assert (kept.layer, kept.norm_constraint) == (layer, bound)
    assert free.model_copy(update={"norm_constraint": bound}) == kept


def test_only_ft_l_is_constrained_by_default() -> None:
    model = tiny_editable("gpt2")
    assert FineTuning().default_config(model) == FineTuningConfig(layer=2)
    assert ConstrainedFineTuning().default_config(model) == FineTuningConfig(layer=2, norm_constraint=5e-4)
    assert (FineTuning.name, ConstrainedFineTuning.name) == ("ft", "ft-l")
