"""Making, opening and writing a store."""

from __future__ import annotations

import dataclasses
import math
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_store import META, WHO, commit_edits, edit, make_rich_store, tensor

from kedit_lifecycle.errors import (
    BlobMissingError,
    NoStoreError,
    NoSuchRefError,
    RefusedError,
    StoreError,
    StoreLockedError,
    StoreVersionError,
    UsageError,
)
from kedit_lifecycle.ledger.records import AnswerDraft, MetricDraft, TensorState
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.verify import verify

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store", META, **WHO)


def test_a_new_store_holds_the_root(store: Store) -> None:
    assert {path.name for path in store.path.iterdir()} >= {"ledger.db", "blobs", "memory", "stats", "runs"}
    root = store.reader.head()
    assert (root.number, root.parent, root.depth, root.operation, root.tensors) == (0, None, 0, "root", {})
    assert root.config == {name: META[name] for name in ("architecture", "base_digest", "dtype")}
    assert store.reader.head_ref() == ("main", root.id)
    assert META.items() <= store.meta.items()
    assert store.meta["format_version"] == "1"
    assert (root.author, root.time[-1]) == ("Ada", "Z")


def test_stores_of_one_model_share_the_root_and_all_later_ids(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        with Store.create(tmp_path / name, META, author=name, command=name) as store:
            ids.append([version.id for version in commit_edits(store, ["France", "Peru"], rich=True)])
            assert store.meta["store_id"]
    assert ids[0] == ids[1]
    with Store.create(tmp_path / "other", META | {"base_digest": "c" * 64}, **WHO) as other:
        assert other.reader.head().id != Store.open(tmp_path / "one").reader.version(0).id


def test_a_folder_with_other_files_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "README.md").write_text("about")
    (folder / ".gitignore").write_text("*")
    Store.create(folder, META, **WHO).close()
    assert (folder / "README.md").read_text() == "about"


def test_a_second_store_in_a_folder_is_refused(store: Store) -> None:
    head = store.reader.events(1)
    store.close()
    with pytest.raises(RefusedError, match="already"):
        Store.create(store.path, META, **WHO)
    with Store.open(store.path) as opened:
        assert opened.reader.events(1) == head


def test_blobs_without_a_ledger_are_not_built_upon(store: Store) -> None:
    commit_edits(store, ["France"])
    store.close()
    for path in store.path.glob("ledger.db*"):
        path.unlink()
    with pytest.raises(RefusedError, match=r"ledger\.db is missing"):
        Store.create(store.path, META, **WHO)


def test_opening_nothing_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoStoreError, match="no store") as caught:
        Store.open(tmp_path / "nowhere")
    assert "kedit init" in caught.value.hint
    (tmp_path / ".kedit-unfinished-abc").mkdir()
    with pytest.raises(NoStoreError, match="interrupted"):
        Store.open(tmp_path)
    Store.create(tmp_path, META, **WHO).close()
    assert not (tmp_path / ".kedit-unfinished-abc").exists()


def test_everything_committed_is_read_back(store: Store) -> None:
    draft = edit(store.blobs, store.reader.head().id, "France", rich=True)
    version = store.commit(draft, **WHO)
    assert (version.number, version.parent, version.depth) == (1, draft.parent, 1)
    for name in ("operation", "editor", "message", "seed", "config", "tensors", "memory", "run"):
        assert getattr(version, name) == getattr(draft, name)
    assert version.diagnostics == {"seconds": 1.5, "losses": [3, "NaN"]}
    with Store.open(store.path) as other:
        reader = other.reader
        assert reader.head() == version
        assert reader.requests(1) == list(draft.requests)
        assert reader.updates(1) == list(draft.updates)
        assert reader.checkpoint(1) == draft.checkpoint
        assert reader.metrics(1) == [dataclasses.replace(m, evaluated=1) for m in draft.metrics]
        assert reader.answers(1) == [dataclasses.replace(a, evaluated=1) for a in draft.answers]
        assert reader.run_versions("run-1") == [version]
        (event,) = reader.events(1)
    assert (event.kind, event.author, event.command) == ("commit", "Ada", "kedit edit")
    assert event.payload["version"] == version.id


