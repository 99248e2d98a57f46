"""The command line through a running engine: the same output and exit codes as in a process of its own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_process import (
    PATIENCE,
    SLOW,
    CopyStore,
    EngineProcess,
    Ran,
    done,
    edit_arguments,
    ended,
    eventually,
    kedit,
    start_kedit,
    until,
)
from tiny_workbench import requests

from kedit_lifecycle.engine.client import EngineClient
from kedit_lifecycle.ledger.store import Store

pytestmark = pytest.mark.engine

VARYING = {"attempt", "seconds", "time", "seconds_to_plan", "seconds_to_check", "seconds_to_measure", "event"}


@pytest.fixture(scope="module")
def alone(copy_store: CopyStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store like the shared engine's, that no engine holds."""
    return copy_store(tmp_path_factory.mktemp("alone") / "store")


@pytest.fixture(autouse=True)
def _back_again(client: EngineClient, alone: Path) -> Iterator[None]:
    """HEAD of both stores at version 2 after each test."""
    yield
    if client.overview().head != 2:
        done(client, "rollback", ref="2")
    with Store.open(alone) as store:
        if store.reader.head().number != 2:
            store.move("2", kind="rollback", author="Grace", command="kedit rollback 2")


def steady(value: Any) -> Any:
    """Without what differs from run to run."""
    if isinstance(value, dict):
        return {name: steady(item) for name, item in value.items() if name not in VARYING}
    return [steady(item) for item in value] if isinstance(value, list) else value


def both(shared: EngineProcess, alone: Path, *arguments: object) -> tuple[Ran, Ran]:
    """The same command through the engine and without one."""
    return kedit(*arguments, "--store", shared.store), kedit(*arguments, "--store", alone)


def test_an_edit_prints_the_same_json(shared: EngineProcess, alone: Path) -> None:
    through, without = both(shared, alone, *edit_arguments(2), "--json")
    assert (through.code, without.code) == (0, 0), through.err
    assert steady(through.json) == steady(without.json)


def test_an_edit_prints_the_same_text(shared: EngineProcess, alone: Path) -> None:
    through, without = both(shared, alone, *edit_arguments(3))
    assert (through.code, without.code) == (0, 0), through.err
    assert through.out == without.out


def test_the_audit_chain_has_the_command_and_who_gave_it(
    shared: EngineProcess, client: EngineClient, alone: Path
) -> None:
    for store in (shared.store, alone):  # of a version that is new to both: they go on with the same numbers
        assert kedit(*edit_arguments(7), "--store", store, KEDIT_AUTHOR="Ada").code == 0
    view = client.version("HEAD")
    assert view.author == "Ada"
    assert view.command.startswith("kedit edit --subject")


def test_what_the_gate_refuses(shared: EngineProcess, alone: Path) -> None:
    refused = [*edit_arguments(0, policy="strict")]
    refused[refused.index("--target") + 1] = "Japan"
    through, without = both(shared, alone, *refused, "--json")
    assert (through.code, without.code) == (1, 1)
    assert steady(through.json) == steady(without.json)
    assert through.err.splitlines()[0] == without.err.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((*edit_arguments(2), "--method", "nonsense"), 2),
        ((*edit_arguments(2), "--policy", "nonsense"), 2),
        ((*edit_arguments(2), "--set", "layer=99"), 2),
        (("ask", "x", "--at", "nowhere"), 2),
        (("rollback", "2"), 1),
        (("redo",), 1),
        (("edit", "--readonly", *edit_arguments(2)[1:]), 1),
    ],
)
def test_what_is_wrong_is_said_alike(
    shared: EngineProcess, alone: Path, arguments: tuple[str, ...], code: int
) -> None:
    through, without = both(shared, alone, *arguments)
    assert (through.code, without.code) == (code, code), (through.err, without.err)
    assert through.err == without.err.replace(str(alone), str(shared.store))
    assert through.out == without.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "City A0 is in the country of", "--json"),
        ("check", "1", "--policy", "observe"),
        ("undo",),
        ("rollback", "1", "--json", "--yes"),
        ("branch", "other", "1"),
    ],
)
def test_the_same_is_printed(shared: EngineProcess, alone: Path, arguments: tuple[str, ...]) -> None:
    through, without = both(shared, alone, *arguments)
    assert (through.code, without.code) in ((0, 0), (1, 1)), (through.err, without.err)
    if "--json" in arguments:
        assert steady(through.json) == steady(without.json)
    else:
        assert through.out == without.out


