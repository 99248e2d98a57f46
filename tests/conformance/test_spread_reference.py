"""MEMIT, AlphaEdit and EMMET equal the plain ones: δ, loss curves and ΔW, on every architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_spread import (
    PlainModel,
    PlainSpread,
    PlainValue,
    plain_alphaedit,
    plain_anchor,
    plain_emmet,
    plain_memit,
    plain_null_projection,
    plain_output_fisher,
    plain_spread,
    plain_value,
    plain_value_scale,
)
from tiny import CORE_FAMILIES, FEED_FORWARD, tiny_editable
from torch import Tensor

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.editors.locate.contexts import encode_contexts
from kedit_lifecycle.editors.locate.natural import search_metric
from kedit_lifecycle.editors.locate.spread_editor import SpreadConfig
from kedit_lifecycle.editors.locate.value_search import FoundValue, ValueSearch
from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.editors.statistics import Statistics, StatisticsLibrary
from kedit_lifecycle.facts.request import EditRequest, make_request
from kedit_lifecycle.models.delta import WeightDelta, replay

pytestmark = pytest.mark.conformance

REQUESTS = (
    make_request(subject="The Eiffel Tower", prompt="{} is in the city of", target_new="Rome"),
    make_request(
        subject="Mozart", prompt="What did the famous {} write? He", target_new="played water music"
    ),
    make_request(subject="Italy", prompt="{}", target_new="Tokyo"),
    make_request(subject="Danielle Darrieux", prompt="The mother tongue of {} is", target_new="Italian"),
    make_request(subject="Big Ben", prompt="We saw {}, which was built in", target_new="the year 1066"),
)
TOKENS = 400
SEARCH: dict[str, Any] = {
    "steps": 6,
    "learning_rate": 0.1,
    "clamp_norm": 4.0,
    "prefix_lengths": [[3, 1], [6, 1]],
    "second_moment_tokens": TOKENS,
    "unprefixed_weight": 2.5,
}
METHODS: dict[str, dict[str, Any]] = {
    "memit": {"covariance_weight": 2.0, "frobenius_weight": 0.01},
    "alphaedit": {"null_space_fraction": 0.8, "ridge": 0.1},
    "emmet": {"covariance_weight": 2.0, "damping": 0.05},
}
NATURAL: dict[str, Any] = {
    "optimiser": "natural-momentum",
    "fisher_tokens": TOKENS,
    "fisher_damping": 0.05,
}
FASTER: dict[str, Any] = {"steps": 8, "learning_rate": 0.5}
"""Enough for losses to fall in any order."""


class Setting:
    """A tiny model, its statistics, and plain results that several tests compare with."""

    def __init__(self, family: str, folder: Path) -> None:
        self.model = tiny_editable(family, torch.float32)
        library = StatisticsLibrary(folder / "stats", BlobStore(folder / "blobs"))
        self.statistics = Statistics(self.model, library)
        self.plain = PlainModel(self.model)
        self._known: dict[tuple[str, EditRequest], PlainValue] = {}

    def config(self, method: str = "memit", **changed: Any) -> SpreadConfig:
        settings = {"layers": [0, 1], **SEARCH, **METHODS[method], **changed}
        config = get_editor(method).config_class.model_validate(settings)
        assert isinstance(config, SpreadConfig)
        return config

    def prefixes(self, config: SpreadConfig) -> list[str]:
        return self.statistics.prefixes(config.prefix_lengths)[1]

    def moment(self, layer: int) -> Tensor:
        return self.statistics.second_moment(layer, tokens=TOKENS)[1].double()

    def scale(self, layer: int) -> float:
        return plain_value_scale(self.plain, layer, self.moment(layer))

    def fisher(self, config: SpreadConfig) -> Tensor:
        texts = self.statistics.samples(TOKENS)
        texts[-1] = texts[-1][: TOKENS - sum(map(len, texts[:-1]))]
        return plain_output_fisher(self.plain, config.layers[-1], texts)

    def values(self, requests: Sequence[EditRequest], config: SpreadConfig) -> list[PlainValue]:
        """The plain search; settings that it does not read do not make it run again."""
        told = SEARCH.keys() | {"layers", "clamp_floor", "stop_loss", "stop_probability", "stop_at_argmax"}
        told |= {"optimiser", "fisher_damping"}
        key = config.model_dump_json(include=set(told))
        scale, prefixes = self.scale(config.layers[-1]), self.prefixes(config)
        fisher = self.fisher(config) if config.optimiser == "natural-momentum" else None
        for request in requests:
            if (key, request) not in self._known:
                found = plain_value(self.plain, request, config, prefixes, scale, fisher)
                self._known[key, request] = found
        return [self._known[key, request] for request in requests]

    def search(self, requests: Sequence[EditRequest], config: SpreadConfig) -> list[FoundValue]:
        """The engine's search by itself."""
        prefixes = self.prefixes(config)
        metric = search_metric(config, config.layers[-1], self.statistics)
        search = ValueSearch(self.model, config.layers[-1], config, "stream", metric=metric)
        return search.find([encode_contexts(self.model, one, prefixes) for one in requests])

    def plan(
        self, method: str, requests: Sequence[EditRequest], config: SpreadConfig, past: PastKeys | None = None
    ) -> WeightDelta:
        return get_editor(method).plan(self.model, requests, config, statistics=self.statistics, past=past)

    def spread(
        self,
        method: str,
        requests: Sequence[EditRequest],
        config: SpreadConfig,
        targets: Sequence[Tensor] | None = None,
        past: Mapping[int, Tensor] | None = None,
    ) -> PlainSpread:
        """The plain method, with past keys (d_ff, n) by layer."""
        if targets is None:
            targets = [one.stream + one.delta for one in self.values(requests, config)]

        def formula(layer: int, K: Tensor, R: Tensor) -> Tensor:
            return self._change(method, config, layer, K, R, None if past is None else past[layer])

        changed = PlainModel(self.model)
        return plain_spread(changed, requests, config, self.prefixes(config), targets, formula)

    def _change(
        self, method: str, config: SpreadConfig, layer: int, K: Tensor, R: Tensor, past: Tensor | None
    ) -> Tensor:
        numbers: Any = config
        if method == "alphaedit":
            P = plain_null_projection(self.moment(layer), numbers.null_space_fraction)
            return plain_alphaedit(P, K, R, numbers.ridge, past)
        C = numbers.covariance_weight * self.moment(layer)
        if method == "emmet":
            return plain_emmet(C, K, R, numbers.damping if K.shape[1] > 1 else 0.0, past)
        identity = torch.eye(FEED_FORWARD, dtype=torch.float64)
        return plain_memit(C + numbers.frobenius_weight * identity, K, R, past)


