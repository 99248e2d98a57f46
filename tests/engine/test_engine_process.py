"""An engine's process: its socket, its note, the lock it holds, and how it ends."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from engine_process import (
    PATIENCE,
    CopyStore,
    EngineProcess,
    answering,
    done,
    engine_on,
    eventually,
    fact,
    spawn,
    until,
)

from kedit_lifecycle.engine.client import EngineClient
from kedit_lifecycle.engine.place import read_note, runtime_folder, socket_path
from kedit_lifecycle.engine.process import start_engine
from kedit_lifecycle.errors import EngineGoneError, KeditError, StoreLockedError
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.verify import verify

pytestmark = pytest.mark.engine


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_we_may_knock(shared: EngineProcess, client: EngineClient) -> None:
    found = client.info()
    note = read_note(shared.store)
    assert note is not None
    assert (found.pid, note.pid) == (shared.process.pid, shared.process.pid)
    assert Path(found.store).resolve() == shared.store.resolve()
    assert mode(socket_path(shared.store)) == 0o600
    assert mode(runtime_folder()) == 0o700
    assert mode(shared.store / "engine.json") == 0o600


def test_it_holds_the_lock(shared: EngineProcess) -> None:
    with Store.open(shared.store) as store, pytest.raises(StoreLockedError), store.writing():
        pass


def test_a_second_one_is_refused_and_the_first_goes_on(shared: EngineProcess, client: EngineClient) -> None:
    assert spawn(shared.store).process.wait(PATIENCE) == 4
    assert client.info().pid == shared.process.pid


def test_a_store_that_another_process_writes_to_is_said(store: Path) -> None:
    with Store.open(store) as other, other.writing():
        with pytest.raises(KeditError, match="being written to by process") as refused:
            start_engine(store)
        assert refused.value.exit_code == 4
    assert read_note(store) is None


def test_it_ends_on_a_signal_and_leaves_nothing(store: Path) -> None:
    engine = answering(spawn(store))
    assert socket_path(store).exists()
    assert engine.end() == 0
    assert not socket_path(store).exists()
    assert read_note(store) is None
    with pytest.raises(EngineGoneError) as gone:
        EngineClient.connect(store)
    assert "kedit engine start" in gone.value.hint
    with Store.open(store) as other, other.writing():
        pass


def test_of_many_that_are_started_at_once_one_runs(store: Path) -> None:
    failed: list[BaseException] = []

    def start() -> None:
        try:
            start_engine(store)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    try:
        with EngineClient.connect(store) as client:
            note = read_note(store)
            assert note is not None
            assert client.info().pid == note.pid
            assert not failed
    finally:
        with EngineClient.connect(store) as client:
            client.stop()
        eventually(lambda: read_note(store) is None)


def test_a_store_far_down(copy_store: CopyStore, tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a folder with a long name"] * 8)
    deep.mkdir(parents=True)
    with engine_on(copy_store(deep / "store")) as engine, engine.client() as client:
        assert client.overview().head == 2
        assert done(client, "undo")["number"] == 1


def test_killed_during_an_edit_the_store_is_whole_and_a_new_one_starts_over_the_stale_socket(
    store: Path,
) -> None:
    for wanted in ("loss", "check", "decision"):
        with engine_on(store) as engine, engine.client() as client:
            after = client.info().event
            client.submit("edit", **fact(2))
            until(client.events(after), lambda event, kind=wanted: event.kind == kind)  # type: ignore[misc]
            engine.kill()
            with pytest.raises(EngineGoneError):
                client.info()
        assert socket_path(store).exists()
        assert not verify(store, "deep").damaged
        with engine_on(store) as again, again.client() as client:
            head = client.overview().head
            assert head in (2, 3)
            if head == 2:
                done(client, "edit", **fact(2))
            done(client, "undo")
            assert client.overview().head == 2
            assert again.end() == 0
    assert not verify(store, "deep").damaged


def test_a_running_job_is_cancelled_when_the_engine_is_told_to_stop(store: Path) -> None:
    from engine_process import SLOW

    with engine_on(store) as engine, engine.client() as client:
        after = client.info().event
        client.submit("edit", **fact(2, config=SLOW))
        until(client.events(after), lambda event: event.kind == "loss")
        client.stop()
        assert engine.process.wait(PATIENCE) == 0
    assert not verify(store, "deep").damaged
    with Store.open(store) as other:
        assert other.reader.head().number == 2
