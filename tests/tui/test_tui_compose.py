"""Composing on a real engine of a tiny model: what helps, what is made, what is taken back."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from engine_process import SLOW, CopyStore, EngineProcess, engine_on
from textual.pilot import Pilot
from textual.widgets import SelectionList
from tiny_workbench import QUICK
from tui_pilot import BROAD, NARROW, notices_of, piloted, press, settled, text_of, until
from tui_store import HOSTILE

from kedit_lifecycle.cli.edit import edit_command
from kedit_lifecycle.tui.app import KeditApp
from kedit_lifecycle.tui.screens.compose import ComposeScreen
from kedit_lifecycle.tui.screens.compose.draft import Draft

pytestmark = [pytest.mark.tui, pytest.mark.engine]


def settings(config: dict[str, Any]) -> str:
    """Hyper-parameters as a person types them."""
    return shlex.join(f"{name}={json.dumps(value, separators=(',', ':'))}" for name, value in config.items())


FRANCE: dict[str, Any] = {
    "subject": "France",
    "prompt": "The capital of {} is",
    "target": "Rome",
    "target_true": "Paris",
}
LOOSE = {"settings": settings(QUICK["rome"]), "policy": "observe"}
CITY = {"subject": "City A0", "prompt": "{} is in the country of", "target": "Japan", "target_true": "France"}


@pytest.fixture(scope="module")
def shared(copy_store: CopyStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine that the tests of this module share; each leaves HEAD at version 2."""
    with engine_on(copy_store(tmp_path_factory.mktemp("shared") / "store")) as found:
        yield found


@pytest.fixture(autouse=True)
def _at_two(request: pytest.FixtureRequest) -> None:
    """HEAD of the shared engine is at version 2, whatever a test before left."""
    if "shared" in request.fixturenames:
        engine: EngineProcess = request.getfixturevalue("shared")
        if head_of(engine) != 2:
            with engine.client() as client:
                client.wait(client.submit("rollback", ref="2").id)


def compose_of(app: KeditApp) -> ComposeScreen:
    return app.query_one(ComposeScreen)


async def filled(app: KeditApp, pilot: Pilot[None], **fields: str) -> ComposeScreen:
    """The screen with these in its fields, once the engine has said what it has to say."""
    screen = compose_of(app)
    screen.form.fill(**fields)
    await until(pilot, lambda: screen.live.peek is not None and not screen.live.peeking)
    await settled(pilot)
    return screen


async def run_ended(pilot: Pilot[None], screen: ComposeScreen) -> str:
    """What the screen shows once the run has ended."""
    await until(pilot, lambda: screen.run is not None and not screen.run.active)
    await settled(pilot)
    return text_of(screen.kedit_app)


def head_of(engine: EngineProcess) -> int:
    with engine.client() as client:
        return client.overview().head


# While it is written


async def test_what_is_known_is_suggested_while_one_types(shared: EngineProcess) -> None:
    async with piloted(shared.store, BROAD, first="compose") as (app, pilot):
        screen = compose_of(app)
        await pilot.press(*"Burundi", "tab", *"The currency used in {} is the")
        assert screen.form.field("prompt").value == "The currency used in {} is the"
        paraphrases, neighbors = (screen.form.picks(name) for name in ("paraphrases", "neighborhood"))
        target = screen.form.field("target")
        await until(pilot, lambda: paraphrases.picked and neighbors.picked and target.choices)
        await press(pilot, "tab", "down", "tab", "down", "tab", "down")
        draft = screen.form.draft
        assert draft.target == screen.form.field("target").choices[0] != "franc"
        assert (draft.target_true, draft.relation) == ("franc", "P38")

        first, *others = paraphrases.picked
        boxes: SelectionList[str] = paraphrases.query_one(SelectionList)
        boxes.focus()
        await press(pilot, "down", "home", "space")
        assert screen.form.draft.paraphrases == tuple(others)
        screen.form.fill(target="Oslo")  # suggestions come anew; what was switched off stays off
        await until(pilot, lambda: screen.live.peek is not None and not screen.live.peeking)
        await settled(pilot)
        assert first not in screen.form.draft.paraphrases
        assert f"--paraphrase {shlex.quote(others[0])}" in screen.command()

        screen.form.picks("neighborhood").query_one("Added").focus()
        await press(pilot, *"Rome is in", "enter")
        assert "Rome is in" in screen.form.draft.neighborhood


