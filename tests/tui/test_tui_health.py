"""Health: charts, limits, marks, the ledger's cursor, the matrix; checks on a real engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_process import EngineProcess
from hypothesis import given
from hypothesis import strategies as st
from query_store import new_store
from textual.pilot import Pilot
from tui_pilot import BROAD, NARROW, clock, lines_of, notices_of, piloted, press, settled, text_of, until
from tui_remembering import make_decay
from tui_server import serving
from tui_store import always_the_same, tell

from kedit_lifecycle.engine.messages import Limit
from kedit_lifecycle.tui.app import KeditApp
from kedit_lifecycle.tui.screens.health.band import Scale, band, columns_of, limit_names
from kedit_lifecycle.tui.screens.health.charts import HealthCharts
from kedit_lifecycle.tui.screens.health.matrix import RetentionMatrix, shade
from kedit_lifecycle.tui.screens.health.series import SERIES
from kedit_lifecycle.tui.widgets.braille import Braille, placed

pytestmark = pytest.mark.tui

Compare = Callable[..., bool]
PERPLEXITY, RETENTION = SERIES[0], SERIES[2]


@pytest.fixture(scope="module")
def decay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A URL that answers queries about a model that degrades and collapses."""
    with serving(make_decay(tmp_path_factory.mktemp("decay") / "store")) as url:
        yield url


def row_of(app: KeditApp, begin: str) -> str:
    """The line of the screen that begins so."""
    return next(line for line in lines_of(app) if line.strip().startswith(begin))


# What is drawn


def test_dots_lie_where_they_should() -> None:
    canvas = Braille(2, 1)
    canvas.dot(0, 0)
    canvas.dot(3, 3)
    canvas.dot(9, 9)
    canvas.dot(-1, 0)
    assert canvas.rows() == ["⠁⢀"]
    full = Braille(1, 1)
    for y in range(4):
        full.line(0, y, 1, y)
    assert full.rows() == ["⣿"]


@given(
    st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=40),
    st.integers(1, 30),
    st.integers(1, 8),
    st.booleans(),
)
def test_any_series_is_drawn_in_its_cells(
    values: list[float | None], width: int, height: int, close: bool
) -> None:
    limit = Limit(series="perplexity", warn=1.1, fail=1.5)
    scale = Scale.of(PERPLEXITY, values, limit, close=close)
    rows = band(PERPLEXITY, values, limit, scale, (width, height)) if values else []
    assert all(len(row) == width and all(len(cell.text) == 1 for cell in row) for row in rows)
    assert len(limit_names(PERPLEXITY, limit, scale, height)) == height


def test_the_scale_goes_from_the_unedited_model_to_beyond_the_limits() -> None:
    limit = Limit(series="perplexity", warn=1.1, fail=1.5)
    scale = Scale.of(PERPLEXITY, [1.01, 1.02], limit, close=False)
    assert scale.low < 1.0 < 1.5 < scale.high < 1.6
    near = Scale.of(PERPLEXITY, [1.01, 1.02], limit, close=True)
    assert 1.0 < near.low < 1.01 < 1.02 < near.high < 1.03
    names = dict(limit_names(PERPLEXITY, limit, near, 4))
    assert set(names) >= {"fail +50%↑", "warn +10%↑"}


def test_a_value_far_away_does_not_flatten_the_others() -> None:
    limit = Limit(series="perplexity", warn=1.1, fail=1.5)
    values = [1.0, 1.2, 5e6]
    scale = Scale.of(PERPLEXITY, values, limit, close=False)
    assert scale.high < 3
    rows = band(PERPLEXITY, values, limit, scale, (12, 4))
    assert (rows[0][-1].text, rows[0][-1].kind) == ("▲", "line-fail")


def test_limits_of_shares_are_floors() -> None:
    limit = Limit(series="retention", warn=0.66, fail=0.33)
    found = [RETENTION.verdict(value, limit) for value in (1.0, 0.66, 0.5, 0.2, None)]
    assert found == ["pass", "pass", "warn", "fail", ""]
    assert RETENTION.worst([0.9, None, 0.2, 0.4]) == 2
    assert PERPLEXITY.verdict(1.2, Limit(series="perplexity", warn=1.1, fail=1.5)) == "warn"
    assert PERPLEXITY.verdict(1.2, None) == ""


@given(st.integers(1, 500), st.integers(1, 100))
def test_versions_stand_from_left_to_right(count: int, width: int) -> None:
    columns = columns_of(count, width)
    assert columns == sorted(columns)
    assert 0 <= columns[0] <= columns[-1] < width * 2


def test_placed_values_stay_inside() -> None:
    assert [placed(value, 0.0, 1.0, 8) for value in (-1.0, 0.0, 0.5, 1.0, math.inf)] == [0, 0, 4, 7, 7]