@pytest.fixture(scope="module", params=CORE_FAMILIES)
def setting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(str(request.param), tmp_path_factory.mktemp("reference"))


@pytest.fixture(params=list(METHODS))
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def changes(setting: Setting, delta: WeightDelta, layers: Sequence[int]) -> list[Tensor]:
    """ΔW (d_model, d_ff) of each layer, by the replay."""
    architecture = setting.model.architecture
    assert [one.tensor for one in delta.updates] == [architecture.mlp_down_weight(at) for at in layers]
    zeros = (torch.zeros_like(setting.model.master(one.tensor)) for one in delta.updates)
    replayed = [replay(zero, one) for zero, one in zip(zeros, delta.updates, strict=True)]
    return [one.T if architecture.transposed else one for one in replayed]


def assert_same_values(found: Sequence[FoundValue], plain: Sequence[PlainValue]) -> None:
    for ours, theirs in zip(found, plain, strict=True):
        assert ours.losses == pytest.approx(theirs.losses, rel=1e-4, abs=1e-5)
        torch.testing.assert_close(ours.delta.double(), theirs.delta, rtol=2e-3, atol=2e-4)
        torch.testing.assert_close(ours.stream.double(), theirs.stream, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.value.double(), theirs.value, rtol=1e-4, atol=1e-5)
        assert ours.probability == pytest.approx(theirs.steps[-1].probability, rel=1e-3, abs=1e-6)


def assert_same_losses(delta: WeightDelta, plain: Sequence[PlainValue]) -> None:
    for ours, theirs in zip(delta.diagnostics["losses"], plain, strict=True):
        assert ours == pytest.approx(theirs.losses, rel=1e-4, abs=1e-5)