async def test_a_subject_that_is_not_in_the_prompt_is_said_at_once(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="compose") as (app, pilot):
        screen = compose_of(app)
        screen.form.fill(subject="France", prompt="The capital of Fran")
        await pilot.pause()
        assert "✗ the subject is not in the prompt" in text_of(app)
        screen.form.fill(prompt="The capital of France is")
        await pilot.pause()
        assert "asks The capital of France is" in text_of(app)
        shown = screen.form.field("prompt")._value
        assert [(span.start, span.end) for span in shown.spans] == [(15, 21)]
        screen.form.fill(target="Rome", subject="Spain")
        await pilot.pause()
        await press(pilot, "ctrl+s")
        assert any("is not in the prompt" in one for one in notices_of(app))
        assert screen.run is None


async def test_the_present_answer_is_the_engines(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="compose") as (app, pilot):
        screen = await filled(app, pilot, **FRANCE)
        peek = screen.live.peek
        assert peek is not None
        with shared.client() as client:
            job = await asyncio.to_thread(
                client.submit, "peek", prompt="The capital of France is", target="Rome"
            )
            own = (await asyncio.to_thread(client.wait, job.id)).result
        assert peek.model_dump() == own
        assert 0 < own["target_probability"] < 1
        assert "answer now" in text_of(app)
        assert "P(target)" in text_of(app)


async def test_the_router_advises_and_says_why(shared: EngineProcess) -> None:
    async with piloted(shared.store, BROAD, first="compose") as (app, pilot):
        screen = await filled(app, pilot, **FRANCE)
        await until(pilot, lambda: screen.live.advice is not None)
        first = screen.live.advice
        screen.form.fill(target="a town whose name takes nine words and one more")
        await until(pilot, lambda: screen.live.advice not in (None, first))
        await settled(pilot)
        shown = text_of(app)
        assert "router" in shown
        assert "serac, else memit: a target of 10 words is a text" in shown
        with shared.client() as client:
            jobs = client.jobs()
            await pilot.pause(3)  # answers that came make nobody ask again
            assert client.jobs() == jobs


async def test_answers_about_older_text_are_dropped(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="compose") as (app, pilot):
        screen = await filled(app, pilot, **FRANCE)
        before = screen.live.peek
        screen.form.fill(target="Oslo")
        await until(pilot, lambda: "peek" in screen.asked or screen.live.peek is not before)
        screen.form.fill(target="Japan")
        await until(pilot, lambda: screen._looked is not None and screen._looked[2] == "Japan")
        await until(pilot, lambda: not screen.live.peeking)
        await settled(pilot)
        with shared.client() as client:
            job = client.wait(client.submit("peek", prompt="The capital of France is", target="Japan").id)
        assert screen.live.peek is not None
        assert screen.live.peek.model_dump() == job.result


async def test_typing_is_never_blocked_by_a_running_job(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="compose") as (app, pilot):
        with shared.client() as client:
            await filled(app, pilot, **FRANCE)
            busy = client.submit(
                "edit", **Draft(**FRANCE, settings=settings(SLOW), policy="observe").arguments()
            )
            await until(pilot, lambda: client.job(busy.id).state == "running")
            screen = compose_of(app)
            screen.form.field("message").focus()
            await pilot.press(*"why not")
            assert screen.form.draft.message == "why not"
            screen.form.fill(subject="City A0", prompt="{} is in the country of", target="Japan")
            await until(pilot, lambda: screen.live.conflicts)  # queries answer beside the job
            assert client.cancel(busy.id).state in ("running", "cancelled")
            await until(pilot, lambda: client.job(busy.id).state == "cancelled")
            await settled(pilot)


# Conflicts, rejection, ways on


