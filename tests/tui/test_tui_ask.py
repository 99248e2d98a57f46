"""Asking several versions side by side, on a real engine of a tiny model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from engine_process import CopyStore, EngineProcess, engine_on
from textual.pilot import Pilot
from tui_pilot import BROAD, NARROW, lines_of, notices_of, piloted, press, settled, text_of, until
from tui_store import HOSTILE

from kedit_lifecycle.engine.messages import AnswerView, TopToken
from kedit_lifecycle.tui.app import KeditApp
from kedit_lifecycle.tui.screens.ask import AskScreen
from kedit_lifecycle.tui.screens.ask.answer_text import answer_text, title
from kedit_lifecycle.tui.screens.ask.history import Questions
from kedit_lifecycle.tui.widgets.curve import bar, curve

pytestmark = [pytest.mark.tui, pytest.mark.engine]

PROMPT = "City A0 is in the country of"


@pytest.fixture(scope="module")
def shared(copy_store: CopyStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine that the tests of this module share; none changes its store."""
    with engine_on(copy_store(tmp_path_factory.mktemp("shared") / "store")) as found:
        yield found


def ask_of(app: KeditApp) -> AskScreen:
    return app.query_one(AskScreen)


async def answered(pilot: Pilot[None], screen: AskScreen, count: int) -> None:
    await until(pilot, lambda: len(screen.answers) == count)
    await settled(pilot)


async def test_head_and_base_answer_beside_each_other(shared: EngineProcess) -> None:
    async with piloted(shared.store, NARROW, first="ask") as (app, pilot):
        screen = ask_of(app)
        await press(pilot, *PROMPT, "enter")
        await answered(pilot, screen, 2)
        with shared.client() as client:
            job = client.submit("ask", prompt=PROMPT, refs=["HEAD", "base"])
            own = (await asyncio.to_thread(client.wait, job.id)).result
        assert [one.model_dump(mode="json") for one in screen.answers] == own
        shown = text_of(app)
        heads = next(line for line in lines_of(app) if "HEAD · v2 · weights" in line)
        assert "base · v0" in heads  # on one line: beside each other
        for answer in screen.answers:
            assert f"{answer.top[0].probability:.3f}" in shown
        assert "by the edited weights" in shown
        assert "by the unedited model" in shown
        store = f"--store {shared.store}"
        assert app.kedit.commands[-1][1] == f"kedit ask '{PROMPT}' --at HEAD --explain --compare 0 {store}"


async def test_versions_are_added_and_taken_away(shared: EngineProcess) -> None:
    async with piloted(shared.store, NARROW, first="ask") as (app, pilot):
        screen = ask_of(app)
        await press(pilot, *PROMPT, "enter")
        await answered(pilot, screen, 2)
        await press(pilot, "escape", "plus")
        await press(pilot, "1", "enter")
        await answered(pilot, screen, 3)
        assert [*screen.refs] == ["HEAD", "base", "1"]
        assert not screen.has_class("wide")  # three do not fit beside each other in 80 cells
        titles = [column.border_title for column in screen.query(".answer")]
        assert [str(one) for one in titles] == ["HEAD · v2 · weights", "base · v0", "v1 · weights"]
        assert "; kedit ask" in app.kedit.commands[-1][1]
        await press(pilot, "minus", "minus")
        await answered(pilot, screen, 1)
        await press(pilot, "minus")
        assert [*screen.refs] == ["HEAD"]
        assert any("one version is asked at least" in one for one in notices_of(app))


async def test_three_fit_beside_each_other_on_a_wide_screen(shared: EngineProcess) -> None:
    async with piloted(shared.store, BROAD, first="ask") as (app, pilot):
        screen = ask_of(app)
        screen.opened(refs=["2", "1", "base"], prompt=PROMPT)
        await answered(pilot, screen, 3)
        assert screen.has_class("wide")
        assert any("v2 · weights" in line and "v1 · weights" in line for line in lines_of(app))


