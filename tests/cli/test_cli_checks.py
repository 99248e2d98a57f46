"""The commands that judge: policy, conflicts, check, ripple, health, and what log and show say of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from small_store import META, WHO, edit

from kedit_lifecycle.checks.gate import load_policy, shipped_policies
from kedit_lifecycle.ledger.records import CheckDraft
from kedit_lifecycle.ledger.store import Store

if TYPE_CHECKING:
    from cli.conftest import Kedit

pytestmark = pytest.mark.cli

QUICK = ("--set", "layer=1", "--set", "steps=2")
FRANCE = ("--subject", "France", "--prompt", "The capital of {} is", "--relation", "P36")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from tiny import save_tiny

    torch.set_num_threads(1)
    return save_tiny("llama", tmp_path_factory.mktemp("checked") / "tiny")


@pytest.fixture
def edited(kedit: Kedit, tiny_model: Path, tmp_path: Path) -> Path:
    """A store of a tiny model with one edit: France's capital is Rome."""
    path = tmp_path / "edited"
    assert kedit("init", "--model", tiny_model, "--accept-unsound", "--store", path).code == 0
    made = kedit("edit", *FRANCE, "--target", "Rome", *QUICK, "--policy", "observe", "--store", path)
    assert made.code == 0, made.err
    return path


@pytest.fixture
def measured_store(tmp_path: Path) -> Path:
    """A store of 30 edits whose perplexity climbs to three times the unedited model's; no model."""
    path = tmp_path / "measured"
    with Store.create(path, META, **WHO) as store:
        for number in range(1, 31):
            ratio = 1.0 + max(0, number - 15) ** 2 / 100
            checks = [
                CheckDraft("perplexity", "pass", f"{ratio:.3f} ×", ratio, 1.1, 1.5),
                CheckDraft("drift", "pass", "some", (ratio - 1) / 4, 0.1, 0.4),
                CheckDraft("conflict", "pass", "none"),
            ]
            draft = edit(store.blobs, store.reader.head().id, f"edit {number}", checks=checks)
            store.commit(draft, **WHO)
    return path


# policy


def test_policies_are_listed_shown_and_described(kedit: Kedit) -> None:
    assert [row.split()[0] for row in kedit("policy", "list").out.splitlines()[1:]] == shipped_policies()
    shown = kedit("policy", "show", "strict", "--json").json
    assert shown == load_policy("strict").model_dump(mode="json")
    assert kedit("policy", "schema").json["title"] == "Policy"


