"""The terminal UI on a real engine of a tiny model: what writes, jobs, and an engine that dies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_process import SLOW, CopyStore, EngineProcess, engine_on, fact
from textual.pilot import Pilot
from tui_pilot import BROAD, history_of, lines_of, notices_of, piloted, press, settled, text_of, until

from kedit_lifecycle.engine.client import EngineClient
from kedit_lifecycle.tui.app import KeditApp

pytestmark = [pytest.mark.tui, pytest.mark.engine]


@pytest.fixture(scope="module")
def shared(copy_store: CopyStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine that the tests of this module share; each leaves HEAD at version 2."""
    with engine_on(copy_store(tmp_path_factory.mktemp("shared") / "store")) as found:
        yield found


async def at_head(pilot: Pilot[None], app: KeditApp, number: int) -> None:
    """HEAD is at this version, and the screen says so."""
    await until(pilot, lambda: app.kedit.overview is not None and app.kedit.overview.head == number)
    await until(pilot, lambda: any(f" {number} w" in line and "▸main" in line for line in lines_of(app)))


async def test_undo_redo_and_roll_back_by_one_key_each(shared: EngineProcess) -> None:
    async with piloted(shared.store, BROAD) as (app, pilot):
        await at_head(pilot, app, 2)
        await press(pilot, "z")
        await at_head(pilot, app, 1)
        assert app.kedit.cursor == 1  # it was on HEAD, and follows
        await press(pilot, "Z")
        await at_head(pilot, app, 2)
        await press(pilot, "j", "b")
        await at_head(pilot, app, 1)
        await press(pilot, "z")
        await at_head(pilot, app, 2)
        store = f"--store {shared.store}"
        assert [line for _, line in app.kedit.commands] == [
            f"kedit undo {store}", f"kedit redo {store}", f"kedit rollback 1 {store}", f"kedit undo {store}"
        ]  # fmt: skip
        with shared.client() as client:
            event = client.audit(limit=1).events[0]
        assert (event.author, event.command) == ("Grace", f"kedit undo {store}")


async def test_a_version_is_checked_again(shared: EngineProcess) -> None:
    async with piloted(shared.store, BROAD) as (app, pilot):
        await press(pilot, "C")
        notice = await until(pilot, lambda: [one for one in notices_of(app) if "checks pass" in one])
        assert notice[0].startswith("v2: ")


async def test_what_another_client_does_is_seen(shared: EngineProcess) -> None:
    async with piloted(shared.store, BROAD) as (app, pilot):
        with shared.client() as client:
            job = await asyncio.to_thread(client.submit, "edit", **fact(2))
            await until(pilot, lambda: app.kedit.job is not None and app.kedit.job.id == job.id)
            await until(pilot, lambda: "edit done" in text_of(app))
            number = client.overview().head
            assert number > 2
            await at_head(pilot, app, number)
            await settled(pilot)
            assert app.kedit.cursor == number
            assert f"v{number} · " in text_of(app)
            await press(pilot, "z")
            await at_head(pilot, app, 2)


async def test_the_store_is_verified_with_progress(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="audit") as (app, pilot):
        await press(pilot, "V")
        await until(pilot, lambda: "✓ the store is what was written" in text_of(app))
        await press(pilot, "v")
        await until(pilot, lambda: "verify done" in text_of(app))
        assert app.kedit.commands[-1][1].startswith("kedit verify")


async def test_a_running_job_is_shown_to_who_attaches_and_cancelled(shared: EngineProcess) -> None:
    with shared.client() as client:
        job = client.submit("edit", **fact(2, config=SLOW))
        waiting = client.submit("edit", **fact(3, config=SLOW))
        async with piloted(shared.store, BROAD) as (app, pilot):
            await until(pilot, lambda: app.kedit.job is not None and app.kedit.job.id == job.id)
            await until(pilot, lambda: "edit running" in text_of(app) and "1 waiting" in text_of(app))
            await press(pilot, "j", "k")  # keys are answered meanwhile
            await pilot.press("x")
            await until(pilot, lambda: client.job(job.id).state == "cancelled")
            await until(pilot, lambda: app.kedit.job is not None and app.kedit.job.id == waiting.id)
            await pilot.press("x")
            await until(pilot, lambda: client.job(waiting.id).state == "cancelled")
            await until(pilot, lambda: app.kedit.nothing_runs() is not None)
            await press(pilot, "x")
            assert any("no job runs" in notice for notice in notices_of(app))
        assert client.overview().head == 2


async def test_two_terminals_see_the_same(shared: EngineProcess) -> None:
    one, two = piloted(shared.store, BROAD), piloted(shared.store, BROAD)
    async with one as (first, pilot), two as (second, other):
        await press(pilot, "z")
        await at_head(other, second, 1)
        await press(other, "Z")
        await at_head(pilot, first, 2)


async def test_readonly_turns_off_all_that_writes(shared: EngineProcess) -> None:
    async with piloted(shared.store, readonly=True) as (app, pilot):
        assert app.current is not None
        for action in app.current.actions:
            if action.writes:
                assert not await app.perform(action.id)
        await settled(pilot)
        with shared.client() as client:
            assert client.overview().head == 2
        assert not app.kedit.commands


async def test_an_engine_that_dies_is_said_to_be_gone_and_started_again(engine: EngineProcess) -> None:
    async with piloted(engine.store, BROAD) as (app, pilot):
        engine.kill()
        await until(pilot, lambda: "S starts it again" in text_of(app))
        assert "engine ✗ gone" in lines_of(app)[0]
        await press_gone(pilot, "z")
        assert any("no engine answers" in notice for notice in notices_of(app))
        assert history_of(app).total == 3  # what was read stays in sight
        await pilot.press("S")
        try:
            await until(pilot, lambda: app.kedit.connected)
            assert "S starts it again" not in text_of(app)
            await press(pilot, "z")
            await at_head(pilot, app, 1)
            assert app.kedit.commands[0][1] == f"kedit engine start --store {engine.store}"
        finally:
            stop(engine.store)


async def press_gone(pilot: Pilot[None], *keys: str) -> None:
    """Press keys where no engine answers."""
    await pilot.press(*keys)
    await pilot.pause(0.1)


async def test_an_engine_is_started_where_none_runs(copy_store: CopyStore, tmp_path: Path) -> None:
    store = copy_store(tmp_path / "store")
    try:
        async with piloted(store) as (app, _):
            assert history_of(app).total == 3
        with EngineClient.connect(store) as client:  # leaving stopped nothing
            assert client.info().job is None
    finally:
        stop(store)


async def test_an_engine_elsewhere_that_is_not_there_is_said_so() -> None:
    app = KeditApp("http://127.0.0.1:9")
    async with app.run_test(size=BROAD) as pilot:
        await until(pilot, lambda: app.kedit.link == "gone")
        await until(pilot, lambda: "no engine answers at http://127.0.0.1:9" in text_of(app))
        await press_gone(pilot, "S")
        assert any("on its own machine" in notice for notice in notices_of(app))


def stop(store: Path) -> None:
    """End the engine that the app started."""
    with EngineClient.connect(store) as client:
        client.stop()