async def test_ask_here_from_the_ledger(shared: EngineProcess) -> None:
    async with piloted(shared.store, BROAD) as (app, pilot):
        await press(pilot, "j")  # the version is read before its prompt is known
        await press(pilot, "a")
        screen = ask_of(app)
        await answered(pilot, screen, 2)
        assert screen.refs == ("1", "base")
        assert screen.line.value == PROMPT
        assert screen.answers[0].version == 1


async def test_the_questions_so_far_come_back(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="ask") as (app, pilot):
        screen = ask_of(app)
        for prompt in ("one", "two"):
            screen.line.value = prompt
            await press(pilot, "enter")
            await answered(pilot, screen, 2)
        screen.line.value = "thr"
        seen = []
        for key in ("up", "up", "up", "down", "down"):
            await press(pilot, key)
            seen.append(screen.line.value)
        assert seen == ["two", "one", "one", "two", "thr"]


async def test_nothing_to_ask_and_nobody_there(shared: EngineProcess) -> None:
    async with piloted(shared.store, first="ask") as (app, pilot):
        screen = ask_of(app)
        await press(pilot, "enter")
        assert any("there is no prompt yet" in one for one in notices_of(app))
        screen.refs = ("nonesuch",)
        screen.line.value = PROMPT
        await press(pilot, "enter")
        await until(pilot, lambda: "nonesuch" in screen._note)
        assert "nonesuch" in text_of(app)
        assert not screen.asking


async def test_hostile_prompts_are_shown_inert(shared: EngineProcess) -> None:
    bad = set("\x1b\x07\r\t\x00\x7f\x85\u2028\u202e\u2066\u200d")
    async with piloted(shared.store, first="ask") as (app, pilot):
        screen = ask_of(app)
        for text in HOSTILE:
            if len(text) > 1000:
                text = text[:300]  # the tiny model reads no more
            screen.line.value = text
            await press(pilot, "enter")
            await until(pilot, lambda: not screen.asking)
            await settled(pilot)
            assert not set(text_of(app).replace("\n", "")) & bad


# What needs no engine


def view(**changes: object) -> AnswerView:
    fields = {
        "version": 3, "label": "HEAD", "text": " Rome", "top": (TopToken(text=" Rome", probability=0.75),),
        "route": "memory", "by_version": 2, "by_fact": "the capital \x1b[31m→ Rome", "score": 0.91,
        "threshold": 0.5, "why": "a fact in memory is about this",
    }  # fmt: skip
    return AnswerView.model_validate(fields | changes)


def test_who_answered_and_why() -> None:
    text = answer_text(view(), 40).plain
    assert "by the memory" in text
    assert "v2 the capital ␛[31m→ Rome" in text
    assert "score .910 ≥ threshold .500" in text
    assert "score .200 < threshold .500" in answer_text(view(score=0.2), 40).plain
    assert "·Rome" in text
    assert " 0.750 " in text
    assert title(view()) == "HEAD · v3 · memory"
    assert title(view(label="3", route="weights")) == "v3 · weights"


def test_bars_and_curves() -> None:
    assert bar(1, 10) == "█" * 10
    assert bar(0.55, 10) == "█████▌"
    assert bar(0, 10) == bar(-1, 10) == ""
    assert curve([], 10, 4) == curve([None], 10, 4) == []
    lines = curve([4.0, 3.0, 2.0, 1.0], 4, 2)
    assert [line[0] for line in lines] == ["█", "█"]
    assert [line[-1] for line in lines] == [" ", "▁"]
    assert len(curve([float(one) for one in range(500)], 60, 3)[0]) == 60
    assert curve([1.0, None, float("nan"), 2.0], 4, 1) == ["▁  █"]


def test_questions_of_a_session() -> None:
    questions = Questions()
    assert questions.step(-1, "x") == "x"
    for one in ("a", "b", "b"):
        questions.add(one)
    assert questions.asked == ["a", "b"]
    assert questions.step(1, "x") == "x"
    assert [questions.step(-1, "x"), questions.step(-1, "b"), questions.step(-1, "a")] == ["b", "a", "a"]
    assert [questions.step(1, "a"), questions.step(1, "b")] == ["b", "x"]
