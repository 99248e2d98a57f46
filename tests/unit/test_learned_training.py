"""The training loop: what it learns, what stops it, and that a killed one ends the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from tiny import tiny_editable
from tiny_workbench import requests
from torch import Tensor

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors.learned.artefact import LearnedArtefact, TrainedShelf, load_for
from kedit_lifecycle.editors.learned.curve import curve_table
from kedit_lifecycle.editors.learned.editor import merged_update
from kedit_lifecycle.editors.learned.examples import Example, Examples, make_examples, overlap
from kedit_lifecycle.editors.learned.network import subject_tokens
from kedit_lifecycle.editors.learned.reading import (
    Applied,
    Row,
    batch_updates,
    edit_gradients,
    edited_logprobs,
    further_updates,
    nll,
)
from kedit_lifecycle.editors.learned.settings import TrainingSettings
from kedit_lifecycle.editors.learned.training import STAGE, Training
from kedit_lifecycle.editors.learned.unedited import Unedited
from kedit_lifecycle.editors.learned.whitening import Whitening
from kedit_lifecycle.editors.mend import Mend, MendConfig
from kedit_lifecycle.editors.statistics import Statistics, open_statistics
from kedit_lifecycle.editors.statistics.second_moment import accumulate_second_moments
from kedit_lifecycle.errors import EditFailedError, ModelError, StoreError, UsageError
from kedit_lifecycle.models.batching import hidden_states
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.progress import Progress, silent
from kedit_lifecycle.workbench.editor_training import learned_editor

pytestmark = pytest.mark.unit

QUICK: dict[str, Any] = {
    "steps": 6,
    "batch": 4,
    "validate_every": 2,
    "checkpoint_every": 2,
    "warm_up": 2,
    "learning_rate": 1e-3,
}


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def model() -> EditableModel:
    return tiny_editable("llama")


@pytest.fixture(scope="module")
def examples(model: EditableModel) -> Examples:
    return make_examples(model, requests(24), unrelated=[list(range(5, 60))])


WHITE_OUTPUT = {"blocks": 2, "matrices": "output", "tokens": "subject"}
WHITE = {"blocks": 2, "matrices": "output", "whiten": 8, "tokens": "subject", "last_layer": "linear"}


def training(
    model: EditableModel,
    examples: Examples,
    folder: Path,
    progress: Progress = silent,
    *,
    network: Mapping[str, Any] = MappingProxyType({"blocks": 2}),
    **settings: Any,
) -> Training:
    what = Mend().trainable(model, network)
    return Training(model, what, examples, TrainingSettings(**QUICK | settings), folder, progress)


def killed_at(step: int) -> Progress:
    def report(stage: str, done: int, total: int) -> None:
        if stage == STAGE and done == step:
            raise KilledError

    return report


@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_killed_training_ends_as_an_unbroken_one(
    model: EditableModel, examples: Examples, tmp_path: Path, step: int
) -> None:
    drawn: dict[str, Any] = {
        "decay": "cosine", "redraw": 0.4, "foreign": 0.3, "reword": 0.5, "together": 4
    }  # fmt: skip
    unbroken = training(model, examples, tmp_path / "unbroken", **drawn).run()
    with pytest.raises(KilledError):
        training(model, examples, tmp_path / "killed", killed_at(step), **drawn).run()
    seen: list[int] = []
    again = training(
        model,
        examples,
        tmp_path / "killed",
        lambda stage, done, _: seen.append(done) if stage == STAGE else None,
        **drawn,
    )
    assert again.run().digest == unbroken.digest
    assert seen[0] == step // 2 * 2 + 1


def test_with_a_decay_the_steps_get_smaller_and_end_at_none(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    lengths: dict[str, list[float]] = {"none": [], "cosine": []}
    for decay, taken in lengths.items():
        one = training(model, examples, tmp_path / decay, decay=decay, steps=30, validate_every=30)
        rates = one._optimiser.param_groups
        one._progress = lambda *_, own=rates, into=taken: into.append(own[0]["lr"])
        one.run()
    assert set(lengths["none"]) == {1e-3}
    falling = lengths["cosine"][-30:]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] == 1e-3
    assert falling[15] == pytest.approx(0.5e-3)
    assert falling[-1] < 0.01e-3


def test_white_coordinates_are_measured_once_and_a_killed_training_goes_on_in_them(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    unbroken = training(model, examples, tmp_path / "unbroken", network=WHITE).run()
    killed = training(model, examples, tmp_path / "killed", killed_at(3), network=WHITE)
    with pytest.raises(KilledError):
        killed.run()
    stages: list[str] = []
    report: Progress = lambda stage, *_: stages.append(stage)  # noqa: E731
    again = training(model, examples, tmp_path / "killed", report, network=WHITE)
    assert again.run().digest == unbroken.digest
    assert "key covariance" not in stages
    sizes = [value for name, value in unbroken.tensors.items() if name.endswith("size")]
    assert len(sizes) == 2
    assert all(float(size) > 0 for size in sizes)


def test_without_unrelated_text_the_inputs_are_measured_on_the_prompts(
    model: EditableModel, tmp_path: Path
) -> None:
    bare = make_examples(model, requests(24), unrelated=[])
    made = training(model, bare, tmp_path, network=WHITE, steps=2).run()
    assert all(float(value) > 0 for name, value in made.tensors.items() if name.endswith("size"))


def test_a_relation_that_is_in_the_validation_alone_is_no_error(model: EditableModel, tmp_path: Path) -> None:
    lonely = [one.model_copy(update={"relation": f"P{place}"}) for place, one in enumerate(requests(24))]
    some = make_examples(model, lonely, unrelated=[])
    trained = {example.request.relation for example in some.training}
    assert trained.isdisjoint(example.request.relation for example in some.validation)
    assert training(model, some, tmp_path, steps=2).run().recipe["best_step"] == 2


def test_of_what_must_stay_so_many_are_drawn_and_never_more(model: EditableModel) -> None:
    some = make_examples(model, requests(24), unrelated=[list(range(5, 60))])
    example = some.training[0]
    every = some.to_keep(example, 0, 5)
    for most in (1, 2, 4):
        found = some.to_keep(example, 0, 5, most)
        assert len(found) == min(most, len(every))
        assert all(one in every for one in found)
        assert found == some.to_keep(example, 0, 5, most)
    drawn = [some.to_keep(example, 0, step, 1) == some.to_keep(example, 0, step)[-1:] for step in range(40)]
    assert set(drawn) == {True, False}  # no kind is always left out, and none always there


def test_looking_does_not_change_what_is_learned(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    often = training(model, examples, tmp_path / "often", validate_every=1)
    once = training(model, examples, tmp_path / "once", validate_every=6)
    often.run(), once.run()
    a, b = often._network.state_dict(), once._network.state_dict()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_training_lowers_the_validation_loss(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    curve = training(model, examples, tmp_path, steps=30, validate_every=5).run().recipe["curve"]
    assert curve[-1]["nll"] < 0.8 * curve[0]["nll"]


def test_a_loss_that_is_no_number_keeps_the_last_good_network(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    broken = training(model, examples, tmp_path, validate_every=2)
    step = broken._one_step

    def poisoned() -> None:
        if broken._standing.step == 3:
            with torch.no_grad():
                next(broken._network.parameters()).fill_(math.nan)
        step()

    broken._one_step = poisoned  # type: ignore[method-assign]
    artefact = broken.run()
    assert "nan" in artefact.recipe["stopped"]
    assert artefact.recipe["best_step"] == 2
    assert all(bool(torch.isfinite(tensor).all()) for tensor in artefact.tensors.values())
    with pytest.raises(EditFailedError, match="before its first validation"):
        training(model, examples, tmp_path / "wild", learning_rate=1e30, validate_every=6).run()


def test_a_validation_that_is_no_number_is_kept_out_of_the_artefact(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    one = training(model, examples, tmp_path)
    scores, calls = one.scores, 0

    def later_nan(examples: Sequence[Example]) -> dict[str, float]:
        nonlocal calls
        calls += 1
        return scores(examples) | ({"loss": math.nan} if calls > 1 else {})

    one.scores = later_nan  # type: ignore[method-assign]
    artefact = one.run()
    assert len(artefact.digest) == 64
    assert artefact.recipe["best_step"] == 2


def test_what_cannot_be_learned_from_is_said(model: EditableModel) -> None:
    bare = [one.model_copy(update={"paraphrases": ()}) for one in requests(3)]
    with pytest.raises(UsageError, match="paraphrase"):
        make_examples(model, bare, unrelated=[])
    some = make_examples(model, [*bare, *requests(9)[3:]], unrelated=[])
    assert some.left_out == 3
    held = {one.request.subject for one in some.validation}
    assert held
    assert not held & {one.request.subject for one in some.training}
    assert overlap(requests(5), requests(9)[3:]) == 2


def test_an_artefact_is_refused_for_another_model_or_if_damaged(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    shelf = TrainedShelf(tmp_path / "trained")
    place = shelf.add(training(model, examples, tmp_path).run())
    digest = shelf.digest_of("mend", "latest")
    assert shelf.digest_of("mend", digest[:8]) == digest == place.name
    assert isinstance(load_for(shelf.folder, "mend", digest, model), LearnedArtefact)
    with pytest.raises(ModelError, match="belongs to"):
        load_for(shelf.folder, "mend", digest, tiny_editable("llama", seed=1))
    for name in ("", "*", "../trained", "unfin", "0000"):
        with pytest.raises(UsageError, match=r"no trained editor|several"):
            shelf.digest_of("mend", name)
    weights = place / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(StoreError):
        load_for(shelf.folder, "mend", digest, model)


def drawn(examples: Examples, step: int = 3, **settings: Any) -> list[Example]:
    return examples.batch(TrainingSettings(batch=8, **settings), step)


def test_a_redrawn_edit_is_the_same_fact_with_another_answer_of_its_relation(
    examples: Examples, model: EditableModel
) -> None:
    plain = drawn(examples)
    assert drawn(examples, redraw=1.0) == drawn(examples, redraw=1.0)
    assert drawn(examples, redraw=0.0) == plain
    answers = {one.text.new for one in examples.training}
    for one, other in zip(plain, drawn(examples, redraw=1.0), strict=True):
        assert other.request == one.request
        assert other.neighbors == one.neighbors
        assert other.text.prompt == one.text.prompt
        assert other.text.new in answers - {one.text.new, one.text.old}
        for before, after in zip((one.edit, *one.paraphrases), (other.edit, *other.paraphrases), strict=True):
            assert after.new.target == other.text.new
            assert after.new.ids[: after.new.target_start] == before.new.ids[: before.new.target_start]
            assert after.true == before.true
    some = [one != other for one, other in zip(plain, drawn(examples, redraw=0.5), strict=True)]
    assert True in some
    assert False in some


def test_an_answer_that_no_other_fact_of_the_relation_has_is_not_redrawn(model: EditableModel) -> None:
    lonely = [one.model_copy(update={"relation": f"P{place}"}) for place, one in enumerate(requests(8))]
    some = make_examples(model, lonely, unrelated=[])
    assert drawn(some, redraw=1.0) == drawn(some)


def test_a_foreign_answer_is_any_name_the_facts_hold(examples: Examples, model: EditableModel) -> None:
    answers = {one.text.new for one in examples.training}
    found = {one.text.new for step in range(12) for one in drawn(examples, step, foreign=1.0)}
    assert found <= answers | set(examples.names)
    assert found & answers
    assert found & set(examples.names) - answers
    read = {model.tokenizer.decode(name).strip() for name in examples.names}
    assert read == {one.request.subject for one in examples.training}


def test_the_shares_of_edits_with_another_answer_are_shares_of_one_whole() -> None:
    with pytest.raises(ValueError, match="at most 1"):
        TrainingSettings(redraw=0.7, foreign=0.4)


def test_a_reworded_edit_is_asked_by_a_paraphrase_and_its_prompt_is_one(
    examples: Examples, model: EditableModel
) -> None:
    for plain, one in zip(drawn(examples), drawn(examples, reword=1.0), strict=True):
        assert one.edit in plain.paraphrases
        assert plain.edit in one.paraphrases
        assert len(one.paraphrases) == len(plain.paraphrases)
        assert one.text.prompt == one.edit.new.ids[: one.edit.new.target_start]
        assert model.tokenizer.decode(one.text.prompt[: one.text.subject_last + 1]).endswith(
            plain.request.subject
        )


def test_a_paraphrase_that_does_not_name_the_subject_is_no_wording_of_an_edit(model: EditableModel) -> None:
    facts = [
        one.model_copy(update={"paraphrases": ("Its answer is", f"{{}} or {one.subject}")})
        for one in requests(8)
    ]
    some = make_examples(model, facts, unrelated=[])
    assert all(one.wordings == [] for one in some.training)
    assert drawn(some, reword=1.0) == drawn(some)


@pytest.mark.parametrize("together", [2, 3, 4])
def test_edits_made_together_read_as_in_one_model_with_all_their_updates(
    model: EditableModel, examples: Examples, together: int
) -> None:
    what = Mend().trainable(model, {"blocks": 2, "edit_learning_rate": 0.5})
    batch = examples.training[:5]
    gradients = edit_gradients(model, what.tensors, [one.edit.new for one in batch])
    updates = what.network.updates([one.text for one in batch], gradients)
    rows = [Row.of(one.edit.new, place) for place, one in enumerate(batch)]
    found = edited_logprobs(model, updates, rows, together)
    expected = []
    for place, row in enumerate(rows):
        first = place // together * together
        members = [
            {name: one.rows(torch.tensor([owner])) for name, one in updates.items()}
            for owner in range(first, min(first + together, len(rows)))
        ]
        with model.trial():
            model.apply([merged_update(model, tensor, members) for tensor in what.tensors])
            expected.append(edited_logprobs(model, {}, [row]))
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found, edited_logprobs(model, updates, rows), atol=1e-3)


def test_a_training_with_edits_together_draws_the_sizes_and_validates_them_too(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    one = training(model, examples, tmp_path, together=6)
    assert {one._together(place) for place in range(50)} == {1, 2, 4}
    assert {training(model, examples, tmp_path)._together(place) for place in range(9)} == {1}
    curve = one.run().recipe["curve"]
    assert {"nll", "kl", "nll_together", "kl_together"} <= set(curve[-1])
    alone = training(model, examples, tmp_path / "alone").run().recipe["curve"]
    assert "nll_together" not in alone[-1]
    columns, last = (curve_table(curve).splitlines()[place].split("\t") for place in (0, -1))
    assert columns[:7] == curve_table(alone).splitlines()[0].split("\t")
    assert dict(zip(columns, last, strict=True))["kl_together"] == str(curve[-1]["kl_together"])


def test_what_the_unedited_model_says_is_the_same_bits_in_any_order(
    model: EditableModel, examples: Examples
) -> None:
    rows = [(ids, [len(ids) - 1]) for ids in examples.kept_texts()]
    found = []
    for order in (rows, rows[::-1]):
        unedited = Unedited(model, examples.kept_texts())
        one_by_one = {row[0]: unedited.logprobs([row]) for row in order}
        found.append(torch.cat([one_by_one[ids] for ids, _ in rows]))
    assert torch.equal(*found)
    plain = Unedited(model).logprobs(rows)
    torch.testing.assert_close(found[0], plain, atol=1e-4, rtol=1e-4)


def test_every_text_that_must_stay_is_known_beforehand(examples: Examples) -> None:
    kept = set(examples.kept_texts())
    for step in range(20):
        for one in drawn(examples, step, redraw=0.4, foreign=0.3, reword=0.5):
            assert {ids for ids, _ in examples.to_keep(one, 0, step)} <= kept


def test_nothing_of_a_subject_that_is_edited_beside_it_must_stay(examples: Examples) -> None:
    own = {(one.edit.true or one.edit.new).ids[:-1]: one for one in examples.training}
    beside = examples.training[1:12]
    found = [
        own[ids].request.subject
        for step in range(40)
        for ids, _ in examples.to_keep(examples.training[0], 0, step, beside=beside)
        if ids in own
    ]
    assert found
    assert not {one.request.subject for one in (examples.training[0], *beside)} & set(found)


def test_rows_of_different_lengths_read_as_they_do_alone(model: EditableModel, examples: Examples) -> None:
    what = Mend().trainable(model, {"blocks": 2, "edit_learning_rate": 0.5})
    batch = examples.training[:4]
    gradients = edit_gradients(model, what.tensors, [one.edit.new for one in batch])
    updates = what.network.updates([one.text for one in batch], gradients)
    rows = [
        Row.of(pair.new, place) for place, one in enumerate(batch) for pair in (one.edit, *one.paraphrases)
    ]
    rows += [Row(tuple(range(5, 5 + length)), length % 4, [0, length - 1]) for length in (40, 3, 300)]
    found = edited_logprobs(model, updates, rows)  # more than one batch: 300 tokens stand beside the rest
    alone = [
        edited_logprobs(
            model,
            {name: one.rows(torch.tensor([row.owner])) for name, one in updates.items()},
            [Row(row.ids, 0, row.read)],
        )
        for row in rows
    ]
    torch.testing.assert_close(found, torch.cat(alone))
    unedited = Unedited(model).logprobs([(row.ids, row.read) for row in rows])
    assert not torch.allclose(found, unedited, atol=1e-3)


def test_a_further_round_is_made_at_the_model_with_the_updates_of_the_group(
    model: EditableModel, examples: Examples
) -> None:
    what = Mend().trainable(model, {"blocks": 2, "edit_learning_rate": 30.0})
    what.network.eval()
    batch = examples.training[:4]
    first = batch_updates(what.network, model, what.tensors, batch)
    losses, expected = [0.0] * 4, [dict[str, Tensor]()] * 4
    for group in ((0, 1), (2, 3)):
        with model.trial():
            for place in group:
                own = {tensor: one.rows(torch.tensor([place])) for tensor, one in first.items()}
                model.apply([merged_update(model, tensor, [own]) for tensor in what.tensors])
            for place in group:
                target = batch[place].edit.new
                losses[place] = float(nll(model, hidden_states(model, [target.ids[:-1]]), [target]).detach())
                again = batch_updates(what.network, model, what.tensors, [batch[place]])
                expected[place] = {tensor: one.dense()[0].detach() for tensor, one in again.items()}
    enough = sum(sorted(losses)[1:3]) / 2  # two of them have it
    both = further_updates(what.network, model, what.tensors, batch, Applied(first, 2), enough)
    for tensor in what.tensors:
        rank = first[tensor].left.shape[1]
        found = both[tensor].dense() - first[tensor].dense()
        for place, loss in enumerate(losses):
            wanted = expected[place][tensor] if loss > enough else torch.zeros_like(found[place])
            torch.testing.assert_close(found[place], wanted, atol=1e-3 * float(wanted.abs().max()), rtol=1e-2)
        old, new = both[tensor].left[:, :rank], both[tensor].left[:, rank:]
        rates = [
            torch.autograd.grad(part.sum(), what.network.get_parameter("rates"), retain_graph=True)
            for part in (old, new)
        ]
        assert not rates[0][0].any()
        assert rates[1][0].any()


def test_without_an_own_network_the_one_that_comes_along_for_the_model_edits(
    model: EditableModel, examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mend, "packaged", tmp_path / "packaged")
    artefact = training(model, examples, tmp_path).run()
    artefact.save(tmp_path / "packaged")
    editor, fact = Mend(), requests(1)

    def statistics(of: EditableModel, folder: str) -> Statistics:
        return open_statistics(of, tmp_path / folder / "stats", BlobStore(tmp_path / folder / "blobs"))

    known = statistics(model, "known")
    settled = editor.settled(editor.default_config(model), known)
    assert settled.artefact == artefact.digest
    assert editor.settled(settled, known) == settled
    delta = editor.plan(model, fact, settled, statistics=known)
    own = training(model, examples, tmp_path, seed=1).run()
    known.trained.add(own)
    assert editor.settled(editor.default_config(model), known).artefact == own.digest
    assert editor.settled(settled, known) == settled  # by its digest, it is still there
    again = editor.plan(model, fact, settled, statistics=known)
    for one, other in zip(delta.updates, again.updates, strict=True):
        assert torch.equal(one.left, other.left)
    with pytest.raises(UsageError, match="no trained editor begins"):
        editor.settled(MendConfig(artefact=""), known)
    other_model = statistics(tiny_editable("llama", seed=1), "other")
    with pytest.raises(UsageError, match="this store has none"):
        editor.settled(editor.default_config(other_model.model), other_model)


@pytest.mark.parametrize("method", ["mend", "knowledge-editor"])
@pytest.mark.parametrize("whiten", [0, 8])
def test_with_its_own_key_an_edit_adds_a_value_at_its_subject_and_is_felt_as_its_input_is_there(
    model: EditableModel, examples: Examples, method: str, whiten: int
) -> None:
    editor = learned_editor(method)
    what = editor.trainable(model, WHITE_OUTPUT | {"keys": "own", "whiten": whiten})
    batch = examples.training[:4]
    texts = [one.text for one in batch]
    gradients = edit_gradients(model, what.tensors, [one.edit.new for one in batch])
    if whiten:
        second_moments = torch.eye(model.network.config.intermediate_size)
        for place, tensor in enumerate(what.tensors):
            second_moments[place, place] = 9.0
            what.network.whitening(tensor).measure(second_moments)
    what.network.learn_sizes(texts, gradients)
    updates = what.network.updates(texts, gradients)
    for tensor in what.tensors:
        keys = subject_tokens(texts, gradients)[tensor].right[:, 0]  # (rows, d_ff)
        left, right = updates[tensor].left, updates[tensor].right
        assert left.shape[1] == right.shape[1] == 1
        if whiten:
            white = what.network.whitening(tensor)
            torch.testing.assert_close(right[:, 0], white(white(keys)) / white(keys).square().sum(1, True))
            torch.testing.assert_close((right[:, 0] * keys).sum(1), torch.ones(4))
        else:
            torch.testing.assert_close(right[:, 0], keys)
    assert float(updates[what.tensors[0]].left.detach().norm()) > 0  # the last layer's are 0, or next to


def test_an_own_key_is_the_subjects(model: EditableModel) -> None:
    with pytest.raises(UsageError, match=r"mend network, settings: an own key.* tokens=subject"):
        Mend().trainable(model, {"keys": "own"})


def test_bf16_on_a_cpu_multiplies_so_in_training_alone(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    during: list[str] = []
    one = training(
        model,
        examples,
        tmp_path / "bf16",
        lambda *_: during.append(torch.get_float32_matmul_precision()),
        mixed_precision="bf16",
    )
    made = one.run()
    full = training(model, examples, tmp_path / "full").run()
    assert set(during) == {"medium"}
    assert torch.get_float32_matmul_precision() == "highest"
    losses = [[point["nll"] for point in found.recipe["curve"]] for found in (made, full)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert all(value.dtype == torch.float32 for value in made.tensors.values())


def test_a_failed_training_leaves_full_precision_behind(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        training(model, examples, tmp_path, killed_at(2), mixed_precision="bf16").run()
    assert torch.get_float32_matmul_precision() == "highest"


def test_own_keys_are_white_by_text_and_by_the_training_facts_subjects(
    model: EditableModel, examples: Examples, tmp_path: Path
) -> None:
    made = {}
    for keys in ("learned", "own"):
        made[keys] = training(model, examples, tmp_path / keys, network=WHITE | {"keys": keys})
        made[keys]._measure_inputs()
    tensors = made["own"]._what.tensors
    text = accumulate_second_moments(model, made["own"]._what.layers, examples.unrelated, 55)
    with model.unedited():
        found = edit_gradients(model, tensors, [one.edit.new for one in examples.training])
    rows = list(range(len(examples.training)))
    lasts = [one.text.subject_last for one in examples.training]
    for layer, tensor in zip(made["own"]._what.layers, tensors, strict=True):
        subjects = found[tensor].right[rows, lasts]
        moment = subjects.T @ subjects / len(rows)
        expected = Whitening(moment.shape[0], 8)
        expected.measure(text[layer] / text[layer].trace() + moment / moment.trace())
        white = {keys: one._network.whitening(tensor)(subjects) for keys, one in made.items()}
        assert torch.allclose(white["own"], expected(subjects), atol=1e-3 * float(subjects.abs().max()))
        assert not torch.allclose(white["learned"], white["own"], rtol=0.05)