def facts_file(folder: Path, *places: int) -> Path:
    """Tiny facts as JSON Lines."""
    path = folder / "facts.jsonl"
    chosen = [requests(max(places) + 1)[place] for place in places]
    path.write_text("".join(json.dumps(one.model_dump(mode="json")) + "\n" for one in chosen), "utf-8")
    return path


def test_files_are_those_of_the_folder_where_the_command_is_given(
    shared: EngineProcess, alone: Path, tmp_path: Path
) -> None:
    facts_file(tmp_path, 2, 3)
    (tmp_path / "mine.yaml").write_text("rules: []\n", "utf-8")
    (tmp_path / "quick.yaml").write_text(json.dumps({"layer": 1, "steps": 3}), "utf-8")
    command = ("apply", "facts.jsonl", "--policy", "mine.yaml", "--config", "quick.yaml")
    through = kedit(*command, "--store", shared.store, cwd=tmp_path)
    without = kedit(*command, "--store", alone, cwd=tmp_path)
    assert (through.code, without.code) == (0, 0), through.err
    assert through.out == without.out


def running_edit(shared: EngineProcess, client: EngineClient) -> tuple[Any, int]:
    """A slow `kedit edit` that the engine is at, and its job."""
    after = client.info().event
    child = start_kedit(*edit_arguments(2, SLOW), "--store", shared.store)
    loss = until(client.events(after), lambda event: event.kind == "loss")
    assert loss.job is not None
    return child, loss.job


def test_control_c_cancels_the_job(shared: EngineProcess, client: EngineClient) -> None:
    child, job = running_edit(shared, client)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130
    assert "version 2" in err
    assert client.job(job).state == "cancelled"


@pytest.mark.parametrize("signal_number", [signal.SIGHUP, signal.SIGKILL])
def test_a_lost_terminal_leaves_the_job_running(
    shared: EngineProcess, client: EngineClient, signal_number: signal.Signals
) -> None:
    child, job = running_edit(shared, client)
    child.send_signal(signal_number)
    _, err = child.communicate(timeout=PATIENCE)
    assert client.job(job).state == "running"
    if signal_number == signal.SIGHUP:
        assert f"job {job}" in err
    client.cancel(job)
    assert ended(client, client.job(job)).state == "cancelled"


def test_an_engine_that_dies_under_a_command_is_said(copy_store: CopyStore, tmp_path: Path) -> None:
    from engine_process import engine_on

    with engine_on(copy_store(tmp_path / "store")) as engine, engine.client() as mine:
        child, _ = running_edit(engine, mine)
        engine.kill()
        _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode not in (0, 70)
    assert "engine" in err
    assert (
        kedit(*edit_arguments(2), "--store", engine.store).code == 0
    )  # the note is stale; nothing holds the lock


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_under_the_output_is_said(shared: EngineProcess) -> None:
    with Path("/dev/full").open("wb") as full:
        child = start_kedit("ask", "City A0 is in the country of", "--store", shared.store, out=full)
        _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 2
    assert "kedit: the output cannot be written: No space left on device\n  try: " in err
    assert "Traceback" not in err


def test_looking_needs_no_engine_and_disturbs_none(shared: EngineProcess, alone: Path) -> None:
    for command in ("log", "status", "verify"):
        assert kedit(command, "--store", shared.store).code == 0


def test_the_engine_is_started_shown_and_stopped(copy_store: CopyStore, tmp_path: Path) -> None:
    store = copy_store(tmp_path / "store")
    at = ("--store", store)
    assert kedit("engine", "status", *at).code != 70
    assert kedit("engine", "start", *at).code == 0
    try:
        shown = kedit("engine", "status", "--json", *at)
        assert shown.code == 0
        os.kill(shown.json["pid"], 0)
        assert kedit("engine", "start", *at).code == 0
        assert kedit("engine", "logs", *at).code == 0
    finally:
        assert kedit("engine", "stop", *at).code == 0
    eventually(lambda: not (store / "engine.json").exists())
    assert kedit("undo", *at).code == 0