# What is seen


async def test_the_series_with_their_limits_and_what_happened(decay: str) -> None:
    async with piloted(decay, first="health") as (app, _):
        shown = text_of(app)
        for part in ("perplexity", "drift", "retention", "locality", "‖ΔW‖/‖W‖"):
            assert part in shown
        for part in ("fail +50%", "warn +10%", "warn .90", "fail .33", "╌", "─"):
            assert part in shown, part
        assert "v24 ✗ collapsed" in lines_of(app)[2]
        states = row_of(app, "state")
        assert states.count("●") == 1
        assert 22 <= states.index("●") < states.index("◐") < states.rindex("✗")
        assert row_of(app, "taken back 3").count("▿") == 2
        assert "v1 " in row_of(app, "at the cursor v24")
        assert "worst v24" in shown


async def test_the_cursor_moves_with_the_numbers_and_the_state(decay: str) -> None:
    async with piloted(decay, first="health") as (app, pilot):
        assert app.kedit.cursor == 24
        await press(pilot, "home")
        assert app.kedit.cursor == 1
        assert "v1 ● healthy" in lines_of(app)[2]
        assert "0 ✓" in row_of(app, "perplexity")
        await press(pilot, *["right"] * 14)
        assert app.kedit.cursor == 15
        assert "v15 ◐ degrading" in lines_of(app)[2]
        assert "!" in row_of(app, "perplexity")
        await press(pilot, "left", "pageup")
        assert app.kedit.cursor == 12
        await press(pilot, "end")
        assert app.kedit.cursor == 24
        await press(pilot, "right")
        assert app.kedit.cursor == 24


