"""The use-cases on a tiny model: edit, apply, ask, measure, move in history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_workbench import QUICK, all_fingerprints, requests, store_files, tiny_workbench

from kedit_lifecycle import editors
from kedit_lifecycle.editors import Editor, EditorConfig
from kedit_lifecycle.errors import (
    EditFailedError,
    ModelError,
    NoSuchRefError,
    RefusedError,
    StoreUnwritableError,
    UsageError,
)
from kedit_lifecycle.evaluation.suite import aggregate
from kedit_lifecycle.facts.request import make_request
from kedit_lifecycle.ledger.verify import verify
from kedit_lifecycle.models.delta import TensorUpdate, WeightDelta
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.workbench import Workbench

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("kedit_cache")]

ROME = QUICK["rome"]


@pytest.fixture
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    with tiny_workbench(tmp_path) as made:
        yield made


def test_create_checks_the_model_before_it_makes_a_store(tmp_path: Path) -> None:
    tiny_workbench(tmp_path).close()
    with pytest.raises(ModelError, match=r"does not look right .*perplexity"):
        Workbench.create(tmp_path / "other", model=str(tmp_path / "model"))
    assert not (tmp_path / "other").exists()
    with pytest.raises(RefusedError, match="already"):
        tiny_workbench(tmp_path)
    with pytest.raises(UsageError, match="checkpoint_every"):
        tiny_workbench(tmp_path, checkpoint_every=0)


def test_edit_commits_one_version_with_everything_about_it(workbench: Workbench) -> None:
    (request,) = requests(1)
    outcome = workbench.edit(request, config=ROME, seed=3, message="because")
    version, reader = outcome.version, workbench.store.reader
    assert version is not None
    assert version == reader.head()
    assert (version.number, version.editor, version.seed, version.message) == (1, "rome", 3, "because")
    assert version.config["steps"] == 3
    assert set(version.config["statistics"]) == {"prefixes", "second_moment"}
    (draft,) = reader.requests(1)
    assert draft.payload == request.model_dump(mode="json")
    (update,) = reader.updates(1)
    assert update.after == version.tensors[update.tensor]
    assert update.before != update.after
    assert update.rank == 1
    assert update.norm > 0
    assert {one.evaluated for one in reader.answers(1)} == {0, 1}
    assert not verify(workbench.store.path, "deep").damaged


def test_every_metric_row_says_how_it_was_made(workbench: Workbench) -> None:
    workbench.edit(requests(1)[0], config=ROME)
    workbench.edit(requests(2)[1], config=ROME)
    rows = workbench.store.reader.metrics(2)
    assert all(row.protocol and row.scorer and row.count > 0 for row in rows)
    assert {row.evaluated for row in rows} == {0, 2}
    wanted = {"efficacy", "paraphrase", "neighborhood", "score", "exact_match", "perplexity", "drift_kl"}
    assert "generated_exact_match" in {row.metric for row in rows if row.evaluated == 2}
    for evaluated in (0, 2):
        assert wanted <= {row.metric for row in rows if row.evaluated == evaluated}
    by_metric = {row.metric: row for row in rows if row.evaluated == 2}
    assert by_metric["neighborhood_unchanged"].protocol.endswith("against=parent")
    assert by_metric["perplexity"].request is None
    assert by_metric["efficacy"].request == 0
    (drift,) = (row for row in rows if row.evaluated == 0 and row.metric == "drift_kl")
    assert drift.value == 0


def test_unedited_numbers_are_those_of_the_base_not_of_the_parent(workbench: Workbench) -> None:
    first, second = requests(2)
    before = dict(workbench.evaluate([second]).metrics)
    workbench.edit(first, config=ROME | {"steps": 30, "learning_rate": 0.5, "clamp_norm": None})
    outcome = workbench.edit(second, config=ROME)
    before = {metric: value for metric, value in before.items() if metric in outcome.unedited}
    assert outcome.unedited == before
    assert {"efficacy", "paraphrase", "neighborhood", "perplexity", "drift_kl"} <= before.keys()
    said = {one.evaluated: one.target_probability for one in outcome.before + outcome.after}
    assert set(said) == {None}
    base = workbench.evaluate([second], ref="0").per_request[0].target_probability
    (parent,) = outcome.before
    assert parent.target_probability != base


def test_dry_run_writes_nothing_and_leaves_the_model_alone(workbench: Workbench) -> None:
    path = workbench.store.path
    workbench.edit(requests(1)[0], config=ROME, measure="none")
    before, weights = store_files(path), all_fingerprints(workbench.checkout_model())
    outcome = workbench.edit(requests(2)[1], config=ROME | {"prefix_lengths": [[4, 3]]}, dry_run=True)
    assert outcome.version is None
    assert outcome.metrics["perplexity"].value != outcome.unedited["perplexity"].value
    assert store_files(path) == before
    assert all_fingerprints(workbench.model) == weights


def test_a_store_opened_readonly_is_measured_without_a_byte_written(tmp_path: Path) -> None:
    with tiny_workbench(tmp_path) as made:
        made.edit(requests(1)[0], config=ROME, measure="none")
    before = store_files(tmp_path / "store")
    with Workbench.open(tmp_path / "store", readonly=True) as workbench:
        assert workbench.evaluate(requests(2)).metrics["drift_kl"].value > 0
        assert workbench.ask("Paris is in").version.number == 1
        outcome = workbench.edit(requests(2)[1], config=ROME, dry_run=True)
        assert outcome.version is None
        with pytest.raises(RefusedError, match="read-only"):
            workbench.edit(requests(2)[1], config=ROME)
    assert store_files(tmp_path / "store") == before


def test_a_field_that_does_not_exist_is_named_and_those_that_do_are_listed(workbench: Workbench) -> None:
    with pytest.raises(UsageError, match="rome config, stepz") as caught:
        workbench.edit(requests(1)[0], config={"stepz": 3})
    assert "steps" in caught.value.hint
    with pytest.raises(UsageError, match="rome config, steps"):
        workbench.edit(requests(1)[0], config={"steps": 0})
    with pytest.raises(UsageError, match=r"no editor 'romulus'; there are: .*rome"):
        workbench.edit(requests(1)[0], method="romulus")
    with pytest.raises(UsageError, match="layer 2 is not one ROME can edit"):
        workbench.edit(requests(1)[0], config={"layer": 2})
    assert workbench.store.reader.counts()["version"] == 1


def test_a_target_the_model_already_says_is_allowed_with_a_warning(workbench: Workbench) -> None:
    whole_words = workbench.ask("Mozart wrote", max_new_tokens=8).text.rpartition(" ")[0]
    said = whole_words.strip()
    request = make_request(subject="Mozart", prompt="{} wrote", target_new=said)
    outcome = workbench.edit(request, config=ROME)
    assert any("already answers" in text and repr(said) in text for text in outcome.warnings)
    assert outcome.version is not None
    assert not any("already" in text for text in workbench.edit(requests(1)[0], config=ROME).warnings)


def test_apply_is_a_version_for_each_batch_and_means_over_all_requests(workbench: Workbench) -> None:
    heard: list[int] = []
    five = requests(5)
    summary = workbench.apply(
        five, config=ROME, batch=2, on_outcome=lambda one: heard.append(len(one.requests))
    )
    assert heard == [2, 2, 1]
    assert [version.operation for version in summary.committed] == ["batch", "batch", "edit"]
    assert [version.run and version.run["index"] for version in summary.committed] == [0, 1, 2]
    assert summary.metrics["efficacy"].count == summary.unedited["efficacy"].count == 5
    assert [len(workbench.store.reader.updates(number)) for number in (1, 2, 3)] == [2, 2, 1]
    together = aggregate(workbench.evaluate(five, ref="0").per_request)
    for metric in ("efficacy", "paraphrase", "neighborhood", "score"):
        assert summary.unedited[metric].value == pytest.approx(together[metric].value), metric
    assert summary.unedited["score"].count == together["score"].count
    with pytest.raises(UsageError, match="nothing to apply"):
        workbench.apply([])
    with pytest.raises(UsageError, match="at least one"):
        workbench.apply(five, batch=0)


def test_an_edit_that_cannot_be_solved_changes_nothing_and_what_is_committed_stays(
    workbench: Workbench,
) -> None:
    first, second = requests(2)
    workbench.edit(first, config=ROME, measure="none")
    weights, head = all_fingerprints(workbench.model), workbench.store.reader.head()
    with pytest.raises(EditFailedError, match=second.question):
        workbench.edit(second, config=ROME | {"learning_rate": 1e30, "clamp_norm": None})
    assert all_fingerprints(workbench.model) == weights
    assert workbench.store.reader.head() == head


class Leap(Editor[EditorConfig]):
    """Adds 1e5 to everything: finite in float32, beyond float16."""

    name = "leap"
    pretty_name = "Leap"
    reference_url = "none"
    config_class = EditorConfig

    def default_config(self, model: EditableModel) -> EditorConfig:
        return EditorConfig()

    def layers(self, config: EditorConfig) -> tuple[int, ...]:
        return ()

    def plan(self, model: EditableModel, *_: object, **__: object) -> WeightDelta:
        name = model.architecture.mlp_down_weight(1)
        return WeightDelta((TensorUpdate(name, "add", torch.full_like(model.master(name), 1e5)),))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_an_update_beyond_the_range_of_the_models_dtype_is_refused(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(editors._REGISTRY, "leap", Leap)
    with tiny_workbench(tmp_path, dtype=dtype) as workbench:
        weights = all_fingerprints(workbench.checkout_model())
        if dtype == "bfloat16":  # whose range is float32's
            assert workbench.edit(requests(1)[0], method="leap", measure="none").version is not None
            return
        with pytest.raises(EditFailedError, match=r"City A0.* out of the range of float16"):
            workbench.edit(requests(1)[0], method="leap", measure="none")
        assert all_fingerprints(workbench.model) == weights
        assert workbench.store.reader.counts()["version"] == 1


def test_a_commit_that_fails_leaves_the_weights_of_head(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbench.edit(requests(1)[0], config=ROME, measure="none")
    weights, head = all_fingerprints(workbench.model), workbench.store.reader.head()

    def full_disk(blob: object) -> str:
        raise StoreUnwritableError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(workbench.store.blobs, "put", full_disk)
        with pytest.raises(StoreUnwritableError):
            workbench.edit(requests(2)[1], config=ROME, measure="none")
    assert all_fingerprints(workbench.model) == weights
    assert workbench.store.reader.head() == head
    assert workbench.edit(requests(2)[1], config=ROME, measure="none").version is not None


def test_ask_answers_at_any_version_and_sampling_follows_its_seed(workbench: Workbench) -> None:
    strong = ROME | {"steps": 40, "learning_rate": 0.5, "clamp_norm": None, "kl_factor": 0, "layer": 0}
    (request,) = requests(1)
    workbench.edit(request, config=strong, measure="none")
    now, before = workbench.ask(request.question), workbench.ask(request.question, ref="HEAD~1")
    assert (now.version.number, before.version.number) == (1, 0)
    assert now.top != before.top
    assert len(now.top) == 5
    assert [p for _, p in now.top] == sorted((p for _, p in now.top), reverse=True)
    assert workbench.ask(request.question) == now
    once = workbench.ask(request.question, sample=True, seed=4)
    assert workbench.ask(request.question, sample=True, seed=4) == once
    assert workbench.ask(request.question, sample=True, seed=5).text != once.text
    with pytest.raises(UsageError, match="empty"):
        workbench.ask("  ")
    with pytest.raises(NoSuchRefError):
        workbench.ask("Paris", ref="nowhere")


def test_rollback_undo_redo_move_head_and_the_model_follows(workbench: Workbench) -> None:
    recorded = [all_fingerprints(workbench.checkout_model())]
    for request in requests(3):
        workbench.edit(request, config=ROME, measure="none")
        recorded.append(all_fingerprints(workbench.model))

    def here() -> dict[str, str]:
        return all_fingerprints(workbench.checkout_model())

    assert workbench.rollback("HEAD~2").number == 1
    assert here() == recorded[1]
    assert workbench.undo().number == 3
    assert here() == recorded[3]
    assert workbench.redo().number == 1
    assert here() == recorded[1]
    assert workbench.switch("0").number == 0
    assert here() == recorded[0]


def test_the_same_edit_made_again_after_an_undo_is_the_same_version(workbench: Workbench) -> None:
    (request,) = requests(1)
    first = workbench.edit(request, config=ROME, measure="none").version
    workbench.undo()
    again = workbench.edit(request, config=ROME, measure="none").version
    assert first is not None
    assert again is not None
    assert (again.id, again.number) == (first.id, first.number)


def test_history_is_measured_again_and_kept_beside_the_first_numbers(workbench: Workbench) -> None:
    with pytest.raises(RefusedError, match="no edits"):
        workbench.evaluate_history()
    workbench.apply(requests(3), config=ROME, batch=2)
    result = workbench.evaluate_history()
    assert result.versions == (1, 1, 2)
    assert result.version.number == 2
    assert result.metrics["efficacy"].count == 3
    rows = workbench.store.reader.metrics(1, evaluated=2)
    assert {row.request for row in rows} == {0, 1}
    efficacy = {row.request: row.value for row in rows if row.metric == "efficacy"}
    own = {one.metric: one.value for one in result.per_request[1].metrics()}
    assert efficacy[1] == own["efficacy"]
    assert not verify(workbench.store.path, "deep").damaged
    before = workbench.store.reader.counts()
    earlier = workbench.evaluate_history(at="1", record=False)
    assert earlier.version.number == 1
    assert workbench.store.reader.counts() == before


def test_statistics_are_built_and_listed(workbench: Workbench) -> None:
    assert workbench.list_stats() == []
    built = workbench.build_stats([0, 1], tokens=320)
    assert [entry.recipe["layer"] for entry in built] == [0, 1]
    assert workbench.list_stats() == sorted(built, key=lambda one: workbench.list_stats().index(one))
    for layer in (3, -1):
        with pytest.raises(UsageError, match=f"no layer {layer}: the model has 3"):
            workbench.build_stats([layer])


def test_statistics_are_built_of_the_tokens_that_the_method_will_ask_for(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rome = type(editors.get_editor("rome"))
    config = rome().default_config(workbench.model).model_copy(update={"second_moment_tokens": 320})
    monkeypatch.setattr(rome, "default_config", lambda _, model: config)
    (built,) = workbench.build_stats()
    assert (built.recipe["layer"], built.recipe["tokens"]) == (config.layer, 320)


def test_another_model_in_the_base_models_place_is_refused(tmp_path: Path) -> None:
    from tiny import save_tiny

    with tiny_workbench(tmp_path) as workbench:
        workbench.edit(requests(1)[0], config=ROME, measure="none")
    save_tiny("llama", tmp_path / "model", seed=1)
    with (
        Workbench.open(tmp_path / "store") as workbench,
        pytest.raises(ModelError, match="is not the model this store was made for"),
    ):
        workbench.ask("Paris is in")
    (tmp_path / "model").rename(tmp_path / "moved")
    with (
        Workbench.open(tmp_path / "store") as workbench,
        pytest.raises(ModelError, match="no such model folder"),
    ):
        workbench.checkout_model()
