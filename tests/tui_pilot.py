"""Driving the terminal UI in tests: an app that has settled, waiting for what must come, what is seen."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from kedit_lifecycle.tui.app import KeditApp
from kedit_lifecycle.tui.screens.ledger.history_list import HistoryList

PATIENCE = 60.0  # seconds; a loaded machine takes long
NARROW, BROAD = (80, 24), (160, 48)


def clock() -> datetime:
    """Always the same time."""
    return datetime(2026, 3, 1, 12, 4)


def lines_of(app: KeditApp) -> list[str]:
    """What the terminal shows, line by line."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def text_of(app: KeditApp) -> str:
    """What the terminal shows."""
    return "\n".join(line.rstrip() for line in lines_of(app))


async def until(pilot: Pilot[None], holds: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What it gives, once that is true."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"it never came true; the screen:\n{text_of(app_of(pilot))}"
        await pilot.pause(0.02)
    return found


def app_of(pilot: Pilot[None]) -> KeditApp:
    """The app that a pilot drives."""
    app = pilot.app
    assert isinstance(app, KeditApp)
    return app


async def settled(pilot: Pilot[None]) -> None:
    """The engine answered, and nothing more is under way."""
    app = app_of(pilot)
    await until(pilot, lambda: app.kedit.connected)
    await until(pilot, lambda: not [one for one in app.workers if one.group not in ("link", "discover")])
    await pilot.pause(0.15)
    await until(pilot, lambda: not [one for one in app.workers if one.group not in ("link", "discover")])
    await pilot.pause()


@asynccontextmanager
async def piloted(
    where: Path | str, size: tuple[int, int] = NARROW, **options: Any
) -> AsyncIterator[tuple[KeditApp, Pilot[None]]]:
    """The app on a store or URL, connected and settled, and its pilot."""
    app = KeditApp(where, clock=clock, **options)
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        yield app, pilot


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and wait until all they led to has settled."""
    await pilot.press(*keys)
    await settled(pilot)


def history_of(app: KeditApp) -> HistoryList:
    """The ledger's list."""
    return app.query_one(HistoryList)


def notices_of(app: KeditApp) -> list[str]:
    """The notices shown so far that are still there."""
    return [notice.message for notice in app._notifications]
