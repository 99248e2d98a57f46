"""Requests that cannot be solved: named, left out, and no harm to the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_editable

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors import get_editor
from kedit_lifecycle.editors.locate.config import ValueSearchConfig
from kedit_lifecycle.editors.locate.contexts import encode_contexts
from kedit_lifecycle.editors.locate.value_search import FoundValue, ValueSearch
from kedit_lifecycle.editors.statistics import Statistics, StatisticsLibrary
from kedit_lifecycle.errors import EditFailedError
from kedit_lifecycle.facts.request import EditRequest, make_request
from kedit_lifecycle.models.delta import TensorUpdate, WeightDelta, replay
from kedit_lifecycle.models.editable import EditableModel

pytestmark = pytest.mark.unit

SPOILT = "Zq"
GOOD = (
    make_request(subject="The Eiffel Tower", prompt="{} is in the city of", target_new="Rome"),
    make_request(subject="Mozart", prompt="What did {} write? He", target_new="played music"),
)
BAD = make_request(subject=SPOILT, prompt="{} is near", target_new="Tokyo")
MIXED = (GOOD[0], BAD, GOOD[1])
SPREADS = ("memit", "alphaedit", "emmet")
SETTINGS: dict[str, dict[str, Any]] = {
    "rome": {"layer": 1},
    "memit": {"layers": [0, 1], "covariance_weight": 1.0},
    "alphaedit": {"layers": [0, 1], "null_space_fraction": 0.9, "ridge": 0.1},
    "emmet": {"layers": [0, 1], "damping": 0.01},
}
QUICK: dict[str, Any] = {
    "steps": 4,
    "learning_rate": 0.1,
    "prefix_lengths": [[3, 1]],
    "second_moment_tokens": 320,
}


class Setting:
    """A tiny model of its own, and the statistics that were made while it was sound."""

    def __init__(self, family: str, folder: Path) -> None:
        self.model: EditableModel = tiny_editable(family, torch.float32)
        library = StatisticsLibrary(folder / "stats", BlobStore(folder / "blobs"))
        self.statistics = Statistics(self.model, library)
        self.statistics.build_second_moments([0, 1], tokens=320)
        self.prefixes = self.statistics.prefixes(((3, 1),))[1]

    def spoil(self, text: str) -> None:
        """Make the embedding of the text's last token infinite."""
        token = self.model.tokenizer(text)["input_ids"][-1]
        for request in GOOD:
            for fact in encode_contexts(self.model, request, self.prefixes).prompts:
                assert token not in fact.ids
        self.model.network.get_input_embeddings().weight.data[token] = torch.inf

    def plan(self, method: str, *requests: EditRequest, **more: Any) -> WeightDelta:
        editor = get_editor(method)
        config = editor.config_class.model_validate({**QUICK, **SETTINGS[method], **more})
        return editor.plan(self.model, requests, config, statistics=self.statistics)

    def search(self, *requests: EditRequest, **more: Any) -> list[FoundValue]:
        config: Any = get_editor("memit").config_class.model_validate({**QUICK, **SETTINGS["memit"], **more})
        search = ValueSearch(self.model, 1, config, "stream")
        return search.find([encode_contexts(self.model, one, self.prefixes) for one in requests])


