"""What the screens look like, as pictures that a person has looked at.

After a wanted change: `pytest tests/tui/test_tui_snapshots.py --snapshot-update`, and look at the new ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from textual.pilot import Pilot
from tui_pilot import BROAD, NARROW, clock, press, settled

from kedit_lifecycle.tui.app import KeditApp

pytestmark = pytest.mark.tui

Compare = Callable[..., bool]
SIZES = pytest.mark.parametrize("size", [NARROW, BROAD], ids=["80x24", "160x48"])
THEMES = pytest.mark.parametrize("theme", ["kedit-dark", "kedit-light"])


def after(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Press keys once everything has come."""

    async def run(pilot: Pilot[None]) -> None:
        await settled(pilot)
        if keys:
            await press(pilot, *keys)

    return run


@SIZES
@THEMES
def test_ledger(snap_compare: Compare, story: str, size: tuple[int, int], theme: str) -> None:
    app = KeditApp(story, clock=clock, theme=theme)
    assert snap_compare(app, terminal_size=size, run_before=after())


@pytest.mark.parametrize("theme", ["ansi", "high-contrast"])
def test_ledger_in_other_themes(snap_compare: Compare, story: str, theme: str) -> None:
    app = KeditApp(story, clock=clock, theme=theme)
    assert snap_compare(app, terminal_size=NARROW, run_before=after("j", "j"))


def test_ledger_with_a_version_opened(snap_compare: Compare, story: str) -> None:
    app = KeditApp(story, clock=clock)
    assert snap_compare(app, terminal_size=NARROW, run_before=after("enter"))


@SIZES
@THEMES
def test_audit(snap_compare: Compare, story: str, size: tuple[int, int], theme: str) -> None:
    app = KeditApp(story, clock=clock, theme=theme, first="audit")
    assert snap_compare(app, terminal_size=size, run_before=after("j"))


def test_hostile_ledger(snap_compare: Compare, hostile: str) -> None:
    app = KeditApp(hostile, clock=clock)
    assert snap_compare(app, terminal_size=BROAD, run_before=after("j", "j", "j"))


@SIZES
def test_comparison(snap_compare: Compare, story: str, size: tuple[int, int]) -> None:
    app = KeditApp(story, clock=clock)
    assert snap_compare(app, terminal_size=size, run_before=after("m", "j", "j", "c"))