def test_numbers_that_are_not_finite_come_back(store: Store) -> None:
    values = [math.inf, -math.inf, math.nan, -0.0, 5e-324]
    metrics = [MetricDraft("PPL", "p", "s", value, 1) for value in values]
    store.commit(edit(store.blobs, store.reader.head().id, "x", metrics=metrics), **WHO)
    back = [metric.value for metric in store.reader.metrics(1)]
    assert back[:2] == values[:2]
    assert math.isnan(back[2])
    assert back[3:] == [0.0, 5e-324]
    assert verify(store.path).findings == []


def test_a_draft_on_another_version_is_refused(store: Store) -> None:
    root = store.reader.head().id
    commit_edits(store, ["France"])
    with pytest.raises(RefusedError, match="HEAD is at"):
        store.commit(edit(store.blobs, root, "Peru"), **WHO)
    assert store.reader.counts()["version"] == 2


def test_blobs_must_be_there_before_the_row(store: Store) -> None:
    draft = edit(store.blobs, store.reader.head().id, "France")
    store.blobs.path(draft.updates[0].left).unlink()
    with pytest.raises(BlobMissingError):
        store.commit(draft, **WHO)
    with pytest.raises(BlobMissingError):
        store.record("stats", {"blobs": [tensor(77).fingerprint]}, **WHO)
    assert store.reader.counts()["event"] == 1


def test_a_checkpoint_must_be_the_tensor(store: Store) -> None:
    wrong = store.blobs.put(tensor(5))
    draft = edit(store.blobs, store.reader.head().id, "France", checkpoint={"mlp.weight": wrong})
    with pytest.raises(UsageError, match="the checkpoint of mlp"):
        store.commit(draft, **WHO)


