"""What may be tried, and what is drawn from it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tiny import FEED_FORWARD, LAYERS, tiny_editable

from kedit_lifecycle import editors
from kedit_lifecycle.editors import Editor, get_editor
from kedit_lifecycle.editors.rome import Rome
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.tuning.space import (
    LogRange,
    OneOf,
    SearchSpace,
    draw_candidates,
    layer_ranges,
    search_space,
    single_layers,
    tunable,
)
from kedit_lifecycle.workbench.editing import configure

pytestmark = pytest.mark.unit

DECLARED = ("alphaedit", "emmet", "memit", "rome")


@pytest.fixture(scope="module")
def model() -> EditableModel:
    return tiny_editable("llama")


def test_a_list_is_drawn_evenly_from_end_to_end() -> None:
    values = OneOf((1, 2, 3, 4))
    assert [values.at(share / 8) for share in range(8)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert values.at(0.999999) == 4


def test_a_log_range_goes_from_low_to_high_by_equal_factors() -> None:
    between = LogRange(0.01, 100)
    assert between.at(0) == 0.01
    assert between.at(0.5) == 1.0
    assert between.at(0.25) == 0.1
    assert between.at(0.123) == float(f"{between.at(0.123):.2g}")


def test_layers_leave_one_to_follow_and_are_ordered_by_position() -> None:
    assert single_layers(5).values == (0, 1, 2, 3)
    ranges = layer_ranges(6).values
    assert {len(one) for one in ranges} == {1, 3, 5}
    assert all(list(one) == list(range(one[0], one[-1] + 1)) for one in ranges)
    assert max(one[-1] for one in ranges) == 4
    middles = [one[0] + one[-1] for one in ranges]
    assert middles == sorted(middles)
    assert len(set(ranges)) == len(ranges) == 5 + 3 + 1


@pytest.mark.parametrize("name", DECLARED)
@pytest.mark.parametrize("batch", [1, 4])
def test_a_space_holds_fields_of_its_editor_and_values_it_takes(
    name: str, batch: int, model: EditableModel
) -> None:
    editor = get_editor(name)
    space = search_space(editor, model, batch=batch)
    assert set(space) <= set(editor.config_class.model_fields)
    assert {"learning_rate", "steps", "clamp_norm", "weight_decay", "optimiser"} < set(space)
    default = editor.default_config(model).model_dump()
    for changed in draw_candidates(space, default, 60, seed=1):
        config = configure(editor, model, changed)
        layers = getattr(config, "layers", None) or (config.layer,)  # type: ignore[attr-defined]
        assert max(layers) < LAYERS - 1


def test_what_each_editor_turns_beside_the_search_for_values(model: EditableModel) -> None:
    assert isinstance(search_space(get_editor("rome"), model)["layer"], OneOf)
    weight = search_space(get_editor("memit"), model)["covariance_weight"]
    assert isinstance(weight, LogRange)
    assert weight.at(0.5) == FEED_FORWARD
    assert {"ridge", "null_space_fraction", "layers", "averaged_residual"} < set(
        search_space(get_editor("alphaedit"), model)
    )


def test_emmet_is_damped_in_batches_alone(model: EditableModel) -> None:
    emmet = get_editor("emmet")
    assert not {"damping", "covariance_weight"} & set(search_space(emmet, model))
    assert {"damping", "covariance_weight"} < set(search_space(emmet, model, batch=2))


@pytest.mark.parametrize("name", ["rome", "emmet"])
def test_what_c_weighs_is_tried_where_past_keys_stand_beside_it(
    name: str, model: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = get_editor(name)
    assert "covariance_weight" not in search_space(editor, model)
    keeping = editor.default_config(model).model_copy(update={"past_keys": True})
    monkeypatch.setattr(type(editor), "default_config", lambda *_: keeping)
    assert "covariance_weight" in search_space(editor, model)
    assert "damping" not in search_space(editor, model)


def test_an_editor_without_a_space_is_refused_with_those_that_have_one(
    model: EditableModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plain(Rome):
        name = "plain"

    monkeypatch.setitem(editors._REGISTRY, "plain", Plain)
    with pytest.raises(UsageError, match="'plain' declares no search space") as refused:
        search_space(Plain(), model)
    assert all(name in refused.value.hint for name in DECLARED)
    assert "plain" not in tunable()


def test_a_supplied_editor_declares_its_own(model: EditableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    class Supplied(Rome):
        name = "supplied"

        def search_space(self, model: EditableModel, batch: int) -> dict[str, OneOf]:
            return {"steps": OneOf((model.layer_count, batch))}

    monkeypatch.setitem(editors._REGISTRY, "supplied", Supplied)
    supplied: Editor[Any] = Supplied()
    assert search_space(supplied, model, batch=7) == {"steps": OneOf((LAYERS, 7))}
    assert "supplied" in tunable()


SPACE: SearchSpace = {
    "layer": OneOf(tuple(range(12))),
    "rate": LogRange(0.01, 1),
    "steps": OneOf((10, 20, 30)),
}
DEFAULT = {"layer": 3, "rate": 0.5, "steps": 20}


def test_candidate_0_is_the_default_and_all_differ() -> None:
    drawn = draw_candidates(SPACE, DEFAULT, 25, seed=0)
    assert drawn[0] == {}
    assert len({repr(one) for one in drawn}) == len(drawn)
    assert all(DEFAULT[name] != value for one in drawn for name, value in one.items())


def test_every_layer_is_scanned_evenly() -> None:
    drawn = draw_candidates(SPACE, DEFAULT, 25, seed=0)
    counts = Counter(one.get("layer", 3) for one in drawn[1:])
    assert set(counts) == set(range(12))
    assert all(count <= 2 for layer, count in counts.items() if layer != 3)  # equal ones are dropped


def test_other_fields_keep_the_default_in_about_half() -> None:
    drawn = draw_candidates({**SPACE, "layer": OneOf(tuple(range(1000)))}, DEFAULT, 400, seed=0)
    assert 0.4 < sum("rate" in one for one in drawn) / len(drawn) < 0.6


def test_a_seed_decides() -> None:
    first, again, other = (draw_candidates(SPACE, DEFAULT, 20, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_space_with_few_points_gives_few_candidates() -> None:
    drawn = draw_candidates({"layer": OneOf((3, 4))}, DEFAULT, 20, seed=0)
    assert drawn == [{}, {"layer": 4}]
    assert draw_candidates({}, DEFAULT, 20, seed=0) == [{}]


def test_one_of_two_rivals_makes_the_other_null() -> None:
    space = {"null_space_fraction": OneOf((0.5, 0.9))}
    default = {"null_space_fraction": None, "null_space_threshold": 0.02}
    changed = [one for one in draw_candidates(space, default, 30, seed=0) if one]
    assert changed
    assert all(one["null_space_threshold"] is None for one in changed)
    without = {"null_space_fraction": 0.5, "null_space_threshold": None}
    assert {"null_space_fraction": 0.9} in draw_candidates(space, without, 30, seed=0)
