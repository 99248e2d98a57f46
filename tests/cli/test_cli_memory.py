"""The memory from the command line: put in, asked, searched, checked, consolidated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import Kedit

pytestmark = pytest.mark.cli

FRANCE = ("--subject", "France", "--prompt", "The capital of {} is", "--relation", "P36")
ASKED = "The capital of France is"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from tiny import save_tiny

    torch.set_num_threads(1)
    return save_tiny("llama", tmp_path_factory.mktemp("remembering") / "tiny")


@pytest.fixture
def remembering(kedit: Kedit, tiny_model: Path, tmp_path: Path) -> Path:
    """A store of a tiny model with one fact in memory: France's capital is Rome."""
    path = tmp_path / "remembering"
    assert kedit("init", "--model", tiny_model, "--accept-unsound", "--store", path).code == 0
    made = kedit(
        "edit", *FRANCE, "--target", "Rome", "--method", "serac", "--policy", "observe", "--store", path
    )
    assert made.code == 0, made.err
    return path


def test_ask_explains_what_answered(kedit: Kedit, remembering: Path) -> None:
    out = kedit("ask", ASKED, "--explain", "--store", remembering).out
    assert "the memory, by version 1: The capital of France is → Rome" in out
    assert (
        "the model: no fact in memory is about this"
        in kedit("ask", "Water boils at", "--explain", "--store", remembering).out
    )
    assert "memory is empty" in kedit("ask", ASKED, "--at", 0, "--explain", "--store", remembering).out
    route = kedit("ask", ASKED, "--json", "--store", remembering).json[0]["route"]
    assert route["answered_by"] == "memory"
    assert route["score"] >= route["threshold"]


def test_list_search_stats_and_check(kedit: Kedit, remembering: Path) -> None:
    listed = kedit("memory", "list", "--json", "--store", remembering).json
    assert [one["request"]["target_new"] for one in listed] == ["Rome"]
    assert "Rome" in kedit("memory", "list", "--store", remembering).out
    found = kedit("memory", "search", ASKED, "--store", remembering).out
    assert found.startswith("v1 answers")
    far = kedit("memory", "search", "Water boils at", "--store", remembering).out
    assert far.startswith("the model answers")
    assert kedit("memory", "stats", "--json", "--store", remembering).json["entries"] == 1
    checked = kedit("memory", "check", "--json", "--store", remembering)
    assert checked.code == 0
    assert checked.json == {"version": 1, "sound": True, "entries": 1, "indexed": 1}
    assert "the memory is empty" in kedit("memory", "list", "--at", 0, "--store", remembering).out


def test_an_empty_query_is_a_usage_error(kedit: Kedit, remembering: Path) -> None:
    assert kedit("memory", "search", "  ", "--store", remembering).code == 2
    assert kedit("ask", "  ", "--store", remembering).code == 2


def test_a_very_long_query_is_cut_and_said(kedit: Kedit, remembering: Path) -> None:
    ran = kedit("memory", "search", "word " * 100_000 + ASKED, "--store", remembering)
    assert ran.code == 0
    assert "100,005 words" in ran.err


def test_the_index_is_made_anew(kedit: Kedit, remembering: Path) -> None:
    for path in (remembering / "memory" / "index").rglob("*"):
        if path.is_file():
            path.write_bytes(b"another file")
    ran = kedit("memory", "check", "--store", remembering)
    assert ran.code == 0
    assert "made anew" in ran.err
    assert kedit("memory", "rebuild", "--store", remembering).out == "1 facts indexed\n"
    assert kedit("memory", "check", "--store", remembering).err == ""


def test_consolidate_moves_the_fact_into_the_weights(kedit: Kedit, remembering: Path) -> None:
    settings = ("--set", "layers=[0,1]", "--set", "steps=2", "--set", "covariance_weight=1")
    ran = kedit("consolidate", *settings, "--policy", "observe", "--store", remembering)
    assert ran.code == 0, ran.err
    assert "it holds 0 now" in ran.out
    assert kedit("memory", "list", "--json", "--store", remembering).json == []
    assert kedit("consolidate", "--store", remembering).code == 1
    assert kedit("undo", "--store", remembering).code == 0
    assert len(kedit("memory", "list", "--json", "--store", remembering).json) == 1


def test_a_trained_scope_classifier_is_used_by_its_digest(
    kedit: Kedit, remembering: Path, tmp_path: Path
) -> None:
    made = kedit("train", "serac", "--data", "world-facts", "--limit", 60, "--json", "--store", remembering)
    assert made.code == 0, made.err
    digest = made.json["digest"]
    assert Path(made.json["path"]).name == digest
    event = kedit("log", "--events", "-n", 1, "--json", "--store", remembering).json[0]
    assert event["kind"] == "train"
    assert event["payload"]["artefact"] == digest
    fact = ("--subject", "Spain", "--prompt", "The capital of {} is", "--target", "Oslo", "--relation", "P36")
    use = ("--method", "serac", "--set", f"scope={digest}", "--policy", "observe")
    ran = kedit("edit", *fact, *use, "--store", remembering)
    assert ran.code == 0, ran.err
    assert kedit("memory", "stats", "--json", "--store", remembering).json["scope"] == digest
    bad = kedit("edit", *fact, "--method", "serac", "--set", "scope=0000", "--store", remembering)
    assert bad.code != 0
    no_paraphrases = tmp_path / "bare.jsonl"
    no_paraphrases.write_text(
        "".join(
            json.dumps({"subject": f"City {i}", "prompt": "{} is in", "target_new": "Rome"}) + "\n"
            for i in range(9)
        )
    )
    refused = kedit("train", "serac", "--data", no_paraphrases, "--store", remembering)
    assert refused.code == 2
    assert "paraphrases" in refused.err


def test_a_trained_counterfactual_model_answers_in_its_own_words(kedit: Kedit, remembering: Path) -> None:
    to_store = ("--store", remembering)
    made = kedit(
        "train", "serac", "--data", "world-facts", "--limit", 60, "--counterfactual", "--steps", 3, "--json",
        *to_store,
    )  # fmt: skip
    assert made.code == 0, made.err
    lora = made.json["counterfactual"]
    assert lora["recipe"]["training"]["steps"] == 3
    events = kedit("log", "--events", "-n", 2, "--json", *to_store).json
    assert [one["payload"]["kind"] for one in events] == ["counterfactual", "scope"]
    fact = ("--subject", "Spain", "--prompt", "The capital of {} is", "--target", "Oslo", "--relation", "P36")
    use = ("--method", "serac", "--set", f"counterfactual={lora['digest']}", "--policy", "observe")
    before = kedit("show", "HEAD", "--json", *to_store).json
    ran = kedit("edit", *fact, *use, *to_store)
    assert ran.code == 0, ran.err
    assert kedit("show", "HEAD", "--json", *to_store).json["memory"] != before["memory"]
    for ref in ("HEAD", "HEAD~1"):  # each version is answered as it was made
        asked = kedit("ask", ASKED, "--at", ref, "--explain", "--json", *to_store)
        assert asked.json[0]["route"]["answered_by"] == "memory", asked.err
    bad = kedit("edit", *fact, "--method", "serac", "--set", "counterfactual=0000", *to_store)
    assert bad.code == 3
    assert "counterfactual model" in bad.err