@pytest.fixture(scope="module", params=["llama", "gptj", "gpt_neox"])  # their head is not their embedding
def spoilt(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    setting = Setting(str(request.param), tmp_path_factory.mktemp("spoilt"))
    setting.spoil(SPOILT)
    return setting


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting("llama", tmp_path_factory.mktemp("sound"))


@pytest.fixture
def hooks() -> Iterator[list[Any]]:
    """Hooks to be removed at the end."""
    made: list[Any] = []
    yield made
    for hook in made:
        hook.remove()


def dense(update: TensorUpdate) -> torch.Tensor:
    if update.right is None:
        return update.left
    return replay(torch.zeros(update.left.shape[1], update.right.shape[1]), update)


def assert_same_updates(ours: WeightDelta, theirs: WeightDelta) -> None:
    assert [one.tensor for one in ours.updates] == [one.tensor for one in theirs.updates]
    for one, other in zip(ours.updates, theirs.updates, strict=True):
        torch.testing.assert_close(dense(one), dense(other), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(one.keys, other.keys, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("token_budget", [16, 1024])
def test_a_loss_that_is_not_finite_leaves_the_others_as_they_are_without_it(
    spoilt: Setting, token_budget: int
) -> None:
    first, failed, second = spoilt.search(*MIXED, token_budget=token_budget)
    assert failed.problem == "the loss became nan"
    assert len(failed.losses) == 1
    for one, alone in zip((first, second), spoilt.search(*GOOD), strict=True):
        assert one.problem == ""
        assert one.losses == pytest.approx(alone.losses, rel=1e-4)
        torch.testing.assert_close(one.delta, alone.delta, rtol=1e-3, atol=1e-4)
        assert one.delta.norm() > 0.1


@pytest.mark.parametrize("method", list(SETTINGS))
def test_the_one_that_fails_is_named_and_the_others_are_written(spoilt: Setting, method: str) -> None:
    delta = spoilt.plan(method, *MIXED)
    assert list(delta.failures) == [1]
    assert f"'{SPOILT} is near'" in delta.failures[1]
    assert "the loss became nan" in delta.failures[1]
    assert_same_updates(delta, spoilt.plan(method, *GOOD))
    assert not any(SPOILT in warning for warning in delta.warnings)


@pytest.mark.parametrize("method", list(SETTINGS))
def test_if_all_fail_the_error_names_them(spoilt: Setting, method: str) -> None:
    other = make_request(subject=SPOILT, prompt="We saw {} in", target_new="Rome")
    with pytest.raises(EditFailedError) as caught:
        spoilt.plan(method, BAD, other)
    assert f"'{SPOILT} is near'" in str(caught.value)
    assert f"'We saw {SPOILT} in'" in str(caught.value)
    assert "learning_rate" in str(caught.value.hint)
    assert not spoilt.model.masters


@pytest.mark.parametrize("method", list(SETTINGS))
def test_a_search_that_diverges_fails_at_the_step_where_it_does(sound: Setting, method: str) -> None:
    wild = {"learning_rate": 1e30, "clamp_norm": None}
    (found,) = sound.search(GOOD[0], **wild)
    assert found.problem == "the loss became inf"
    assert len(found.losses) == 2
    with pytest.raises(EditFailedError, match="the loss became inf"):
        sound.plan(method, GOOD[0], **wild)


def test_a_loss_that_breaks_after_some_steps_leaves_the_others_as_they_are(
    sound: Setting, hooks: list[Any]
) -> None:
    """The stream of one request becomes infinite as soon as its δ is not zero: Adam's first step is 0.1."""
    expected = sound.search(*GOOD)
    unmoved = float(sound.search(BAD)[0].stream[0])

    def spoil(_: Any, arguments: Any, keywords: Any) -> Any:
        hidden = arguments[0] if arguments else keywords["hidden_states"]
        moved = torch.isclose(hidden[:, 0, 0], torch.tensor(unmoved + 0.1), atol=1e-4)
        moved |= torch.isclose(hidden[:, 0, 0], torch.tensor(unmoved - 0.1), atol=1e-4)
        return None if not moved.any() else ((), {**keywords, "hidden_states": hidden + _infinite(moved)})

    hooks.append(
        sound.model.architecture.layer_modules(sound.model.network)[2].register_forward_pre_hook(
            spoil, with_kwargs=True
        )
    )
    first, failed, second = sound.search(*MIXED)
    assert failed.problem
    assert len(failed.losses) == 2
    for one, alone in zip((first, second), expected, strict=True):
        assert one.losses == pytest.approx(alone.losses, rel=1e-4)
        torch.testing.assert_close(one.delta, alone.delta, rtol=1e-3, atol=1e-4)


def _infinite(rows: torch.Tensor) -> torch.Tensor:
    """Infinity for these rows of (batch, positions, d_model), nothing for the others."""
    return torch.where(rows, torch.inf, 0.0)[:, None, None]


@pytest.mark.parametrize("method", list(SETTINGS))
def test_a_poor_probability_is_warned_of_with_what_to_turn(sound: Setting, method: str) -> None:
    delta = sound.plan(method, *GOOD)
    poor = [warning for warning in delta.warnings if "probability" in warning]
    assert ["The Eiffel Tower is in" in poor[0], "What did Mozart write" in poor[1]] == [True, True]
    assert len(poor) == 2
    for warning in poor:
        assert "raise steps, clamp_norm or clamp_floor" in warning
    reached = delta.diagnostics["target_probability"]
    assert all(f"only {one:.2f}" in warning for one, warning in zip(reached, poor, strict=True))


WEAK = {
    "memit": ({"covariance_weight": 1e9}, "lower covariance_weight"),
    "alphaedit": ({"ridge": 1e9}, "lower ridge or raise null_space_fraction"),
    "emmet": ({"damping": 1e9}, "lower damping"),
}
STRONG: dict[str, dict[str, Any]] = {
    "memit": {"covariance_weight": 1e-6},
    "alphaedit": {"ridge": 1e-6, "null_space_fraction": 1.0},
    "emmet": {"damping": 0.0},
}


@pytest.mark.parametrize("method", SPREADS)
def test_a_large_rest_is_warned_of_with_what_to_turn(sound: Setting, method: str) -> None:
    settings, knob = WEAK[method]
    delta = sound.plan(method, *GOOD, **settings)
    missing = [warning for warning in delta.warnings if "is missing after the last layer" in warning]
    assert len(missing) == 2
    assert all(knob in warning and "100%" in warning for warning in missing)
    assert "Mozart" in missing[1]


@pytest.mark.parametrize("method", SPREADS)
def test_a_small_rest_is_no_reason_to_warn(sound: Setting, method: str) -> None:
    alone = {"unprefixed_weight": 1e6}  # the key is that of the bare prompt, where the rest is read
    delta = sound.plan(method, *GOOD, **alone, **STRONG[method])
    assert max(delta.diagnostics["residual_left"]) < 0.1
    assert not any("missing" in warning for warning in delta.warnings)


def test_a_warning_of_the_rest_names_the_right_request_behind_a_failure(spoilt: Setting) -> None:
    delta = spoilt.plan("memit", BAD, *GOOD, covariance_weight=1e9)
    missing = [warning for warning in delta.warnings if "is missing after the last layer" in warning]
    assert ["Eiffel" in missing[0], "Mozart" in missing[1]] == [True, True]
    assert len(missing) == 2


def test_a_probable_target_is_no_reason_to_warn(sound: Setting) -> None:
    easy: dict[str, Any] = {
        "steps": 60,
        "learning_rate": 0.5,
        "kl_factor": 0,
        "clamp_norm": None,
        "prefix_lengths": [],
    }
    request = make_request(subject="Italy", prompt="{}", target_new="ri")
    delta = sound.plan("memit", request, **easy)
    assert delta.diagnostics["target_probability"][0] > 0.5
    assert not any("probability" in warning for warning in delta.warnings)


@pytest.mark.parametrize("method", ["memit", "emmet"])
def test_equal_requests_that_make_the_system_singular_are_warned_of(sound: Setting, method: str) -> None:
    more = {"damping": 0.0} if method == "emmet" else {}
    delta = sound.plan(method, GOOD[0], GOOD[0], **more)
    notes = [warning for warning in delta.warnings if "singular" in warning]
    assert [note.partition(":")[0] for note in notes] == (["layer 0", "layer 1"] if method == "emmet" else [])


def test_gradients_that_are_not_finite_name_the_layer_and_the_way_out(tmp_path: Path) -> None:
    setting = Setting("llama", tmp_path)
    setting.model.network.get_output_embeddings().weight.data[3] = torch.inf
    with pytest.raises(EditFailedError, match="Fisher information of layer 1 is not finite") as caught:
        setting.plan("memit", GOOD[0], optimiser="natural-momentum", fisher_tokens=320)
    assert "optimiser=normalized-momentum" in str(caught.value.hint)


def test_a_metric_goes_with_the_natural_gradient_and_with_it_alone(sound: Setting) -> None:
    with pytest.raises(ValueError, match="natural-momentum"):
        sound.search(GOOD[0], optimiser="natural-momentum")
    config = get_editor("memit").config_class.model_validate({**QUICK, **SETTINGS["memit"]})
    assert isinstance(config, ValueSearchConfig)
    with pytest.raises(ValueError, match="natural-momentum"):
        ValueSearch(sound.model, 1, config, metric=torch.eye(4))
