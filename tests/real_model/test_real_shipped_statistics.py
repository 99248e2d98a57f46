"""What the package ships of the default model's statistics: enough for every default, and this model's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.editors import editor_names, get_editor
from kedit_lifecycle.editors.locate.config import ValueSearchConfig
from kedit_lifecycle.editors.locate.natural import search_metric
from kedit_lifecycle.editors.statistics import Statistics, open_statistics
from kedit_lifecycle.editors.statistics.output_fisher import accumulate_output_fishers
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.samples import sample_corpus
from kedit_lifecycle.workbench.workbench import DRIFT_SAMPLE_TOKENS


@pytest.fixture
def statistics(default_model: EditableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Statistics:
    """Those of the default model in a store of their own, which can be had from nowhere but the package."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("not shipped: python scripts/build_shipped_statistics.py")

    for name in ("sample_prefixes", "sample_corpus", "accumulate_output_fishers"):
        monkeypatch.setattr(f"kedit_lifecycle.editors.statistics.{name}", refuse)
    return open_statistics(default_model, tmp_path / "stats", BlobStore(tmp_path / "blobs"), share=False)


def test_no_default_needs_what_takes_minutes(default_model: EditableModel, statistics: Statistics) -> None:
    assert len(statistics.samples(DRIFT_SAMPLE_TOKENS, seed=1)) == DRIFT_SAMPLE_TOKENS // 64
    asked = set()
    for name in editor_names():
        config = get_editor(name).default_config(default_model)
        if isinstance(config, ValueSearchConfig):
            tokens = statistics.tokens_behind(config.second_moment_tokens)
            assert sum(len(row) for row in statistics.samples(tokens)) == tokens
            assert statistics.prefixes(config.prefix_lengths)[1]
            search_metric(config, get_editor(name).layers(config)[-1], statistics)
            asked.add(name)
    assert {"rome", "memit", "alphaedit", "emmet"} <= asked


def test_the_texts_are_what_is_sampled_here_but_for_rounding(
    default_model: EditableModel, statistics: Statistics
) -> None:
    shipped = statistics.samples(DRIFT_SAMPLE_TOKENS, seed=1)
    again = sample_corpus(default_model, DRIFT_SAMPLE_TOKENS, seed=1)
    assert [row[0] for row in shipped] == [row[0] for row in again]
    alike = sum(one == other for one, other in zip(shipped, again, strict=True))
    assert alike >= len(again) // 2  # a draw can fall on the other side of a rounding on another machine


@pytest.mark.parametrize("name", ["rome", "memit"])
def test_the_fisher_information_is_that_of_the_layer_values_are_searched_at(
    default_model: EditableModel, statistics: Statistics, name: str
) -> None:
    layer = get_editor(name).layers(get_editor(name).default_config(default_model))[-1]
    shipped = statistics.output_fisher(layer)[1].diagonal()
    texts = statistics.samples(statistics.tokens_behind(None))
    around = (layer - 1, layer, layer + 1)
    here = accumulate_output_fishers(default_model, around, texts, 1024)  # a fifteenth of what it was made of
    alike = [float(torch.corrcoef(torch.stack([shipped, here[at].diagonal()]))[0, 1]) for at in around]
    assert max(alike) == alike[1] > 0.85
    assert float(here[layer].trace()) == pytest.approx(float(shipped.sum()), rel=0.1)