async def test_a_conflict_is_shown_rejected_and_superseded(shared: EngineProcess) -> None:
    async with piloted(shared.store, BROAD, first="compose") as (app, pilot):
        screen = await filled(app, pilot, **CITY, settings=LOOSE["settings"])
        conflicts = screen.live.conflicts
        assert conflicts
        assert conflicts[0].version == 1
        assert conflicts[0].message[:40] in text_of(app).replace("\n", " ")
        await press(pilot, "ctrl+s")
        shown = await run_ended(pilot, screen)
        assert "✗ not accepted: taken back" in shown
        assert "[s] supersede" in shown
        assert "[o] other method" in shown
        assert head_of(shared) == 2
        assert screen.copied() == screen.run.command if screen.run else False

        await press(pilot, "s")
        await run_ended(pilot, screen)
        run = screen.run
        assert run is not None
        assert run.checks["conflict"]["verdict"] != "fail"
        assert "--supersede" in shlex.split(app.kedit.commands[-1][1])
        if screen.made is not None:
            await press(pilot, "u")
            await until(pilot, lambda: run.undone == 2)

        await press(pilot, "o")
        assert app.focused is screen.form.field("method")
        screen.form.fill(policy="observe")
        await press(pilot, "ctrl+s")
        shown = await run_ended(pilot, screen)
        number = head_of(shared)
        assert number > 2
        assert f"accepted as v{number}" in shown, shown
        await press(pilot, "u")
        await until(pilot, lambda: screen.run is not None and screen.run.undone == 2)
        assert "taken back: HEAD is at v2" in text_of(app)
        assert head_of(shared) == 2


async def test_into_the_memory_instead_names_the_method(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="compose") as (app, pilot):
        screen = await filled(app, pilot, **CITY, settings=LOOSE["settings"])
        await press(pilot, "ctrl+s")
        shown = await run_ended(pilot, screen)
        assert "[m] memory" in shown, shown
        await press(pilot, "m")
        await run_ended(pilot, screen)
        assert screen.run is not None
        assert screen.run.draft.method == "serac"
        line = app.kedit.commands[-1][1]
        assert "--method serac" in line
        assert "--set" not in line
        if screen.made is not None:
            await press(pilot, "u")
            await until(pilot, lambda: screen.run is not None and screen.run.undone is not None)
        assert head_of(shared) == 2


# Making it


async def test_a_dry_run_writes_nothing(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="compose") as (app, pilot):
        with shared.client() as client:
            before = client.audit(limit=1).total
            screen = await filled(app, pilot, **FRANCE, **LOOSE)
            await press(pilot, "ctrl+t")
            shown = await run_ended(pilot, screen)
            assert "the gate would accept it" in shown
            assert "[^s] make it" in shown
            assert client.audit(limit=1).total == before
        line = app.kedit.commands[-1][1]
        assert line == screen.copied()
        assert "--dry-run" in shlex.split(line)
        await press(pilot, "escape")
        assert screen.run is None
        assert screen.form.draft.subject == "France"


async def test_an_edit_is_watched_accepted_seen_and_taken_back(shared: EngineProcess) -> None:
    async with piloted(shared.store, BROAD, first="compose") as (app, pilot):
        screen = await filled(app, pilot, **FRANCE, **LOOSE)
        await press(pilot, "ctrl+s")
        shown = await run_ended(pilot, screen)
        run = screen.run
        assert run is not None
        number = head_of(shared)
        assert run.version == number > 2
        assert f"accepted as v{number}" in shown, shown
        assert len(run.losses) == 3
        assert run.searches == 1
        assert "▁" in shown
        with shared.client() as client:
            view = client.version(str(number))
            assert {one.check: one.verdict for one in view.checks} == {
                name: one["verdict"] for name, one in run.checks.items()
            }
            assert view.command == run.command == app.kedit.commands[-1][1]
            assert view.facts[0].paraphrases == run.draft.paraphrases
        for name in run.checks:
            assert name[:13] in shown
        await press(pilot, "enter")
        await until(pilot, lambda: app.current is not None and app.current.screen_name == "ledger")
        assert app.kedit.cursor == number
        await app.show("compose")
        await press(pilot, "u")
        await until(pilot, lambda: run.undone == 2)
        assert head_of(shared) == 2


async def test_an_edit_is_cancelled_at_a_safe_point(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="compose") as (app, pilot):
        slow = LOOSE | {"settings": settings(SLOW)}
        screen = await filled(app, pilot, **FRANCE, **slow)
        await pilot.press("ctrl+s")
        run = await until(pilot, lambda: screen.run)
        await until(pilot, lambda: len(run.losses) > 3)  # as they come
        assert "esc cancels" in text_of(app)
        await pilot.press("ctrl+s")
        assert any("an edit runs" in one for one in notices_of(app))
        await pilot.press("escape")
        assert "cancelled: the model is as it was" in await run_ended(pilot, screen)
        assert head_of(shared) == 2


