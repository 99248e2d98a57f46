"""Pictures of each screen of the terminal UI, from a real store: SVG files for the README and the docs.

    python scripts/tui_screenshots.py [--store store] [--out docs/screenshots] [--size 120x34]
        [--theme kedit-dark] [--type "ask=The capital of France is"] [--keys ask=enter] [--only ledger,audit]

The store's engine is used, and started if none runs. Before a screen's picture is taken, `--type` writes into
the field that has the focus, and into those that tab leads to, a | between them; `--keys` presses keys, a
space between them: `--keys "ask=tab enter"`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from kedit_lifecycle.tui.app import KeditApp
from kedit_lifecycle.tui.screens import registry
from kedit_lifecycle.tui.themes import DARK, THEMES

PATIENCE = 180.0  # seconds for an engine to start and a model to load
QUIET = ("link", "discover")  # groups of workers that never end, or do not matter
EXTRA: Mapping[str, tuple[str, ...]] = {"help": ("question_mark",), "commands": ("colon",)}
"""Windows over the first screen, and the keys that open them."""


async def _until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("the screen did not settle")
        await pilot.pause(0.05)


async def _settled(pilot: Pilot[None], app: KeditApp) -> None:
    """An engine answers, no job runs and nothing is being read."""
    await _until(pilot, lambda: app.kedit.connected)
    for _ in range(2):
        await _until(pilot, lambda: not [one for one in app.workers if one.group not in QUIET])
        await _until(pilot, lambda: app.kedit.nothing_runs() is not None)
        await pilot.pause(0.4)


async def _typed(pilot: Pilot[None], app: KeditApp, text: str) -> None:
    for place, part in enumerate(text.split("|")):
        if place:
            await pilot.press("tab")
        if isinstance(app.focused, Input):
            app.focused.insert_text_at_cursor(part)


async def take(
    app: KeditApp, size: tuple[int, int], name: str, text: str, keys: tuple[str, ...], out: Path
) -> Path:
    """A picture of what is seen after some text and keys."""
    async with app.run_test(size=size) as pilot:
        await _settled(pilot, app)
        if text:
            await _typed(pilot, app, text)
            await pilot.pause(1.0)
            await _settled(pilot, app)
        for key in keys:
            await pilot.press(key)
            await _settled(pilot, app)
        app.clear_notifications()
        await pilot.pause(0.2)
        path = out / f"{name}.svg"
        path.write_text(app.export_screenshot(title="kedit"), encoding="utf-8")
        return path


def main() -> None:
    """Write a picture per screen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, default=Path("store"))
    parser.add_argument("--out", type=Path, default=Path("docs/screenshots"))
    parser.add_argument("--size", default="120x34", help="columns x lines")
    parser.add_argument("--theme", default=DARK.name, choices=[theme.name for theme in THEMES])
    parser.add_argument("--type", action="append", default=[], metavar="SCREEN=TEXT|TEXT")
    parser.add_argument("--keys", action="append", default=[], metavar="SCREEN=KEYS")
    parser.add_argument("--only", default="", metavar="SCREEN,SCREEN")
    arguments = parser.parse_args()
    width, _, height = arguments.size.partition("x")
    pressed = {name: tuple(keys.split()) for name, _, keys in (one.partition("=") for one in arguments.keys)}
    typed = {name: text for name, _, text in (one.partition("=") for one in arguments.type)}
    arguments.out.mkdir(parents=True, exist_ok=True)
    first = registry.screens()[0].name
    wanted = {one.name: (one.name, ()) for one in registry.screens()} | {
        name: (first, keys) for name, keys in EXTRA.items()
    }
    only = [name for name in arguments.only.split(",") if name]
    for name, (screen, keys) in wanted.items():
        if not only or name in only:
            app = KeditApp(arguments.store, first=screen, theme=arguments.theme)
            given = (typed.get(name, ""), pressed.get(name, ()) + keys)
            shot = take(app, (int(width), int(height)), name, *given, arguments.out)
            print(asyncio.run(shot))


if __name__ == "__main__":
    main()
