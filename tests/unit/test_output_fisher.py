"""The Fisher information of what a layer's MLP puts out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from plain_spread import PlainModel, plain_output_fisher
from tiny import CORE_FAMILIES, tiny_editable

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors.statistics import Statistics, StatisticsLibrary
from kedit_lifecycle.editors.statistics.output_fisher import accumulate_output_fishers
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.models.delta import TensorUpdate

pytestmark = pytest.mark.unit

GENERATOR = torch.Generator().manual_seed(0)
TEXTS = [torch.randint(2, 400, (n,), generator=GENERATOR).tolist() for n in (40, 7, 1, 23, 400, 12, 30)]


@pytest.mark.parametrize("family", CORE_FAMILIES)
def test_it_is_the_mean_of_g_g_transposed_over_texts_of_any_length(family: str) -> None:
    model = tiny_editable(family, torch.float32)
    limit = sum(map(len, TEXTS[:-1])) + 11  # within the last text, and in more than one batch
    found = accumulate_output_fishers(model, [2, 0], TEXTS, limit)
    plain = PlainModel(model)
    for layer in (0, 2):
        expected = plain_output_fisher(plain, layer, [*TEXTS[:-1], TEXTS[-1][:11]])
        scale = float(expected.abs().max())
        assert scale > 0
        torch.testing.assert_close(found[layer].double(), expected, rtol=1e-3, atol=1e-4 * scale)
    assert not any(parameter.grad is not None for parameter in model.network.parameters())


def test_a_text_in_which_nothing_follows_has_none() -> None:
    model = tiny_editable("llama")
    for texts in ([], [[5], [6]]):
        with pytest.raises(UsageError, match="empty"):
            accumulate_output_fishers(model, [0], texts, 100)


def test_it_is_the_unedited_models_and_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_editable("gpt2", torch.float32)
    library = StatisticsLibrary(tmp_path / "stats", BlobStore(tmp_path / "blobs"))
    before = Statistics(model, library).output_fisher(1, tokens=300)[1]
    name = model.architecture.mlp_down_weight(0)
    with model.trial():
        model.apply([TensorUpdate(name, "add", torch.ones_like(model.master(name)))])
        fresh = StatisticsLibrary(tmp_path / "fresh", BlobStore(tmp_path / "fresh_blobs"))
        assert torch.equal(Statistics(model, fresh).output_fisher(1, tokens=300)[1], before)
    monkeypatch.setattr("kedit_lifecycle.editors.statistics.accumulate_output_fishers", None)
    assert torch.equal(Statistics(model, library).output_fisher(1, tokens=300)[1], before)