async def test_what_the_engine_turns_down_is_said(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="compose") as (app, pilot):
        screen = await filled(app, pilot, **FRANCE, settings="nonsense=1", method="rome")
        await press(pilot, "ctrl+s")
        shown = await run_ended(pilot, screen)
        assert "✗ it could not be made" in shown
        assert "nonsense" in shown
        await press(pilot, "escape")
        screen.form.fill(settings="nonsense")
        await press(pilot, "ctrl+t")
        assert any("'nonsense' is not NAME=VALUE" in one for one in notices_of(app))


async def test_nothing_is_written_when_read_only(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="compose", readonly=True) as (app, pilot):
        screen = await filled(app, pilot, **FRANCE, **LOOSE)
        await press(pilot, "ctrl+s")
        assert any("this session is read-only" in one for one in notices_of(app))
        assert screen.run is None
        assert not app.kedit.commands


async def test_the_engine_dies_while_it_edits(engine: EngineProcess) -> None:
    async with piloted(engine.store, first="compose") as (app, pilot):
        slow = LOOSE | {"settings": settings(SLOW)}
        screen = await filled(app, pilot, **FRANCE, **slow)
        await pilot.press("ctrl+s")
        run = await until(pilot, lambda: screen.run)
        await until(pilot, lambda: run.losses)
        engine.kill()
        await until(pilot, lambda: run.state == "lost")
        await until(pilot, lambda: app.kedit.link == "gone")
        assert "the engine went away" in text_of(app)


# Text of any kind


@pytest.mark.parametrize("size", [NARROW, BROAD], ids=["80x24", "160x48"])
async def test_hostile_text_in_every_field_is_shown_inert(
    shared: EngineProcess, size: tuple[int, int]
) -> None:
    bad = set("\x1b\x07\r\t\x00\x7f\x85\u2028\u202e\u2066\u200d")
    async with piloted(shared.store, size, first="compose") as (app, pilot):
        screen = compose_of(app)
        for text in HOSTILE:
            names = (
                "subject",
                "target",
                "target_true",
                "relation",
                "settings",
                "method",
                "policy",
                "message",
            )
            screen.form.fill(prompt=f"{text} is {text}", **dict.fromkeys(names, text))
            screen.form.picks("paraphrases").add(text)
            screen.form.picks("neighborhood").add(text)
            for field in screen.form.query("FactInput"):
                field.focus()
                await pilot.press("home", "end", "left")
                assert not set(text_of(app).replace("\n", "")) & bad
            assert screen.form.field("message").value == text
            await pilot.pause(0.5)
            assert not set(text_of(app).replace("\n", "")) & bad
        await until(pilot, lambda: not screen.live.peeking)
        await settled(pilot)
        assert not set(text_of(app).replace("\n", "")) & bad


async def test_pasted_lines_become_one(shared: EngineProcess) -> None:
    from textual.events import Paste

    async with piloted(shared.store, first="compose") as (app, pilot):
        field = compose_of(app).form.field("subject")
        field.focus()
        field.post_message(Paste("New\r\nYork\n\x1b[2J"))
        await pilot.pause()
        assert field.value == "New York \x1b[2J"
        assert "New York ␛[2J" in text_of(app)


# The command line that does the same


def test_the_command_line_says_the_same() -> None:
    odd = 'it\'s "$HOME" `x` \n --force'
    draft = Draft(
        odd, f"about {odd}", odd, target_true=odd, relation="P1", method="memit", policy="strict",
        settings="a=1 b=[1,2] c=word", message=odd, paraphrases=(odd, "-x"), neighborhood=("--yes",),
    )  # fmt: skip
    line = shlex.join(["kedit", *draft.words(dry_run=True, supersede=True)])
    given = edit_command.make_context("edit", shlex.split(line)[2:]).params
    asked = draft.arguments(dry_run=True, supersede=True)
    for name in ("subject", "prompt", "target", "target_true", "relation", "method", "policy", "message"):
        assert given[name] == asked[name], name
    assert list(given["paraphrases"]) == asked["paraphrases"]
    assert list(given["neighborhood"]) == asked["neighborhood"]
    assert given["settings"] == ("a=1", "b=[1,2]", "c=word")
    assert asked["config"] == {"a": 1, "b": [1, 2], "c": "word"}
    assert given["dry_run"]
    assert given["supersede"]
