"""One edit of the real default model: it takes, it stays local, and it goes away bit for bit."""

from __future__ import annotations

from pathlib import Path

from kedit_lifecycle.facts.demo import demo_requests
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.workbench import Workbench


def test_an_edit_takes_stays_local_and_goes_away(default_model: EditableModel, tmp_path: Path) -> None:
    request = demo_requests()[0]
    with Workbench.create(tmp_path / "store") as bench:
        assert bench.model.base_digest == default_model.base_digest
        untouched = bench.model.fingerprints("model.layers.4.mlp.down_proj.weight")
        outcome = bench.edit(request, config={"second_moment_tokens": 1024})
        values = {name: value.value for name, value in outcome.metrics.items()}
        unedited = {name: value.value for name, value in outcome.unedited.items()}
        assert unedited["efficacy"] == 0.0
        assert values["efficacy"] == values["exact_match"] == values["generated_exact_match"] == 1.0
        assert values["neighborhood"] >= unedited["neighborhood"] - 0.5
        assert values["perplexity"] < 1.02 * unedited["perplexity"]
        assert 0.0 < values["drift_kl"] < 0.05
        assert request.target_new in bench.ask(request.question).text
        bench.rollback("0")
        model = bench.checkout_model()
        assert model.fingerprints("model.layers.4.mlp.down_proj.weight") == untouched
        assert str(request.target_true) in bench.ask(request.question).text


def test_the_trained_editor_that_comes_along_edits_facts_it_never_saw(tmp_path: Path) -> None:
    with Workbench.create(tmp_path / "store") as bench:
        values: dict[str, list[float]] = {}
        for request in demo_requests()[:6]:
            outcome = bench.edit(request, method="mend", policy="observe")
            assert outcome.version is not None
            assert len(outcome.version.config["artefact"]) == 64
            for name, value in outcome.metrics.items():
                values.setdefault(name, []).append(value.value)
            bench.rollback("0")
        assert not (tmp_path / "store" / "trained").exists()  # nothing was trained here
        assert sum(values["efficacy"]) >= 5
        assert sum(values["paraphrase"]) >= 4
        assert max(values["perplexity"]) < 1.5 * outcome.unedited["perplexity"].value