@pytest.mark.parametrize("query", ["health", "audit"])
async def test_no_key_is_lost_that_comes_with_an_answer(
    decay: str, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key moves the cursor just before the answer is shown that was asked for at the place before."""
    async with piloted(decay, first="health") as (app, pilot):
        charts, ask, steps = app.query_one(HealthCharts), getattr(app.kedit.client, query), [-1]

        async def answered(*given: Any) -> Any:
            found = await ask(*given)
            if given[0] != "HEAD" and steps:  # not the line itself, which is read first
                charts.action_step(steps.pop())
            return found

        monkeypatch.setattr(app.kedit.client, query, answered)
        assert app.current is not None
        app.current.reload()
        await settled(pilot)
        assert not steps
        assert app.kedit.cursor == 23
        assert "v23 " in lines_of(app)[2]


async def test_next_mark_goes_where_something_happened(decay: str) -> None:
    async with piloted(decay, first="health") as (app, pilot):
        await press(pilot, "home")
        found = []
        for _ in range(5):
            await press(pilot, "n")
            found.append(app.kedit.cursor)
        assert found == [8, 13, 15, 19, 19]
        assert any("nothing happened" in one for one in notices_of(app))
        await press(pilot, "N")
        assert app.kedit.cursor == 15
        assert "1 here" in row_of(app, "taken back 3")


async def test_it_is_the_ledgers_cursor(decay: str) -> None:
    async with piloted(decay) as (app, pilot):
        await press(pilot, "j", "j")
        await app.show("health")
        await settled(pilot)
        assert "v22 " in lines_of(app)[2]
        await press(pilot, "left", "left", "enter")
        assert app.current is not None
        assert app.current.screen_name == "ledger"
        assert app.kedit.cursor == 20
        await settled(pilot)
        await press(pilot, "j")
        assert app.kedit.cursor == 19


async def test_from_an_attempt_the_cursor_goes_on(decay: str) -> None:
    async with piloted(decay) as (app, pilot):
        await press(pilot, *["j"] * 9)
        assert (app.kedit.cursor, app.kedit.attempt is not None) == (15, True)
        await app.show("health")
        await settled(pilot)
        await press(pilot, "left")
        assert (app.kedit.cursor, app.kedit.attempt) == (14, None)


async def test_a_click_moves_the_cursor(decay: str) -> None:
    async with piloted(decay, first="health") as (app, pilot):
        await pilot.click(HealthCharts, offset=(22, 4))
        await settled(pilot)
        assert app.kedit.cursor == 1


async def test_views_one_after_another_where_there_is_no_room(decay: str) -> None:
    async with piloted(decay, NARROW, first="health") as (app, pilot):
        await press(pilot, "v")
        assert app.query_one(RetentionMatrix).has_focus
        assert "facts of v1 at v24: .00 held" in text_of(app)
        assert "×" in row_of(app, "v1 ")
        await press(pilot, "left")
        assert app.kedit.cursor == 23
        await press(pilot, "v")
        assert "v23 in numbers" in text_of(app)
        assert "collapsed" in text_of(app)
        await press(pilot, "v")
        assert app.query_one(HealthCharts).has_focus
        assert "at the cursor v23" in text_of(app)


async def test_all_at_once_where_there_is_room(decay: str) -> None:
    async with piloted(decay, BROAD, first="health") as (app, pilot):
        for part in ("v24 in numbers", "facts of v1 at v24", "fail +50%", "perplexity 1.6"):
            assert part in text_of(app), part
        await press(pilot, "v", "home")
        assert app.query_one(RetentionMatrix).has_focus
        assert app.kedit.cursor == 1
        assert "v1 in numbers" in text_of(app)


async def test_a_share_has_a_character_of_its_own() -> None:
    signs = [shade(value)[0] for value in (1.0, 0.8, 0.5, 0.1, 0.0, None)]
    assert len(set(signs)) == 6


async def test_the_scale_goes_close_and_back(decay: str) -> None:
    async with piloted(decay, first="health") as (app, pilot):
        before = text_of(app)
        await press(pilot, "s")
        assert "fail 1.0↑" in text_of(app)
        await press(pilot, "s")
        assert text_of(app).split("\n")[3:8] == before.split("\n")[3:8]


async def test_copying_gives_the_numbers(decay: str) -> None:
    async with piloted(decay, first="health") as (app, pilot):
        await press(pilot, "home", "y")
        assert app.clipboard.startswith("v1: healthy, perplexity 0, drift .000, retention 1.0")


@pytest.mark.parametrize("edits", [0, 1])
async def test_an_empty_history_and_one_version(tmp_path: Path, edits: int) -> None:
    with always_the_same(), new_store(tmp_path / "store") as store:
        for place in range(edits):
            tell(store, place, "Lyon", "Rome")
    with serving(tmp_path / "store") as url:
        for size in (NARROW, BROAD, (40, 12), (20, 6)):
            async with piloted(url, size, first="health") as (app, pilot):
                await press(pilot, "left", "end", "v", "left", "v", "v", "n", "s")
                if size == NARROW:
                    assert ("no edit on this line" in text_of(app)) is not bool(edits)
                    assert ("at the cursor v1" in text_of(app)) is bool(edits)


async def test_a_version_beside_the_line(story: str) -> None:
    async with piloted(story) as (app, pilot):
        while app.kedit.cursor != 5:
            await press(pilot, "j")
        await app.show("health")
        await settled(pilot)
        assert "v5 ● healthy · not on HEAD's line" in lines_of(app)[2]
        assert "at the cursor v5" in text_of(app)


async def test_hostile_reasons_are_inert(hostile: str) -> None:
    async with piloted(hostile, BROAD, first="health") as (app, pilot):
        await press(pilot, "v", "v")
        for line in lines_of(app):
            assert not set(line) & set("\x1b\x07\n\r\t\x00\x7f\u202e\u2066\u200d\u2028\ufeff")


@pytest.mark.parametrize("size", [NARROW, BROAD], ids=["80x24", "160x48"])
@pytest.mark.parametrize("theme", ["kedit-dark", "kedit-light"])
def test_health_looks_right(snap_compare: Compare, decay: str, size: tuple[int, int], theme: str) -> None:
    app = KeditApp(decay, clock=clock, theme=theme, first="health")

    async def run(pilot: Pilot[None]) -> None:
        await settled(pilot)
        await press(pilot, "left", "left")

    assert snap_compare(app, terminal_size=size, run_before=run)


# A real engine


async def test_a_check_and_an_evaluation_of_the_version_at_the_cursor(engine: EngineProcess) -> None:
    async with piloted(engine.store, BROAD, first="health") as (app, pilot):
        await until(pilot, lambda: "at the cursor v2" in text_of(app))
        await press(pilot, "left", "g")
        await until(pilot, lambda: "v1 checked now" in text_of(app))
        assert any("v1: " in one and "checks pass" in one for one in notices_of(app))
        await press(pilot, "right", "e")
        await until(pilot, lambda: any("v2 measured again" in one for one in notices_of(app)))
        await until(pilot, lambda: "facts of v1 at v2" in text_of(app))
        store = f"--store {engine.store}"
        assert [line for _, line in app.kedit.commands] == [
            f"kedit check 1 {store}",
            f"kedit eval --ref 2 {store}",
        ]
        with engine.client() as client:
            newest = client.audit(limit=1).events[0]
        assert (newest.kind, newest.command) == ("eval", f"kedit eval --ref 2 {store}")


async def test_nothing_is_measured_where_only_looking_is_allowed(decay: str) -> None:
    async with piloted(decay, first="health", readonly=True) as (app, pilot):
        await press(pilot, "e")
        assert any("read-only" in one for one in notices_of(app))