def assert_same_changes(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        size = float(other.abs().max())
        assert size > 1e-4  # something is written
        torch.testing.assert_close(one.double(), other, rtol=5e-3, atol=5e-4 * size)


def check(
    setting: Setting, method: str, requests: Sequence[EditRequest], config: SpreadConfig
) -> WeightDelta:
    """A whole plan against the plain method."""
    delta = setting.plan(method, requests, config)
    plain = setting.spread(method, requests, config)
    assert not delta.failures
    assert_same_losses(delta, setting.values(requests, config))
    assert_same_changes(changes(setting, delta, config.layers), plain.changes)
    moved = [at for at, one in enumerate(setting.values(requests, config)) if one.delta.norm() > 0]
    left = delta.diagnostics["residual_left"]
    expected = [plain.residual_left[at] for at in moved]
    assert [left[at] for at in moved] == pytest.approx(expected, rel=5e-3, abs=1e-3)
    return delta


def test_a_single_request_equals_the_plain_reference(setting: Setting, method: str) -> None:
    config = setting.config(method)
    check(setting, method, REQUESTS[1:2], config)
    assert_same_values(setting.search(REQUESTS[1:2], config), setting.values(REQUESTS[1:2], config))


@pytest.mark.parametrize("count", [3, 5])
def test_a_batch_of_different_lengths_equals_the_plain_reference(
    setting: Setting, method: str, count: int
) -> None:
    facts = [setting.plain.encode(one, ())[0] for one in REQUESTS[:count]]
    assert len({len(fact.ids) for fact in facts}) > 1
    assert len({fact.subject_last for fact in facts}) > 1
    assert len({len(fact.ids) - fact.target_start for fact in facts}) > 1
    check(setting, method, REQUESTS[:count], setting.config(method))


def test_a_residual_averaged_over_the_contexts_equals_the_plain_reference(
    setting: Setting, method: str
) -> None:
    averaged, bare = setting.config(method, averaged_residual=True), setting.config(method)
    check(setting, method, REQUESTS[:3], averaged)
    other, published = (setting.spread(method, REQUESTS[:3], one).changes[-1] for one in (averaged, bare))
    assert (other - published).abs().max() > 0.05 * published.abs().max()  # it is another update


def test_values_of_a_batch_equal_the_plain_reference(setting: Setting) -> None:
    config = setting.config()
    assert_same_values(setting.search(REQUESTS, config), setting.values(REQUESTS, config))


def test_groups_that_split_at_a_tiny_token_budget_equal_the_plain_reference(setting: Setting) -> None:
    config = setting.config(token_budget=16)
    assert_same_values(setting.search(REQUESTS, config), setting.values(REQUESTS, config))
    check(setting, "memit", REQUESTS, config)


def test_a_batch_equals_one_request_after_another(setting: Setting) -> None:
    config = setting.config(**FASTER)
    together = setting.search(REQUESTS, config)
    for request, one in zip(REQUESTS, together, strict=True):
        (alone,) = setting.search([request], config)
        assert one.losses == pytest.approx(alone.losses, rel=1e-4, abs=1e-5)
        for name in ("delta", "key", "mean_key", "value", "mean_value", "stream"):
            torch.testing.assert_close(getattr(one, name), getattr(alone, name), rtol=1e-3, atol=1e-4)


def between(values: Sequence[float]) -> float:
    """The middle of the widest gap: a threshold that rounding does not move a value across."""
    ordered = sorted(values)
    low, high = max(pairwise(ordered), key=lambda pair: pair[1] - pair[0])
    return (low + high) / 2


def first_below(curve: Sequence[float], threshold: float) -> int:
    """The step at which the curve is below for the first time; the last one if it never is."""
    return next((step for step, value in enumerate(curve) if value < threshold), len(curve) - 1)


def threshold(curves: Sequence[Sequence[float]], *, at_once: bool) -> float:
    """The safest one that some curves cross, all at once or some later, and others never."""
    ordered = sorted(value for curve in curves for value in curve)
    best, safest = 0.0, 0.0
    for low, high in pairwise(ordered):
        stops = [first_below(curve, (low + high) / 2) for curve in curves]
        last = len(curves[0]) - 1
        wanted = set(stops) == {0, last} if at_once else any(0 < stop < last for stop in stops)
        if wanted and last in stops and high - low > safest:
            best, safest = (low + high) / 2, high - low
    assert safest > 0
    return best


@pytest.mark.parametrize("token_budget", [16, 1024])
def test_requests_leave_the_batch_as_their_losses_fall(setting: Setting, token_budget: int) -> None:
    unstopped = setting.values(REQUESTS, setting.config(stop_loss=0, **FASTER))
    stop_loss = threshold([one.losses for one in unstopped], at_once=False)
    config = setting.config(token_budget=token_budget, stop_loss=stop_loss, **FASTER)
    check_stops(setting, REQUESTS, config)


@pytest.mark.parametrize("at_once", [True, False])
def test_requests_leave_the_batch_as_their_targets_become_likely(setting: Setting, at_once: bool) -> None:
    unstopped = setting.values(REQUESTS, setting.config(stop_loss=0, **FASTER))
    curves = [[-math.log(step.probability) for step in one.steps] for one in unstopped]
    likely = math.exp(-threshold(curves, at_once=at_once))
    check_stops(setting, REQUESTS, setting.config(stop_loss=0, stop_probability=likely, **FASTER))


def check_stops(setting: Setting, requests: Sequence[EditRequest], config: SpreadConfig) -> None:
    """Some leave early and some stay, and each is where the plain search says."""
    plain = setting.values(requests, config)
    lengths = [len(one.steps) for one in plain]
    assert len(set(lengths)) > 1
    assert min(lengths) < max(lengths) == config.steps
    found = setting.search(requests, config)
    assert [len(one.losses) for one in found] == lengths
    assert_same_values(found, plain)


def with_reachable_target(setting: Setting, request: EditRequest, rank: int) -> EditRequest:
    """The same prompt, with a target of one token that is this unlikely among the model's next words."""
    fact = setting.plain.encode(request, ())[0]
    tokenizer = setting.model.tokenizer
    order = setting.plain.log_probabilities(fact, 0)[fact.target_start - 1].argsort(descending=True)
    words = [str(tokenizer.decode([int(token)])) for token in order]
    word = [one for one in words if one[:1] == " " and one[1:].isalpha()][rank]
    return make_request(subject=request.subject, prompt=request.prompt, target_new=word.strip())


def test_steps_along_the_natural_gradient_equal_the_plain_reference(setting: Setting, method: str) -> None:
    config = setting.config(method, **NATURAL)
    delta = check(setting, method, REQUESTS[:3], config)
    entry, _ = setting.statistics.output_fisher(config.layers[-1], tokens=TOKENS)
    assert delta.diagnostics["statistics"]["output_fisher"] == entry.tensors["output_fisher"]
    assert_same_values(setting.search(REQUESTS[:3], config), setting.values(REQUESTS[:3], config))


def test_requests_leave_a_batch_that_follows_the_natural_gradient(setting: Setting) -> None:
    unstopped = setting.values(REQUESTS, setting.config(stop_loss=0, **FASTER, **NATURAL))
    stop_loss = threshold([one.losses for one in unstopped], at_once=False)
    check_stops(setting, REQUESTS, setting.config(stop_loss=stop_loss, **FASTER, **NATURAL))


def test_requests_leave_the_batch_as_soon_as_their_targets_are_most_probable(setting: Setting) -> None:
    reachable = [with_reachable_target(setting, REQUESTS[2], rank) for rank in (0, 1)]
    free: dict[str, Any] = {
        "prefix_lengths": [],
        "clamp_norm": None,
        "kl_factor": 0,
        "weight_decay": 0,
        "stop_loss": 0,
    }
    config = setting.config(stop_at_argmax=True, **free, **FASTER)
    check_stops(setting, [REQUESTS[1], *reachable, REQUESTS[4]], config)


def test_a_plan_whose_requests_stop_at_different_steps_equals_the_plain_reference(setting: Setting) -> None:
    unstopped = setting.values(REQUESTS, setting.config(stop_loss=0, **FASTER))
    stop_loss = threshold([one.losses for one in unstopped], at_once=False)
    delta = check(setting, "memit", REQUESTS, setting.config(stop_loss=stop_loss, **FASTER))
    assert len({len(losses) for losses in delta.diagnostics["losses"]}) > 1


def test_clamping_that_binds_equals_the_plain_reference(setting: Setting, method: str) -> None:
    config = setting.config(method, clamp_norm=0.05)
    plain = setting.values(REQUESTS[:3], config)
    for one in plain:
        assert float(one.delta.norm()) == pytest.approx(0.05 * float(one.stream.norm()))
    assert_same_values(setting.search(REQUESTS[:3], config), plain)
    check(setting, method, REQUESTS[:3], config)


def test_no_clamping_equals_the_plain_reference(setting: Setting) -> None:
    check(setting, "memit", REQUESTS[:2], setting.config(clamp_norm=None))


def test_a_floor_under_the_clamp_equals_the_plain_reference(setting: Setting) -> None:
    """Between the streams' norms: it lifts the clamp of some requests and not of the others."""
    requests = REQUESTS[:3]
    norms = [float(one.stream.norm()) for one in setting.values(requests, setting.config())]
    floor = between(norms)
    config = setting.config(clamp_norm=0.05, clamp_floor=floor / setting.scale(1))
    reached = [float(one.delta.norm()) for one in setting.values(requests, config)]
    assert reached == pytest.approx([0.05 * max(norm, floor) for norm in norms])
    check(setting, "memit", requests, config)


def test_norm_anchored_values_equal_the_plain_reference(setting: Setting, method: str) -> None:
    config = setting.config(method, norm_anchor=1.5)
    length = 1.5 * setting.scale(1)
    targets = [plain_anchor(one, length) for one in setting.values(REQUESTS[:3], config)]
    plain = setting.spread(method, REQUESTS[:3], config, targets)
    delta = setting.plan(method, REQUESTS[:3], config)
    assert_same_changes(changes(setting, delta, config.layers), plain.changes)


def history(setting: Setting, sizes: Sequence[int]) -> dict[int, list[Tensor]]:
    """By layer, blocks (n, d_ff) of past keys that look like the model's own."""
    generator = torch.Generator().manual_seed(5)
    return {
        layer: [
            (torch.randn(size, FEED_FORWARD, generator=generator) * setting.moment(layer).diagonal().sqrt())
            .float()
            for size in sizes
        ]
        for layer in (0, 1)
    }  # fmt: skip


@pytest.mark.parametrize("sizes", [(3, 2, 4), (30, 1, 20)], ids=["short", "long"])
def test_past_keys_equal_the_plain_reference(setting: Setting, method: str, sizes: tuple[int, ...]) -> None:
    """A short history is solved as an n × n system, a long one as dimension × dimension."""
    config = setting.config(method, past_keys=True)
    blocks = history(setting, sizes)
    name = setting.model.architecture.mlp_down_weight
    past = PastKeys(lambda: {name(layer): found for layer, found in blocks.items()})
    delta = setting.plan(method, REQUESTS[:3], config, past)
    stacked = {layer: torch.cat(found).double().T for layer, found in blocks.items()}
    plain = setting.spread(method, REQUESTS[:3], config, past=stacked)
    ours = changes(setting, delta, config.layers)
    assert_same_changes(ours, plain.changes)
    without = setting.spread(method, REQUESTS[:3], config).changes
    assert (plain.changes[0] - without[0]).norm() > 0.05 * without[0].norm()  # the history matters


def test_past_keys_are_left_aside_where_the_config_says_so(setting: Setting, method: str) -> None:
    config = setting.config(method, past_keys=False)
    name = setting.model.architecture.mlp_down_weight
    blocks = {name(layer): found for layer, found in history(setting, (30,)).items()}
    delta = setting.plan(method, REQUESTS[:3], config, PastKeys(lambda: blocks))
    plain = setting.spread(method, REQUESTS[:3], config)
    assert_same_changes(changes(setting, delta, config.layers), plain.changes)


def test_a_single_request_in_emmet_is_rome_with_the_averaged_key_on_both_sides(setting: Setting) -> None:
    """ΔW = (z − h)(C⁻¹k)ᵀ / ((C⁻¹k)ᵀ k)   # Meng et al. 2022, eq. 2."""
    config = setting.config("emmet", layers=[1], damping=7.0)
    delta = setting.plan("emmet", REQUESTS[:1], config)
    (found,) = setting.search(REQUESTS[:1], config)
    key = found.mean_key.double()
    weighted = torch.linalg.solve(setting.moment(1), key)
    (change,) = changes(setting, delta, [1])
    rome = torch.outer(found.delta.double(), weighted) / (weighted @ key)
    assert_same_changes([change], [rome])
    torch.testing.assert_close(change.double() @ key, found.delta.double(), rtol=1e-3, atol=1e-4)


def test_the_model_is_left_as_it_was(setting: Setting) -> None:
    for name, parameter in PlainModel(setting.model).network.named_parameters():
        assert torch.equal(parameter, setting.plain.network.get_parameter(name))
