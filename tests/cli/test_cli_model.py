"""Commands that need a model, on a tiny random one: the way from the terminal to the ledger and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kedit_lifecycle.ledger.reader import LedgerReader

if TYPE_CHECKING:
    from cli.conftest import Kedit

SETTINGS = ("--set", "layer=1", "--set", "steps=2")
FACT = {
    "subject": "France",
    "prompt": "The capital of {} is",
    "target_new": "Rome",
    "target_true": "Paris",
    "paraphrases": ["France has the capital"],
    "neighborhood": ["The capital of Italy is"],
}
EDIT = (
    "edit",
    "--subject",
    "France",
    "--prompt",
    "The capital of {} is",
    "--target",
    "Rome",
    "--target-true",
    "Paris",
    *SETTINGS,
)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama as a model folder."""
    import torch
    from tiny import save_tiny

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_tiny("llama", folder)
    return folder


@pytest.fixture(scope="session")
def edited(tiny_folder: Path, cache_of_this_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of that model with one edit; copied for each test."""
    from kedit_lifecycle.facts.request import make_request
    from kedit_lifecycle.workbench import Workbench

    path = tmp_path_factory.mktemp("stores") / "edited"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEDIT_CACHE", str(cache_of_this_run))
        with Workbench.create(path, model=str(tiny_folder), accept_unsound=True) as workbench:
            workbench.edit(make_request(**FACT), config={"layer": 1, "steps": 2})
    return path


@pytest.fixture
def edited_store(edited: Path, tmp_path: Path) -> Path:
    """A copy that a test may write to."""
    return Path(shutil.copytree(edited, tmp_path / "copy"))


def _counts(store: Path) -> dict[str, int]:
    with LedgerReader(store) as reader:
        return reader.counts()


def _facts(folder: Path, *targets: str) -> Path:
    path = folder / "facts.jsonl"
    path.write_text("".join(json.dumps({**FACT, "target_new": target}) + "\n" for target in targets))
    return path


def test_init_makes_a_store_once(kedit: Kedit, tiny_folder: Path, tmp_path: Path) -> None:
    made = kedit("init", "--model", tiny_folder, "--accept-unsound", "--store", tmp_path / "new", "--json")
    assert made.code == 0
    assert made.json["head"]["number"] == 0
    assert made.json["meta"]["architecture"] == "llama"
    again = kedit("init", "--model", tiny_folder, "--accept-unsound", "--store", tmp_path / "new")
    assert again.code == 1
    assert "already" in again.err


def test_a_model_that_is_not_there_makes_no_store(kedit: Kedit, tmp_path: Path) -> None:
    ran = kedit("init", "--model", tmp_path / "nothing", "--store", tmp_path / "new")
    assert ran.code == 5
    assert not (tmp_path / "new").exists()


def test_models(kedit: Kedit, tiny_folder: Path) -> None:
    assert "smollm2-135m" in kedit("models", "list").out
    assert kedit("models", "list", "--json").json[0]["name"] == "smollm2-135m"
    checked = kedit("models", "check", tiny_folder, "--json")
    assert checked.json["verdict"] in ("pass", "warn", "fail")
    assert checked.code == (5 if checked.json["verdict"] == "fail" else 0)


def test_edit_commits_one_version_and_says_what_changed(kedit: Kedit, edited_store: Path) -> None:
    ran = kedit(*EDIT, "-m", "a reason", "--store", edited_store)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("version 2 (")
    assert "The capital of France is" in ran.out
    assert "ES efficacy" in ran.out
    with LedgerReader(edited_store) as reader:
        head, event = reader.head(), reader.events(limit=1)[0]
    assert (head.number, head.message, head.author) == (2, "a reason", "Grace")
    assert head.config["steps"] == 2
    assert event.command.startswith("kedit edit --subject France")


def test_a_dry_run_writes_nothing(kedit: Kedit, edited_store: Path) -> None:
    before = _counts(edited_store)
    shown = kedit(*EDIT, "--dry-run", "--json", "--readonly", "--store", edited_store)
    assert shown.code == 0, shown.err
    assert shown.json["version"] is None
    assert shown.json["metrics"]["efficacy"]["protocol"]
    assert _counts(edited_store) == before


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ("--subject", "Spain", "--prompt", "The capital of France is", "--target", "x"),
            "not in the prompt",
        ),
        (("--subject", "a", "--prompt", "{} is", "--target", " "), "target_new is empty"),
        (("--subject", "a", "--prompt", "{} is", "--target", "b", "--set", "nonsense=1"), "nonsense"),
        (("--subject", "a", "--prompt", "{} is", "--target", "b", "--set", "layer"), "not NAME=VALUE"),
        (("--subject", "a", "--prompt", "{} is", "--target", "b", "--config", "none.yaml"), "none.yaml"),
        (("--subject", "a", "--prompt", "{} is", "--target", "b", "--method", "magic"), "magic"),
    ],
)
def test_a_wrong_edit_changes_nothing(
    kedit: Kedit, edited_store: Path, arguments: tuple[str, ...], problem: str
) -> None:
    before = _counts(edited_store)
    ran = kedit("edit", *arguments, "--store", edited_store)
    assert ran.code == 2
    assert problem in ran.err
    assert _counts(edited_store) == before


def test_a_config_file_and_settings_over_it(kedit: Kedit, edited_store: Path, tmp_path: Path) -> None:
    config = tmp_path / "rome.yaml"
    config.write_text("layer: 1\nsteps: 5\nkl_factor: 0.5\n")
    ran = kedit(*EDIT, "--config", config, "--json", "--store", edited_store)
    assert ran.code == 0, ran.err
    assert ran.json["version"]["config"]["steps"] == 2
    assert ran.json["version"]["config"]["kl_factor"] == 0.5


def test_apply_commits_a_version_for_each_request(kedit: Kedit, edited_store: Path, tmp_path: Path) -> None:
    facts = _facts(tmp_path, "Rome", "Tokyo", "London")
    ran = kedit("apply", facts, *SETTINGS, "--policy", "observe", "--store", edited_store)
    assert ran.code == 0, ran.err
    assert [line.split()[0] for line in ran.out.splitlines()[:3]] == ["2", "3", "4"]
    assert "3 versions committed" in ran.out
    assert not [line for line in ran.out.splitlines() if len(line) > 80]


def test_apply_in_batches_is_refused_or_done_by_the_editor(
    kedit: Kedit, edited_store: Path, tmp_path: Path
) -> None:
    ran = kedit(
        "apply", _facts(tmp_path, "Rome", "Tokyo"), "--batch", 2, *SETTINGS, "--json", "--store", edited_store
    )
    if ran.code == 0:
        assert len(ran.json["committed"]) == 1
    else:
        assert ran.code in (1, 2)
        assert _counts(edited_store)["version"] == 2


def test_a_malformed_record_stops_apply_before_anything_is_changed(
    kedit: Kedit, edited_store: Path, tmp_path: Path
) -> None:
    facts = _facts(tmp_path, "Rome", "Tokyo")
    facts.write_text(facts.read_text() + '{"subject": "x"}\n' + json.dumps(FACT) + "\n")
    before = _counts(edited_store)
    ran = kedit("apply", facts, *SETTINGS, "--store", edited_store)
    assert ran.code == 2
    assert "line 3 (record 3): prompt: missing" in ran.err
    assert "--keep-going" in ran.err
    assert _counts(edited_store) == before
    kept = kedit("apply", facts, *SETTINGS, "--keep-going", "--limit", 1, "--store", edited_store)
    assert kept.code == 0
    assert "passed over" in kept.err
    assert "1 versions committed, 1 records passed over" in kept.out


def test_a_planned_apply_needs_no_model_and_no_store(kedit: Kedit, tmp_path: Path) -> None:
    shown = kedit("apply", _facts(tmp_path, "Rome", "Tokyo", "Oslo"), "--batch", 2, "--dry-run", "--json")
    assert shown.json["versions"] == 2
    assert len(shown.json["requests"]) == 3


def test_an_interrupted_apply_goes_on_with_the_same_ids(
    kedit: Kedit, edited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kedit_lifecycle.cli.apply import Follower

    whole, cut = (Path(shutil.copytree(edited, tmp_path / name)) for name in ("whole", "cut"))
    monkeypatch.setenv("KEDIT_POLICY", "observe")  # its facts contradict each other
    facts = _facts(tmp_path, "Rome", "Tokyo", "London")
    assert kedit("apply", facts, *SETTINGS, "--store", whole).code == 0
    follow = Follower.__call__

    def interrupted(self: Follower, outcome: Any) -> None:
        follow(self, outcome)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Follower, "__call__", interrupted)
        ran = kedit("apply", facts, *SETTINGS, "--store", cut)
    assert ran.code == 130
    assert "version 2" in ran.err
    assert ran.err.rstrip().endswith("--resume")
    on = kedit("apply", facts, *SETTINGS, "--resume", "--json", "--store", cut)
    assert on.code == 0, on.err
    assert on.json["already_done"] == 1
    ids = [[one["id"] for one in kedit("log", "--json", "--store", path).json] for path in (whole, cut)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 5


def test_ask_compares_versions(kedit: Kedit, edited_store: Path) -> None:
    ran = kedit(
        "ask",
        "The capital of France is",
        "--compare",
        0,
        "--max-tokens",
        3,
        "--json",
        "--store",
        edited_store,
    )
    assert [one["version"] for one in ran.json] == [1, 0]
    assert all(len(one["top"]) == 5 for one in ran.json)
    assert ran.json[0]["top"] != ran.json[1]["top"]
    text = kedit(
        "ask", "The capital of France is", "--compare", 0, "--max-tokens", 3, "--store", edited_store
    ).out
    assert "version 1: The capital of France is" in text
    assert all(unprintable not in text for unprintable in "\x1b\x00\x07")
    sampled = [
        kedit("ask", "France", "--sample", "--seed", 3, "--top", 0, "--store", edited_store).out
        for _ in range(2)
    ]
    assert sampled[0] == sampled[1]
    assert kedit("ask", " ", "--store", edited_store).code == 2
    assert kedit("ask", "x", "--at", "none", "--store", edited_store).code == 2


def test_eval_adds_measures_to_the_ledger_unless_told_not_to(kedit: Kedit, edited_store: Path) -> None:
    before = _counts(edited_store)
    for quiet in (["--no-record"], ["--readonly"]):
        shown = kedit("eval", *quiet, "--json", "--store", edited_store)
        assert shown.code == 0, shown.err
        assert shown.json["requests"][0]["made_by"] == 1
        assert _counts(edited_store) == before
    made = kedit("show", "--json", "--store", edited_store).json["metrics"]
    then = [one["value"] for one in made if one["metric"] == "efficacy" and one["evaluated"] == 1]
    assert shown.json["when_made"]["efficacy"] == then[0]
    out = kedit("eval", "--each", "--at", "0", "--store", edited_store).out
    assert "when made" in out
    assert "France → Rome" in out
    assert _counts(edited_store)["metric"] > before["metric"]
    assert "at 0" not in kedit("show", 1, "--store", edited_store).out  # 0 is the column "unedited"


def test_eval_of_a_file_writes_nothing(kedit: Kedit, edited_store: Path, tmp_path: Path) -> None:
    before = _counts(edited_store)
    ran = kedit("eval", _facts(tmp_path, "Rome", "Tokyo"), "--json", "--store", edited_store)
    assert ran.code == 0, ran.err
    assert [one["made_by"] for one in ran.json["requests"]] == [None, None]
    assert _counts(edited_store) == before


def test_a_rollback_rebuilds_the_version_first(kedit: Kedit, edited_store: Path) -> None:
    assert kedit(*EDIT, "--store", edited_store).code == 0
    ran = kedit("rollback", 1, "--store", edited_store)
    assert ran.code == 0, ran.err
    assert "rebuilt: 1 edited tensors" in ran.err
    with LedgerReader(edited_store) as reader:
        assert reader.head().number == 1
        (left,) = {update.left for update in reader.updates(2)} - {
            update.left for update in reader.updates(1)
        }
    blob = next(
        path
        for path in (edited_store / "blobs").glob("??/*")
        if left.startswith(path.parent.name + path.stem[:8])
    )
    blob.unlink()
    broken = kedit("rollback", 2, "--store", edited_store)
    assert broken.code == 3
    with LedgerReader(edited_store) as reader:
        assert reader.head().number == 1


def test_verify_can_rebuild_every_version(kedit: Kedit, edited_store: Path) -> None:
    ran = kedit("verify", "--replay", "--json", "--store", edited_store)
    assert ran.code == 0, ran.err
    assert ran.json["rebuilt"] is True
    assert not [one for one in ran.json["findings"] if one["severity"] == "damage"]


def test_stats(kedit: Kedit, edited_store: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The river runs through the city. " * 200)
    built = kedit(
        "stats",
        "build",
        "--layers",
        "0,2",
        "--tokens",
        500,
        "--text",
        text,
        "--json",
        "--store",
        edited_store,
    )
    assert built.code == 0, built.err
    assert [one["recipe"]["layer"] for one in built.json] == [0, 2]
    listed = kedit("stats", "list", "--json", "--store", edited_store).json
    assert {one["digest"] for one in built.json}.issubset({one["digest"] for one in listed})
    rows = [row.split() for row in kedit("stats", "list", "--store", edited_store).out.splitlines()]
    layers = [int(row[1]) for row in rows if row[0] == "second-moment"]
    assert set(layers) >= {0, 2}
    assert layers == sorted(layers)
    assert kedit("stats", "build", "--layers", "x", "--store", edited_store).code == 2
    assert kedit("stats", "build", "--layers", "99", "--store", edited_store).code == 2


def test_the_demo_from_end_to_end_on_a_tiny_model(kedit: Kedit, tiny_folder: Path, tmp_path: Path) -> None:
    ran = kedit("demo", "--model", tiny_folder, "--facts", 4)
    assert ran.code == 0, ran.err
    assert (tmp_path / "store" / "demo" / "ledger.db").exists()
    assert not [line for line in ran.out.splitlines() if len(line) > 80 and not line.startswith("  kedit")]
    assert "1 of 1 edited tensors" in ran.out
    assert "  sound" in ran.out
    with LedgerReader(tmp_path / "store" / "demo") as reader:
        assert reader.head().number == 2
        assert reader.counts()["version"] == 5
    again = kedit("demo", "--model", tiny_folder, "--facts", 2, "--json")
    assert again.json["store"] == str(Path("store/demo-2"))
    assert again.json["rollback"]["to"] == 1
