"""`kedit tune`, from outside, on a tiny random model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kedit_lifecycle.cli.tune import trial_line
from kedit_lifecycle.tuning.profile import Profile, list_profiles, save_profile

if TYPE_CHECKING:
    from cli.conftest import Kedit

QUICK = ("--set", "steps=2", "--set", "prefix_lengths=[[3, 2]]", "--set", "second_moment_tokens=320")
SMALL = ("--edits", 2, "--candidates", 4, "--minutes", 5)


@pytest.fixture(scope="module")
def tuned_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a tiny random Llama; profiles may be added to it."""
    import torch
    from tiny_workbench import tiny_workbench

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tune")
    tiny_workbench(folder).close()
    return folder / "store"


@pytest.fixture
def model_store(tuned_store: Path, tmp_path: Path) -> Path:
    """A copy without profiles."""
    import shutil

    return Path(shutil.copytree(tuned_store, tmp_path / "copy"))


def _facts(folder: Path, count: int = 16, *, comparable: bool = True) -> Path:
    """Facts of which a model knows about half, whichever country it prefers."""
    pairs = [("Italy", "France"), ("France", "Italy")]
    lines = []
    for i in range(count):
        new, true = pairs[i % 2]
        fact = {"subject": f"City {i}", "prompt": "{} is in the country of", "target_new": new}
        more = {"paraphrases": [f"Where is City {i}? In"], "neighborhood": ["Paris is in the country of"]}
        lines.append(json.dumps({**fact, **more, **({"target_true": true} if comparable else {})}))
    path = folder / "facts.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_tune_prints_the_finalists_and_stores_the_best(
    kedit: Kedit, model_store: Path, tmp_path: Path
) -> None:
    ran = kedit(
        "tune", "--editor", "rome", "--data", _facts(tmp_path), *QUICK, *SMALL, "--store", model_store
    )
    assert ran.code == 0, ran.err
    assert not [row for row in ran.out.splitlines() if len(row) > 80]
    assert ran.out.splitlines()[0].split()[:6] == ["candidate", "score", "S", "ES", "PS", "NS"]
    assert any(row.startswith("default ") for row in ran.out.splitlines())
    assert "rung 3    2 held-out facts" in ran.out
    assert "which decided" in ran.out
    (profile,) = list_profiles(model_store)
    assert f"profile   {profile.digest[:10]}" in ran.out
    assert "rung 1  default  score" in ran.err
    assert ran.err.count("rung 1  ") == profile.made["candidates"]


def test_tune_as_json_and_the_list_of_profiles(kedit: Kedit, model_store: Path, tmp_path: Path) -> None:
    assert "none yet" in kedit("tune", "--list", "--store", model_store).out
    data = _facts(tmp_path)
    ran = kedit("tune", "--editor", "memit", "--data", data, *QUICK, *SMALL, "--json", "--store", model_store)
    assert ran.code == 0, ran.err
    found = ran.json
    assert found["finalists"][0]["candidate"] == found["winner"]
    assert [rung["edits"] for rung in found["rungs"]] == [1, 2, 2]
    assert all(rung["complete"] for rung in found["rungs"])
    default = next(one for one in found["finalists"] if one["candidate"] == 0)
    assert default["time_ratio"] == 1
    assert default["changed"] == {}
    assert found["facts"]["known"] == 4
    assert found["profile"]["config"]["steps"] == 2
    listed = kedit("tune", "--list", "--json", "--readonly", "--store", model_store).json
    assert [one["digest"] for one in listed] == [found["profile"]["digest"]]
    shown = kedit("tune", "--list", "--store", model_store).out
    assert found["profile"]["digest"][:10] in shown
    assert "memit" in shown


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--editor", "magic"), "no editor 'magic'"),
        (("--editor", "rome", "--minutes", 0), "0 minutes"),
        (("--editor", "rome", "--minutes", "nan"), "nan minutes"),
        (("--editor", "rome", "--edits", 0), "--edits"),
        (("--editor", "rome", "--set", "nonsense=1"), "nonsense"),
        (("--editor", "rome", "--edits", 500), "the model knows"),
        ((), "--editor and --data"),
    ],
)
def test_bad_input_is_named_and_stores_nothing(
    kedit: Kedit, model_store: Path, tmp_path: Path, arguments: tuple[Any, ...], problem: str
) -> None:
    ran = kedit("tune", "--data", _facts(tmp_path), *arguments, "--store", model_store)
    assert ran.code == 2
    assert problem in ran.err
    assert not (model_store / "profiles").exists()