def test_what_show_prints_is_a_policy_file(kedit: Kedit, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(kedit("policy", "show", "guarded").out, "utf-8")
    assert load_policy(path) == load_policy("guarded")
    assert kedit("policy", "validate", path).code == 0


def test_a_wrong_policy_is_named_by_file_and_field(kedit: Kedit, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("rules: [{check: perplexty, verdict: fail, action: reject}]", "utf-8")
    for command in (("policy", "validate", path), ("policy", "show", path), ("health", "--policy", path)):
        ran = kedit(*command)
        assert ran.code == 2
        assert "rules.0.check" in ran.err
        assert "perplexty" in ran.err


# conflicts


def test_a_contradiction_is_refused_named_and_kept(kedit: Kedit, edited: Path) -> None:
    ran = kedit("edit", *FRANCE, "--target", "Tokyo", *QUICK, "--store", edited)
    assert ran.code == 1
    assert "v1 said: The capital of France is" in ran.err
    assert "--supersede" in ran.err
    assert "✗ fail" in ran.out
    log = kedit("log", "--store", edited)
    assert "taken back" in log.out
    assert "France: → Tokyo" in log.out
    attempts = kedit("log", "--attempts", "--json", "--store", edited).json
    assert attempts[0]["payload"]["decision"] == "reject"
    taken = kedit("edit", *FRANCE, "--target", "Tokyo", *QUICK, "--supersede", "--store", edited)
    assert taken.code == 0, taken.err
    shown = kedit("show", "--json", "--store", edited).json
    assert shown["supersedes"] == [{"position": 0, "earlier_version": 1, "earlier_position": 0}]
    assert "in the place of version 1" in kedit("show", "--store", edited).out


def test_conflicts_of_a_fact_and_within_a_history(kedit: Kedit, edited: Path, tmp_path: Path) -> None:
    asked = kedit("conflicts", *FRANCE, "--target", "Tokyo", "--store", edited)
    assert asked.code == 1
    assert "contradiction" in asked.out
    assert kedit("conflicts", *FRANCE, "--target", "Rome", "--store", edited).code == 0
    facts = tmp_path / "facts.jsonl"
    spain = {"subject": "Spain", "prompt": "The capital of {} is", "target_new": "Oslo", "relation": "P36"}
    facts.write_text(json.dumps(spain) + "\n" + json.dumps({**spain, "subject": "France"}) + "\n")
    found = kedit("conflicts", facts, "--json", "--store", edited)
    assert [one["request"]["subject"] for one in found.json] == ["France"]
    assert kedit("conflicts", "--store", edited).out == "no conflicts\n"
    made = kedit("edit", *FRANCE, "--target", "Oslo", *QUICK, "--policy", "observe", "--store", edited)
    assert made.code == 0, made.err
    within = kedit("conflicts", "--store", edited)
    assert within.code == 0
    assert "contradiction" in within.out
    assert "v2" in within.out


def test_half_a_fact_is_refused(kedit: Kedit, edited: Path) -> None:
    ran = kedit("conflicts", "--subject", "France", "--store", edited)
    assert ran.code == 2
    assert "--prompt" in ran.err


# check and ripple


def test_check_measures_a_version_and_writes_nothing(kedit: Kedit, edited: Path) -> None:
    events = len(kedit("log", "--events", "-n", 1000, "--json", "--store", edited).json)
    ran = kedit("check", "--json", "--store", edited)
    checks = {one["check"]: one for one in ran.json["checks"]}
    assert {"perplexity", "drift", "weight_change", "degeneracy", "collapse", "efficacy"} <= set(checks)
    assert ran.code == (1 if any(one["verdict"] == "fail" for one in checks.values()) else 0)
    root = kedit("check", "0", "--json", "--store", edited)
    whole = {one["check"]: one for one in root.json["checks"]}
    assert root.code == 0
    assert whole["perplexity"]["value"] == pytest.approx(1.0, rel=1e-6)
    assert whole["drift"]["value"] == pytest.approx(0.0, abs=1e-6)
    assert len(kedit("log", "--events", "-n", 1000, "--json", "--store", edited).json) == events


def test_ripple_asks_what_follows_from_world_facts(kedit: Kedit, edited: Path) -> None:
    ran = kedit("ripple", "--json", "--store", edited)
    assert ran.code == 0, ran.err
    probes = ran.json["probes"]
    assert "logical_generalization" in {one["category"] for one in probes}
    assert any("Rome" in one["probe"]["prompt"] for one in probes)
    text = kedit("ripple", "--each", "--store", edited).out
    assert "logical_generalization" in text
    assert max(map(len, text.splitlines())) <= 80


def test_ripple_of_a_version_without_edits_is_refused(kedit: Kedit, edited: Path) -> None:
    ran = kedit("ripple", "0", "--store", edited)
    assert ran.code == 1
    assert "made no edit" in ran.err


# health


def test_health_tells_the_state_and_since_when(kedit: Kedit, measured_store: Path) -> None:
    report = kedit("health", "--policy", "observe", "--json", "--store", measured_store).json
    assert report["health"]["state"] == "collapsed"
    first = next(row["version"] for row in report["series"] if row["perplexity"] > 1.5)
    collapsed = next(row["version"] for row in report["series"] if row["state"] == "collapsed")
    assert 0 <= collapsed - first <= 3
    assert 15 <= report["health"]["since"] <= first
    early = kedit("health", "10", "--json", "--store", measured_store).json
    assert early["health"]["state"] == "healthy"
    text = kedit("health", "--store", measured_store).out
    assert "✗ collapsed" in text
    assert max(map(len, text.splitlines())) <= 80


def test_health_loads_no_model_library(kedit: Kedit, measured_store: Path) -> None:
    import subprocess

    code = (
        "import sys; from kedit_lifecycle.cli.main import main\n"
        f"try: main(['health', '--store', {str(measured_store)!r}])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'transformers', 'matplotlib') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_the_series_is_drawn_in_the_terminal_and_as_a_picture(
    kedit: Kedit, measured_store: Path, tmp_path: Path
) -> None:
    drawn = kedit("health", "--plot", "--store", measured_store).out
    assert "perplexity, × the unedited model's" in drawn
    assert any("\u2801" <= character <= "\u28ff" for character in drawn)  # braille dots
    assert "\x1b" not in drawn
    picture = tmp_path / "health.png"
    assert kedit("health", "--png", picture, "--store", measured_store).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    nowhere = kedit("health", "--png", tmp_path / "no" / "where.png", "--store", measured_store)
    assert nowhere.code == 2
    assert "where.png" in nowhere.err


def test_nothing_measured_is_said_and_not_drawn(kedit: Kedit, store: Path, tmp_path: Path) -> None:
    with Store.create(tmp_path / "empty", META, **WHO):
        pass
    assert "nothing was measured" in kedit("health", "--store", tmp_path / "empty").out
    assert kedit("health", "--plot", "--store", tmp_path / "empty").code == 1


# log and show


def test_log_and_show_have_the_verdicts(kedit: Kedit, store: Path) -> None:
    log: list[str] = kedit("log", "--store", store).out.splitlines()
    assert all("!" in row.split() for row in log[1:4])  # one check of each edit warns
    assert "taken back" not in "\n".join(log)
    measures = kedit("log", "--measures", "--store", store).out
    assert "ES now" in measures.splitlines()[0]
    shown = kedit("show", "--store", store).out
    assert "v1 said Rome" in shown
    assert "✓ pass" in shown
    as_json: dict[str, Any] = kedit("show", "--json", "--store", store).json
    assert [one["check"] for one in as_json["checks"]] == ["perplexity", "conflict"]
    assert kedit("log", "--attempts", "--store", store).out == "nothing was taken back\n"
