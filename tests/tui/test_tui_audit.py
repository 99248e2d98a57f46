"""The audit chain as the screen shows it; on a server of queries."""

from __future__ import annotations

import pytest
from tui_pilot import BROAD, piloted, press, settled, text_of, until
from tui_store import HOSTILE

from kedit_lifecycle.tui.app import KeditApp
from kedit_lifecycle.tui.screens.audit.event_list import EventList

pytestmark = pytest.mark.tui


def chain_of(app: KeditApp) -> EventList:
    return app.query_one(EventList)


async def test_every_event_with_author_time_and_command(story: str) -> None:
    async with piloted(story, BROAD, first="audit") as (app, pilot):
        assert chain_of(app).total == 15
        for part in (
            "15 2026-03-01 09:14:00 Ada",
            "undo",
            "takes back event 14",
            "kedit edit",
            "what was written",
        ):
            assert part in text_of(app), part
        await press(pilot, "G")
        assert "create version 0" in text_of(app)
        await press(pilot, "y")
        assert app.clipboard == "kedit edit"


async def test_only_events_of_a_kind(story: str) -> None:
    async with piloted(story, first="audit") as (app, pilot):
        await press(pilot, "slash", *"switch", "enter")
        await until(pilot, lambda: chain_of(app).total == 2)
        assert "HEAD aside → main" in text_of(app)
        await press(pilot, "slash", "escape")
        await until(pilot, lambda: chain_of(app).total == 15)
        await press(pilot, "slash", *"nonsense")
        await until(pilot, lambda: "no event is of this kind" in text_of(app))


async def test_a_long_chain_comes_in_pages(many: str) -> None:
    async with piloted(many, first="audit") as (app, pilot):
        chain = chain_of(app)
        assert chain.total == 351
        for place in (0, 150, 349, 350):
            chain.cursor = place
            await settled(pilot)
            row = chain.row
            assert row is not None
            assert row.seq == 351 - place


async def test_pages_of_a_kind_follow_each_other(many: str) -> None:
    async with piloted(many, first="audit") as (app, pilot):
        await press(pilot, "slash", *"commit", "enter")
        chain = chain_of(app)
        await until(pilot, lambda: chain.total == 350)
        await press(pilot, "G")
        row = chain.row
        assert row is not None
        assert row.seq == 2


async def test_hostile_text_is_shown_inert(hostile: str) -> None:
    async with piloted(hostile, BROAD, first="audit") as (app, pilot):
        for place in range(2 * len(HOSTILE)):
            chain_of(app).cursor = place
            await settled(pilot)
            assert not set(text_of(app).replace("\n", "")) & set(
                "\x1b\x07\r\t\x00\x7f\u202e\u2066\u200d\u2028"
            )