def test_facts_that_the_model_does_not_know_are_no_use(
    kedit: Kedit, model_store: Path, tmp_path: Path
) -> None:
    data = _facts(tmp_path, comparable=False)
    ran = kedit("tune", "--editor", "rome", "--data", data, *SMALL, "--store", model_store)
    assert ran.code == 2
    assert "the model knows 0 of 16 facts" in ran.err
    assert "16 have no target_true" in ran.err


def test_a_file_that_is_not_there_and_a_store_that_may_not_be_written(
    kedit: Kedit, model_store: Path, tmp_path: Path
) -> None:
    missing = kedit("tune", "--editor", "rome", "--data", tmp_path / "no.jsonl", "--store", model_store)
    assert (missing.code, "no.jsonl" in missing.err) == (2, True)
    readonly = kedit(
        "tune", "--editor", "rome", "--data", _facts(tmp_path), "--readonly", "--store", model_store
    )
    assert (readonly.code, "--readonly" in readonly.err) == (1, True)
    nowhere = kedit("tune", "--list", "--store", tmp_path / "nowhere")
    assert nowhere.code == 2


def test_an_interruption_says_that_nothing_is_stored(
    kedit: Kedit, model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_finished: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("kedit_lifecycle.cli.tune.trial_line", interrupted)
    data = _facts(tmp_path)
    ran = kedit("tune", "--editor", "rome", "--data", data, *QUICK, *SMALL, "--store", model_store)
    assert ran.code == 130
    assert "no profile was stored" in ran.err
    assert not (model_store / "profiles").exists()


def test_text_from_a_profile_is_never_obeyed(kedit: Kedit, store: Path) -> None:
    save_profile(store, Profile("rome", "ab" * 32, "evil\x1b[31m\nname", {}, {"scores": {}}))
    shown = kedit("tune", "--list", "--store", store)
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert len(shown.out.splitlines()) == 2


def test_a_damaged_profile_is_damage(kedit: Kedit, store: Path) -> None:
    path = save_profile(store, Profile("rome", "ab" * 32, "tiny", {"layer": 1}, {}))
    path.write_text(path.read_text().replace('"layer":1', '"layer":2'))
    assert kedit("tune", "--list", "--store", store).code == 3


def test_listing_loads_no_model_library(store: Path) -> None:
    save_profile(store, Profile("rome", "ab" * 32, "tiny", {}, {}))
    code = (
        "import sys\nfrom kedit_lifecycle.cli.main import main\n"
        f"try:\n    main(['tune', '--list', '--store', {str(store)!r}])\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "assert not {'torch', 'transformers', 'sqlmodel'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rome" in done.stdout


def test_a_line_names_settings_and_failures() -> None:
    from kedit_lifecycle.tuning.trial import Trial
    from kedit_lifecycle.workbench.tuning import FinishedTrial

    trial = Trial(5, 0.5, 0.6, 1.0, 0.8, 0.7, 0.7, 0.9, 1.02, 1.234)
    told = trial_line(FinishedTrial(0, 4, {"layers": [3, 4, 5], "steps": 25, "clamp_norm": None}, trial))
    assert told == (
        "rung 1  #4  score 0.50  ES 1.00  PS 0.80  NS 0.70  said 0.90  PPL ×1.02  1.23 s  "
        "layers 3–5, steps 25, clamp_norm null"
    )
    failed = trial_line(FinishedTrial(2, 0, {}, Trial(5, failure="not finite")))
    assert failed == "rung 3  default  failed: not finite"
