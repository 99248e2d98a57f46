"""`log`, `show`, `diff`, `status`, `verify` and the moves, on stores without a model."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from small_store import META, WHO, commit_edits, edit, request

from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import MetricDraft, VersionRow
from kedit_lifecycle.ledger.store import Store

if TYPE_CHECKING:
    from cli.conftest import Kedit

HOSTILE = "\x1b[2J[red]\u202e\nDROP"


def _head(store: Path) -> VersionRow:
    with LedgerReader(store) as reader:
        return reader.head()


# --- log ----------------------------------------------------------------------------------------


def test_log_lists_versions_newest_first(kedit: Kedit, store: Path) -> None:
    lines = kedit("log", "--store", store).out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["3", "2", "1", "0"]
    assert "[HEAD, main] Peru: Paris → Rome" in lines[1]
    assert "Spain: Paris → Rome · because Spain" in lines[2]
    assert all(len(line) <= 80 for line in lines)


def test_log_as_json_has_whole_versions(kedit: Kedit, store: Path) -> None:
    found = kedit("log", "HEAD~1", "--json", "--store", store).json
    assert [one["number"] for one in found] == [2, 1, 0]
    assert found[0]["requests"][0]["subject"] == "Spain"
    assert found[0]["tensors"]["mlp.weight"]["served"]
    assert found[0]["refs"] == []


def test_log_in_pages_is_the_whole_log(kedit: Kedit, store: Path) -> None:
    first = kedit("log", "-n", "2", "--store", store).out.splitlines()
    assert first[-1].startswith("… more: kedit log HEAD --before-depth 2")
    rest = kedit("log", "-n", "2", "--before-depth", "2", "--store", store).out.splitlines()
    whole = kedit("log", "--store", store).out.splitlines()
    assert [line.split()[0] for line in first[1:-1] + rest[1:]] == [line.split()[0] for line in whole[1:]]


def test_log_events_names_author_and_command(kedit: Kedit, rich_store: Path) -> None:
    found = kedit("log", "--events", "--json", "--store", rich_store).json
    assert found[-1]["kind"] == "create"
    assert {one["author"] for one in found} == {"Ada"}
    table = kedit("log", "--events", "-n", "100", "--store", rich_store).out
    assert len(table.splitlines()) == len(found) + 1
    assert "kedit edit" in table


def test_text_from_facts_is_never_obeyed(kedit: Kedit, tmp_path: Path) -> None:
    path = tmp_path / "hostile"
    with Store.create(path, {**META, "model_name": HOSTILE}, **WHO) as store:
        facts = [request(HOSTILE, HOSTILE)]
        store.commit(edit(store.blobs, store.reader.head().id, "x", requests=facts, message=HOSTILE), **WHO)
    for command in (["log"], ["show"], ["diff"], ["status"], ["log", "--events"], ["verify"]):
        shown = kedit(*command, "--store", path)
        assert shown.code == 0
        assert "\x1b" not in shown.out
        assert "\u202e" not in shown.out
        assert "\nDROP" not in shown.out
    assert kedit("log", "--json", "--store", path).json[0]["message"] == HOSTILE
    assert r"\x1b[2J[red]\u202e\nDROP" in kedit("show", "--store", path).out


@pytest.mark.parametrize("ref", ["nope", "HEAD~9", "999", "deadbeef", ""])
def test_a_ref_that_is_none(kedit: Kedit, store: Path, ref: str) -> None:
    ran = kedit("show", ref, "--store", store)
    assert ran.code == 2
    assert ran.err.startswith("kedit: ")
    assert ran.out == ""


# --- show ---------------------------------------------------------------------------------------


def test_show_has_everything_about_a_version(kedit: Kedit, rich_store: Path) -> None:
    out = kedit("show", "1", "--store", rich_store).out
    head = _version(rich_store, 1)
    for text in (head.id, "because France", "run-1, 1 of 9", "France: Paris → Rome", "mlp.weight", "rank 1"):
        assert text in out
    assert "at 4" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def _version(store: Path, number: int) -> VersionRow:
    with LedgerReader(store) as reader:
        return reader.version(number)


def test_show_as_json(kedit: Kedit, rich_store: Path) -> None:
    shown = kedit("show", "good", "--json", "--store", rich_store).json
    assert shown["number"] == 2
    assert shown["refs"] == ["tag good", "main"]
    assert shown["updates"][0]["tensor"] == "mlp.weight"
    assert shown["answers"][0]["completion"] == " Rome"
    assert shown["checkpoint"]["mlp.weight"]
    assert shown["children"] == [3, 4]
    assert shown["diagnostics"]["seconds"] == 1.5


def test_show_gives_means_over_requests_and_a_score_of_the_means(kedit: Kedit, tmp_path: Path) -> None:
    values = {
        "efficacy": (1.0, 0.0),
        "paraphrase": (1.0, 0.5),
        "neighborhood": (0.5, 0.5),
        "score": (1.0, 0.0),
    }
    metrics = [
        MetricDraft(name, "p@1", "teacher-forced", value, 1, place)
        for name, both in values.items()
        for place, value in enumerate(both)
    ]
    facts = [request("France", "Rome"), request("Spain", "Oslo")]
    path = tmp_path / "batch"
    with Store.create(path, META, **WHO) as store:
        root = store.reader.head().id
        store.commit(edit(store.blobs, root, "x", requests=facts, metrics=metrics), **WHO)
    out = kedit("show", "--store", path).out
    rows = {line.split()[1]: line.split() for line in out.splitlines() if "p@1" in line}
    assert rows["efficacy"][-2] == "0.500"
    assert rows["paraphrase"][-2] == "0.750"
    assert rows["score"][-2] == f"{3 / (1 / 0.5 + 1 / 0.75 + 1 / 0.5):.3f}"


# --- diff ---------------------------------------------------------------------------------------


def test_diff_is_head_against_the_one_before(kedit: Kedit, store: Path) -> None:
    out = kedit("diff", "--store", store).out
    assert "+ Peru: Paris → Rome  (version 3)" in out
    assert "Spain" not in out
    assert "~ mlp.weight" in out


def test_diff_between_branches_names_both_sides(kedit: Kedit, store: Path) -> None:
    with Store.open(store) as opened:
        opened.move("1", kind="rollback", **WHO)
        commit_edits(opened, ["Chad"])
    shown = kedit("diff", "3", "HEAD", "--json", "--store", store).json
    assert shown["common"]["number"] == 1
    assert [one["version"] for one in shown["only_from"]] == [2, 3]
    assert [one["request"]["subject"] for one in shown["only_to"]] == ["Chad"]
    text = kedit("diff", "3", "HEAD", "--store", store).out
    assert "they part after version 1" in text
    assert [line[0] for line in text.splitlines()[2:]] == ["-", "-", "+", "~"]


def test_diff_of_the_same_version(kedit: Kedit, store: Path) -> None:
    assert "no difference" in kedit("diff", "2", "v2", "--store", store).out
    assert (
        kedit("diff", "0", "1", "--store", store).out.splitlines()[-1].startswith("~ mlp.weight  unedited →")
    )


# --- status, verify -----------------------------------------------------------------------------


def test_status(kedit: Kedit, store: Path) -> None:
    out = kedit("status", "--store", store).out
    assert "version 3" in out
    assert "on main" in out
    assert "tiny (llama, float32)" in out
    shown = kedit("status", "--json", "--store", store).json
    assert (shown["branch"], shown["head"]["number"], shown["counts"]["version"]) == ("main", 3, 4)


@pytest.mark.parametrize("level", [[], ["--quick"], ["--deep"]])
def test_a_sound_store_verifies(kedit: Kedit, rich_store: Path, level: list[str]) -> None:
    ran = kedit("verify", *level, "--store", rich_store)
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "sound"
    assert "proven" in ran.out
    assert "not shown" in ran.out


def test_damage_is_named_and_the_code_is_three(kedit: Kedit, store: Path) -> None:
    with sqlite3.connect(store / "ledger.db") as connection:
        connection.execute("UPDATE edit_request SET target_new = 'Oslo' WHERE version = 2")
    ran = kedit("verify", "--store", store)
    assert ran.code == 3
    assert "damage: " in ran.out
    assert "edit_request" in ran.out
    assert ran.out.splitlines()[-1] == "damaged"
    assert "edit_request" in ran.err
    shown = kedit("verify", "--json", "--store", store)
    assert shown.code == 3
    assert any(one["severity"] == "damage" for one in shown.json["findings"])


def test_a_damaged_blob_is_found_by_deep(kedit: Kedit, store: Path) -> None:
    blob = next((store / "blobs").glob("??/*"))
    blob.chmod(0o600)
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(bytes(content))
    assert kedit("verify", "--store", store).code == 0
    assert kedit("verify", "--deep", "--store", store).code == 3


def test_the_anchor_of_one_day_is_known_the_next(kedit: Kedit, store: Path) -> None:
    anchor = kedit("verify", "--json", "--store", store).json["head_hash"]
    assert kedit("tag", "x", "--store", store).code == 0
    assert kedit("verify", "--anchor", anchor, "--store", store).code == 0
    assert kedit("verify", "--anchor", "0" * 64, "--store", store).code == 3


def test_quick_and_deep_cannot_go_together(kedit: Kedit, store: Path) -> None:
    assert kedit("verify", "--quick", "--deep", "--store", store).code == 2


# --- moves --------------------------------------------------------------------------------------


def test_undo_and_redo(kedit: Kedit, store: Path) -> None:
    assert kedit("undo", "--store", store).out.startswith("HEAD is at version 2 ")
    assert _head(store).number == 2
    assert kedit("redo", "--store", store, "--json").json["number"] == 3
    assert _head(store).number == 3
    refused = kedit("redo", "--store", store)
    assert refused.code == 1
    assert "nothing to redo" in refused.err


def test_a_rollback_leaves_versions_behind_and_undo_brings_them_back(kedit: Kedit, store: Path) -> None:
    planned = kedit("rollback", "1", "--dry-run", "--store", store)
    assert "would go to version 1" in planned.out
    assert _head(store).number == 3
    done = kedit("rollback", "HEAD~2", "--no-check", "-m", "too far", "--store", store, "--json").json
    assert (done["number"], done["left_behind"]) == (1, [2, 3])
    assert _head(store).number == 1
    event = kedit("log", "--events", "--json", "--store", store).json[0]
    assert event["kind"] == "rollback"
    assert event["author"] == "Grace"
    assert event["command"].startswith("kedit rollback")
    assert event["payload"]["message"] == "too far"
    assert kedit("undo", "--store", store).code == 0
    assert _head(store).number == 3


def test_a_rollback_to_where_we_are_is_refused(kedit: Kedit, store: Path) -> None:
    assert kedit("rollback", "HEAD", "--no-check", "--store", store).code == 1


def test_a_question_on_a_terminal_can_be_answered_no(
    kedit: Kedit, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.confirm", lambda *_arguments, **_options: False)
    monkeypatch.setattr("kedit_lifecycle.cli.session._on_terminal", lambda: True)
    assert kedit("rollback", "1", "--no-check", "--store", store).code == 1
    assert _head(store).number == 3
    assert kedit("rollback", "1", "--no-check", "--yes", "--store", store).code == 0
    assert _head(store).number == 1


def test_branches_and_tags(kedit: Kedit, store: Path) -> None:
    assert kedit("branch", "try", "HEAD~1", "--store", store).code == 0
    assert "on try" in kedit("switch", "try", "--store", store).out
    assert _head(store).number == 2
    listed = kedit("branch", "--json", "--store", store).json
    assert [(one["name"], one["number"], one["head"]) for one in listed] == [
        ("main", 3, False),
        ("try", 2, True),
    ]
    assert "*  try" in kedit("branch", "--store", store).out
    assert kedit("tag", "--store", store).out == ""
    assert kedit("tag", "v1.0", "main", "--store", store).code == 0
    assert kedit("tag", "--json", "--store", store).json == [
        {"name": "v1.0", "number": 3, "id": listed[0]["id"], "head": False}
    ]
    assert "on no branch" in kedit("switch", "v1.0", "--store", store).out
    assert kedit("tag", "v1.0", "--store", store).code == 1
    assert kedit("tag", "a b", "--store", store).code == 2


def test_a_locked_store_is_code_four(kedit: Kedit, store: Path) -> None:
    with Store.open(store) as holder, holder.writing():
        ran = kedit("undo", "--store", store)
        assert ran.code == 4
        assert "is being written to by" in ran.err
        assert kedit("log", "--store", store).code == 0


def test_json_of_every_reading_command_is_json(kedit: Kedit, rich_store: Path) -> None:
    for command in (["log"], ["log", "--events"], ["show", "2"], ["diff", "1", "3"], ["status"], ["verify"]):
        ran = kedit(*command, "--json", "--store", rich_store)
        assert ran.out.isascii()
        json.loads(ran.out)
