"""Training an editor from the command line, killing it on the way, and editing with what it made."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tiny_workbench import requests

if TYPE_CHECKING:
    from cli.conftest import Kedit

pytestmark = pytest.mark.cli

FACT = ("--subject", "City Z9", "--prompt", "{} is in the country of", "--target", "Italy")
QUICK = (
    "--steps", 6, "--set", "batch=4", "--set", "validate_every=2", "--set", "checkpoint_every=2",
    "--set", "warm_up=2", "--set", "blocks=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from tiny import save_tiny

    torch.set_num_threads(1)
    return save_tiny("llama", tmp_path_factory.mktemp("training") / "tiny")


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    return facts_file(tmp_path / "facts.jsonl", 24)


def facts_file(path: Path, count: int, *, paraphrases: bool = True) -> Path:
    without = frozenset() if paraphrases else frozenset({"paraphrases"})
    rows = [one.model_dump(mode="json", exclude=set(without)) for one in requests(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def store(kedit: Kedit, tiny_model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "training"
    assert kedit("init", "--model", tiny_model, "--accept-unsound", "--store", path).code == 0
    return path


def test_a_trained_editor_is_kept_by_content_and_named_by_the_edit(
    kedit: Kedit, store: Path, facts: Path
) -> None:
    at = ("--store", store)
    none_yet = kedit("edit", *FACT, "--method", "mend", *at)
    assert none_yet.code == 2
    assert "kedit train mend" in none_yet.err
    made = kedit("train", "mend", "--data", facts, *QUICK, "--json", *at)
    assert made.code == 0, made.err
    digest, place = made.json["digest"], Path(made.json["path"])
    assert place == store / "trained" / digest
    assert (place / "curve.png").read_bytes().startswith(b"\x89PNG")
    table = (place / "curve.tsv").read_text().splitlines()
    assert table[0].split("\t") == ["step", "loss", "nll", "kl", "es", "ps", "ns"]
    assert [row.split("\t")[0] for row in table[1:]] == ["2.0", "4.0", "6.0"]
    event = kedit("log", "--events", "-n", 1, "--json", *at).json[0]
    assert (event["kind"], event["payload"]["artefact"]) == ("train", digest)

    edited = kedit("edit", *FACT, "--method", "mend", "--policy", "observe", "--set", "scale=50", *at)
    assert edited.code == 0, edited.err
    assert kedit("show", "HEAD", "--json", *at).json["config"]["artefact"] == digest
    shutil.rmtree(store / "trained")
    assert kedit("verify", *at).code == 0
    asked = kedit("ask", "City Z9 is in the country of", "--json", *at)
    assert asked.code == 0, asked.err
    assert kedit("undo", *at).code == 0


def test_facts_to_be_evaluated_on_are_left_out_and_counted(
    kedit: Kedit, store: Path, facts: Path, tmp_path: Path
) -> None:
    held = facts_file(tmp_path / "held.jsonl", 4)
    made = kedit("train", "mend", "--data", facts, "--evaluate-on", held, *QUICK, "--json", "--store", store)
    assert made.code == 0, made.err
    assert made.json["overlap"] == 4
    assert "4 facts" in made.err
    data = made.json["recipe"]["data"]
    assert data["training"] + data["validation"] == 20


def test_what_cannot_be_trained_on_is_said(kedit: Kedit, store: Path, facts: Path, tmp_path: Path) -> None:
    bare = facts_file(tmp_path / "bare.jsonl", 6, paraphrases=False)
    refused = kedit("train", "mend", "--data", bare, *QUICK, "--store", store)
    assert refused.code == 2
    assert "paraphrase" in refused.err
    some = kedit("train", "mend", "--data", bare, "--data", facts, *QUICK, "--store", store)
    assert some.code == 0, some.err
    assert "6 facts without a paraphrase" in some.err
    wrong = kedit("train", "mend", "--data", facts, "--set", "bach=4", "--store", store)
    assert wrong.code == 2
    assert "bach" in wrong.err


def test_an_artefact_of_another_model_is_refused(
    kedit: Kedit, store: Path, facts: Path, tmp_path: Path
) -> None:
    from tiny import save_tiny

    assert kedit("train", "mend", "--data", facts, *QUICK, "--store", store).code == 0
    other = tmp_path / "other"
    model = save_tiny("llama", tmp_path / "other_model", seed=1)
    assert kedit("init", "--model", model, "--accept-unsound", "--store", other).code == 0
    shutil.copytree(store / "trained", other / "trained")
    refused = kedit("edit", *FACT, "--method", "mend", "--store", other)
    assert refused.code == 5
    assert "belongs to" in refused.err
    assert "kedit train mend" in refused.err


def test_a_training_that_was_killed_ends_as_an_unbroken_one(
    kedit: Kedit, store: Path, facts: Path, tmp_path: Path, tiny_model: Path
) -> None:
    many = ("--data", facts, "--steps", 40, *QUICK[2:])
    broken = tmp_path / "broken"
    assert kedit("init", "--model", tiny_model, "--accept-unsound", "--store", broken).code == 0
    command = [sys.executable, "-m", "kedit_lifecycle", "train", "mend", *many, "--store", broken]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(list(map(str, command)), env=environment, stderr=subprocess.DEVNULL)
    _wait_for_checkpoint(broken / "trained" / "unfinished", child)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not list((broken / "trained").glob("?" * 64))
    resumed = kedit("train", "mend", *many, "--json", "--store", broken)
    assert resumed.code == 0, resumed.err
    assert not list((broken / "trained" / "unfinished").iterdir())
    unbroken = kedit("train", "mend", *many, "--json", "--store", store)
    assert resumed.json["digest"] == unbroken.json["digest"]


def _wait_for_checkpoint(folder: Path, child: subprocess.Popen[bytes]) -> None:
    """Until the training has left a checkpoint, and not yet ended."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if list(folder.glob("*.checkpoint")):
            return
        assert child.poll() is None, "the training ended before it left a checkpoint"
        time.sleep(0.01)
    raise AssertionError("the training left no checkpoint in two minutes")
