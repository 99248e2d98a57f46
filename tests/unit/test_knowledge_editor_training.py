"""KnowledgeEditor trained by the shared loop on a tiny model, kept, and edited with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import CORE_FAMILIES, tiny_editable
from tiny_workbench import requests

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors.knowledge_editor import GateConfig, KnowledgeEditor, KnowledgeEditorConfig
from kedit_lifecycle.editors.knowledge_editor.network import GateNetwork
from kedit_lifecycle.editors.learned.artefact import LearnedArtefact
from kedit_lifecycle.editors.learned.examples import Examples, encode_example, make_examples
from kedit_lifecycle.editors.learned.reading import nll
from kedit_lifecycle.editors.learned.settings import TrainingSettings
from kedit_lifecycle.editors.learned.training import Training
from kedit_lifecycle.editors.statistics import Statistics, open_statistics
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.models.batching import hidden_states
from kedit_lifecycle.models.delta import replay
from kedit_lifecycle.models.editable import EditableModel

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("kedit_cache")]

SMALL: dict[str, Any] = {
    "blocks": 2,
    "lstm_width": 16,
    "condition_width": 16,
    "gate_width": 16,
    "edit_learning_rate": 0.1,
}
LOOP: dict[str, Any] = {"steps": 40, "batch": 4, "validate_every": 20, "warm_up": 2, "learning_rate": 5e-3}
UNTRAINED = KnowledgeEditorConfig(artefact="untrained")


def train(
    model: EditableModel, examples: Examples, folder: Path, **settings: Any
) -> tuple[GateNetwork, LearnedArtefact]:
    what = KnowledgeEditor().trainable(model, SMALL)
    artefact = Training(model, what, examples, TrainingSettings(**LOOP | settings), folder).run()
    assert isinstance(what.network, GateNetwork)
    return what.network, artefact


def statistics(model: EditableModel, folder: Path) -> Statistics:
    return open_statistics(model, folder / "stats", BlobStore(folder / "blobs"))


def answer_nll(model: EditableModel) -> float:
    target = encode_example(model, requests(1)[0]).edit.new
    with torch.no_grad():
        return float(nll(model, hidden_states(model, [target.ids[:-1]]), [target])[0])


@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_an_untrained_edit_is_a_plain_gradient_step(family: str, tmp_path: Path) -> None:
    model = tiny_editable(family)
    found = KnowledgeEditor().plan(model, requests(1), UNTRAINED, statistics=statistics(model, tmp_path))
    rate = GateConfig().edit_learning_rate
    target = encode_example(model, requests(1)[0]).edit.new
    assert len(found.updates) == len({one.tensor for one in found.updates}) > 0
    for update in found.updates:
        weight = model.parameter(update.tensor).requires_grad_()
        loss = nll(model, hidden_states(model, [target.ids[:-1]]), [target]).sum()
        (gradient,) = torch.autograd.grad(loss, [weight])
        weight.requires_grad_(False)
        after = replay(model.master(update.tensor), update)
        torch.testing.assert_close(
            after - model.master(update.tensor), -rate * gradient, atol=1e-6, rtol=1e-3
        )


def test_a_trained_network_is_kept_and_edits_with_the_same_bits(tmp_path: Path) -> None:
    model = tiny_editable("llama")
    examples = make_examples(model, requests(24), unrelated=[list(range(5, 60))])
    _network, artefact = train(model, examples, tmp_path / "unfinished")
    first, last = artefact.recipe["curve"][0], artefact.recipe["curve"][-1]
    assert last["nll"] < first["nll"]
    assert artefact.recipe["settings"]["edit_learning_rate"] == 0.1
    known = statistics(model, tmp_path)
    known.trained.add(artefact)
    before = answer_nll(model)
    editor, config = KnowledgeEditor(), KnowledgeEditorConfig()
    plan = editor.plan(model, requests(1), config, statistics=known)
    again = editor.plan(tiny_editable("llama"), requests(1), config, statistics=statistics(model, tmp_path))
    for one, other in zip(plan.updates, again.updates, strict=True):
        assert one.right is not None
        assert other.right is not None
        assert torch.equal(one.left, other.left)
        assert torch.equal(one.right, other.right)
    model.apply(plan.updates)
    assert answer_nll(model) < before - 1
    assert editor.settled(config, known).artefact == artefact.digest


def test_a_trained_update_has_one_step_more_than_tokens_and_reads_the_old_answer(tmp_path: Path) -> None:
    model = tiny_editable("llama")
    examples = make_examples(model, requests(24), unrelated=[list(range(5, 60))])
    _, artefact = train(model, examples, tmp_path / "unfinished", steps=20)
    known = statistics(model, tmp_path)
    known.trained.add(artefact)
    (request,) = requests(1)
    other = request.model_copy(update={"target_true": "Rome"})
    plan = KnowledgeEditor().plan(model, [request], KnowledgeEditorConfig(), statistics=known)
    tokens = len(encode_example(model, request).edit.new.ids) - 1
    assert max(update.rank for update in plan.updates) == tokens + 1
    changed = KnowledgeEditor().plan(model, [other], KnowledgeEditorConfig(), statistics=known)
    pairs = zip(plan.updates, changed.updates, strict=True)
    assert not any(torch.equal(one.left, two.left) for one, two in pairs)


def test_training_moves_the_multiplier_and_anneals_the_margin(tmp_path: Path) -> None:
    model = tiny_editable("llama")
    examples = make_examples(model, requests(24), unrelated=[list(range(5, 60))])
    network, artefact = train(model, examples, tmp_path)
    assert artefact.recipe["curve"][-1]["es"] >= 0.9
    config = GateConfig()
    assert float(network.constraint.multiplier) != config.multiplier_start
    assert float(network.constraint.margin) < config.margin_start
    assert "constraint.multiplier" in artefact.tensors


def test_an_edit_without_a_trained_network_says_what_to_do(tmp_path: Path) -> None:
    model = tiny_editable("llama")
    with pytest.raises(UsageError) as caught:
        KnowledgeEditor().plan(
            model, requests(1), KnowledgeEditorConfig(), statistics=statistics(model, tmp_path)
        )
    assert "kedit train knowledge-editor" in str(caught.value.hint)
    with pytest.raises(UsageError, match="margin"):
        KnowledgeEditor().trainable(model, {"margin_start": -1})