@pytest.mark.parametrize(
    "changes", [{"config": {"lr": math.nan}}, {"message": "\ud800"}, {"seed": 2**60}, {"operation": None}]
)
def test_a_draft_that_cannot_be_kept_changes_nothing(store: Store, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        store.commit(edit(store.blobs, store.reader.head().id, "France", **changes), **WHO)
    assert store.reader.counts()["event"] == 1
    commit_edits(store, ["France"])


def test_the_same_edit_after_an_undo_is_the_same_version(store: Store) -> None:
    first, second = commit_edits(store, ["France", "Spain"], rich=True)
    store.undo(**WHO)
    assert commit_edits(store, ["Spain"], rich=True) == [second]
    (event,) = store.reader.events(1)
    assert event.payload["existing"] is True
    assert store.reader.counts()["version"] == 3
    assert store.undo(**WHO) == first
    assert verify(store.path, "deep").findings == []


def test_hostile_text_is_data(store: Store) -> None:
    text = "'; DROP TABLE version; -- \x00\x1b[31m\u202e🙂 {} %s\n"
    draft = edit(store.blobs, store.reader.head().id, text, message=text, config={text: text})
    version = store.commit(draft, author=text, command=text)
    assert (version.message, version.config, version.author) == (text, {text: text}, text)
    assert store.reader.requests(1)[0].subject == text
    assert store.reader.request_history(text)[0][0] == version
    assert verify(store.path, "deep").findings == []


def test_later_measurements_are_added(store: Store) -> None:
    commit_edits(store, ["France", "Spain"], rich=True)
    later = [
        MetricDraft("ES", "cf-1", "generated", 0.0, 1, 0, 2),
        MetricDraft("NS", "cf-1", "generated", 0.5, 9),
    ]
    said = [AnswerDraft(0, "p", " Paris", 0.1, 2)]
    event = store.add_metrics(1, later, said, payload={"why": "retention"}, **WHO)
    assert (event.kind, event.payload["number"], event.payload["why"]) == ("eval", 1, "retention")
    assert store.reader.metrics(1, evaluated=2) == [later[0]]
    assert len(store.reader.metrics(1)) == 4
    assert store.reader.answers(1, evaluated=2) == said
    for number, metrics in ((9, later), (1, [dataclasses.replace(later[0], evaluated=9)])):
        with pytest.raises(NoSuchRefError, match="version 9"):
            store.add_metrics(number, metrics, **WHO)
    with pytest.raises(UsageError):
        store.add_metrics(1, [], **WHO)


def test_records_cannot_pass_for_the_ledgers_own(store: Store) -> None:
    event = store.record("attempt-rejected", {"loss": math.nan}, **WHO)
    assert event.payload["loss"] == "NaN"
    for kind, payload in (("commit", {}), ("", {}), ("note", {"moves": []}), ("note", {"undo_top": 3})):
        with pytest.raises(UsageError):
            store.record(kind, payload, **WHO)
    for field in ("schema", "revision"):
        with pytest.raises(UsageError):
            store.record("note", {field: "x"}, **WHO)
    assert store.reader.events(1) == [event]


def test_read_only_writes_nothing(store: Store) -> None:
    with Store.open(store.path, readonly=True) as opened:
        with pytest.raises(RefusedError, match="read-only"):
            opened.record("note", {}, **WHO)
        with pytest.raises(RefusedError, match="read-only"), opened.writing():
            pass
        assert opened.reader.head().number == 0


def test_one_writer_at_a_time(store: Store) -> None:
    with store.writing(), store.writing():
        with Store.open(store.path) as other:
            with pytest.raises(StoreLockedError, match=f"process {os.getpid()} .* since 20") as caught:
                other.record("note", {}, **WHO)
            assert caught.value.exit_code == 4
            assert other.reader.head().number == 0
        store.record("note", {}, **WHO)
    with Store.open(store.path) as other:
        other.record("note", {}, **WHO)
        with pytest.raises(StoreLockedError):
            store.record("note", {}, **WHO)
    store.record("note", {}, **WHO)
    assert store.reader.counts()["event"] == 4


def test_another_process_sees_the_lock_and_each_commit(store: Store) -> None:
    code = (
        "import sys\nfrom kedit_lifecycle.ledger.store import Store\n"
        "store = Store.open(sys.argv[1])\nprint(store.reader.head().number)\n"
        "try:\n    store.undo(author='', command='')\n"
        "except Exception as error:\n    print(type(error).__name__)"
    )
    commit_edits(store, ["France"])
    run = subprocess.run([sys.executable, "-c", code, store.path], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "StoreLockedError"]


def test_a_newer_release_is_recognised_and_left_alone(store: Store) -> None:
    store.close()
    ledger = store.path / "ledger.db"
    connection = sqlite3.connect(ledger)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    before = ledger.read_bytes()
    with pytest.raises(StoreVersionError, match="newer release"):
        Store.open(store.path)
    assert ledger.read_bytes() == before


def test_a_damaged_ledger_is_named(store: Store) -> None:
    store.close()
    (store.path / "ledger.db").write_bytes(b"\0" * 5000)
    with pytest.raises(StoreError) as caught:
        Store.open(store.path)
    assert caught.value.exit_code == 3


def test_text_that_is_not_utf8_is_an_error_of_ours(tmp_path: Path) -> None:
    path = make_rich_store(tmp_path / "store")
    connection = sqlite3.connect(path / "ledger.db")
    connection.execute("UPDATE version SET message = CAST(x'ff' AS TEXT), config = '{' WHERE number = 1")
    connection.execute("UPDATE version SET tensors = '[1]' WHERE number = 2")
    connection.commit()
    connection.close()
    with Store.open(path) as store:
        for number in (1, 2):
            with pytest.raises(StoreError, match="cannot be read"):
                store.reader.version(number)


def test_meta_and_state_types(store: Store) -> None:
    assert store.meta == store.reader.meta()
    (version,) = commit_edits(store, ["France"])
    assert all(isinstance(state, TensorState) for state in version.tensors.values())
