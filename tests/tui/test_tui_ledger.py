"""The ledger: rows, cursor, details, filter, comparison, copying; on a server of queries."""

from __future__ import annotations

import pytest
from tui_pilot import BROAD, NARROW, history_of, lines_of, notices_of, piloted, press, settled, text_of, until
from tui_store import HOSTILE

from kedit_lifecycle.tui.widgets.dialog import TextDialog

pytestmark = pytest.mark.tui


async def test_the_history_as_in_the_picture(story: str) -> None:
    async with piloted(story, BROAD) as (app, _):
        lines = lines_of(app)
        assert "kedit · tiny · main · ● healthy · 8 versions · engine ●" in lines[0]
        assert lines[0].rstrip().endswith("12:04")
        assert "1 Ledger" in lines[1]
        head = next(line for line in lines if "▸main" in line)
        for part in ("●", " 7 w memit", "Lyon → Oslo", "1.0 .90 .80", "+2.0%", "● healthy"):
            assert part in head
        assert any("│○  5 w rome" in line and "[aside] ↰2 Nice → Kyoto" in line for line in lines)
        assert any("│✗" in line and "Toko Yasuda → Oslo" in line and "✗ reject" in line for line in lines)
        assert any(" 6 m serac" in line for line in lines)
        assert any("Lyon → Manila ⊘" in line for line in lines)
        assert any("<good>" in line for line in lines)
        assert any("perplexity ▁" in line and "‖ΔW‖" in line for line in lines)


async def test_the_cursor_begins_at_head_and_moves(story: str) -> None:
    async with piloted(story) as (app, pilot):
        assert app.kedit.cursor == 7
        await press(pilot, "j")
        assert app.kedit.cursor == 6
        await press(pilot, "G")
        assert app.kedit.cursor == 0
        await press(pilot, "g")
        assert app.kedit.cursor == 8
        await press(pilot, "j", "j", "j", "j")
        assert (app.kedit.cursor, app.kedit.attempt) == (4, 6)


async def test_who_moves_on_while_rows_are_read_again_is_not_taken_back_to_head(story: str) -> None:
    async with piloted(story) as (app, pilot):
        assert app.current is not None
        app.current.reload()
        await pilot.press("j")
        await settled(pilot)
        assert app.kedit.cursor == 6


async def test_a_click_moves_the_cursor(story: str) -> None:
    async with piloted(story) as (app, pilot):
        await pilot.click(history_of(app), offset=(20, 6))
        await settled(pilot)
        assert app.kedit.cursor == 3


async def test_the_version_beside_the_list(story: str) -> None:
    async with piloted(story, BROAD) as (app, pilot):
        for part in (
            "v7 · ",
            "The capital of Lyon is → Oslo",
            "instead of  Paris",
            "p(Oslo) .97",
            "✓ efficacy",
            "! neighborhood",
            "as the policy guarded says",
            "loss",
            "#13 commit",
            "replaces    v1",
        ):
            assert part in text_of(app), part  # fmt: skip
        await press(pilot, "j", "j", "j")
        for part in ("attempt 6 · taken back", "✗ reject", "perplexity: 1.6 ×"):
            assert part in text_of(app), part


async def test_on_a_narrow_terminal_enter_opens_and_escape_closes(story: str) -> None:
    async with piloted(story, NARROW) as (app, pilot):
        assert "The capital of" not in text_of(app)
        await press(pilot, "enter")
        assert "The capital of Lyon is → Oslo" in text_of(app)
        assert "subject → new target" not in text_of(app)
        before = text_of(app)
        await press(pilot, "j", "j")
        assert text_of(app) != before
        await press(pilot, "escape")
        assert "subject → new target" in text_of(app)
        assert history_of(app).has_focus


async def test_a_tall_terminal_shows_both(story: str) -> None:
    async with piloted(story, (80, 44)) as (app, _):
        assert "subject → new target" in text_of(app)
        assert "The capital of Lyon is → Oslo" in text_of(app)


async def test_a_filter_shows_what_holds_its_words_until_it_is_cleared(story: str) -> None:
    async with piloted(story) as (app, pilot):
        await press(pilot, "slash", *"lyon")
        await until(pilot, lambda: history_of(app).total == 2)
        await press(pilot, "enter")
        assert "2 found" in text_of(app)
        assert "/lyon" in text_of(app)
        assert history_of(app).has_focus
        assert app.kedit.cursor == 7
        await press(pilot, "slash", "escape")
        await until(pilot, lambda: history_of(app).total == 10)
        assert "/lyon" not in text_of(app)


async def test_keys_go_into_the_filter_and_do_nothing_else(story: str) -> None:
    async with piloted(story) as (app, pilot):
        await press(pilot, "slash", *"zzqd?1")
        assert app.is_running
        assert "no version is like that" in text_of(app)
        assert not app.kedit.commands


async def test_two_versions_are_compared(story: str) -> None:
    async with piloted(story) as (app, pilot):
        await press(pilot, "c")
        assert any("m marks another version" in notice for notice in notices_of(app))
        await press(pilot, "m", "j", "j", "c")
        await until(pilot, lambda: isinstance(app.screen, TextDialog))
        for part in ("v7 compared with v5", "v2 in common", "only in v7", "only in v5", "Nice is → Kyoto"):
            assert part in text_of(app), part
        await pilot.press("escape")
        assert app.kedit.commands[-1][1] == "kedit diff 7 5"
        await press(pilot, "k", "k", "m")
        assert app.kedit.marked is None


async def test_the_id_is_copied_to_the_clipboard(story: str) -> None:
    async with piloted(story) as (app, pilot):
        await press(pilot, "y")
        row = history_of(app).row
        assert row is not None
        assert app.clipboard == row.id
        assert len(row.id) >= 10


async def test_a_long_history_comes_in_pages(many: str) -> None:
    async with piloted(many) as (app, pilot):
        history = history_of(app)
        assert history.total == 351
        assert len(history.known_rows()) < 351
        await press(pilot, "G")
        assert app.kedit.cursor == 0
        await press(pilot, "pageup", "pageup")
        assert app.kedit.cursor == 2 * (history.size.height - 1)
        for number in (349, 175, 3):
            history.cursor = 350 - number
            await settled(pilot)
            assert app.kedit.cursor == number
            assert f"City {number} → Rome" in text_of(app)


async def test_no_action_is_about_a_row_that_is_not_there_yet(many: str) -> None:
    async with piloted(many) as (app, pilot):
        await pilot.press("G")
        await app.perform("ledger.mark")
        assert app.kedit.marked in (None, 0)


@pytest.mark.parametrize("size", [NARROW, BROAD])
async def test_hostile_text_is_shown_inert(hostile: str, size: tuple[int, int]) -> None:
    async with piloted(hostile, size) as (app, pilot):
        for place in range(2 * len(HOSTILE)):
            history_of(app).cursor = place
            await press(pilot, "enter")
            for line in lines_of(app):
                assert not set(line) & set("\x1b\x07\n\r\t\x00\x7f\u202e\u2066\u200d\u2028\ufeff")
            await press(pilot, "escape")
        assert "[bold red]not mark" in text_of(app)


@pytest.mark.parametrize("size", [(40, 12), (20, 6), (240, 60)])
async def test_any_size_is_drawn(story: str, size: tuple[int, int]) -> None:
    async with piloted(story, size) as (app, pilot):
        await press(pilot, "j", "enter", "escape")
        assert "kedit" in text_of(app)
