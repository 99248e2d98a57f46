"""Actions, keys, palette, help, themes, screens as plug-ins; on a server of queries."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import ClassVar

import pytest
from command_lines import parsed
from textual.app import ComposeResult
from textual.command import CommandPalette
from textual.widgets import Input, Static
from tui_pilot import BROAD, history_of, lines_of, notices_of, piloted, press, settled, text_of, until

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.tui.actions import GLOBAL, Action
from kedit_lifecycle.tui.app import KeditApp
from kedit_lifecycle.tui.global_actions import DOERS
from kedit_lifecycle.tui.keymap import Keymap, keys_file, names_of
from kedit_lifecycle.tui.screens import registry
from kedit_lifecycle.tui.screens.base import KeditScreen
from kedit_lifecycle.tui.themes import THEMES
from kedit_lifecycle.tui.widgets.dialog import TextDialog
from kedit_lifecycle.tui.widgets.jump import JumpScreen

pytestmark = pytest.mark.tui


class Plugin(KeditScreen):
    """A screen of another package."""

    TITLE: ClassVar[str] = "Plug[in]"
    ORDER: ClassVar[int] = 15
    ACTIONS: ClassVar[tuple[Action, ...]] = (Action("plugin.shout", "u", "Shout", "shout"),)

    def compose(self) -> ComposeResult:
        yield Static("a screen from elsewhere")
        yield Input()

    def act_shout(self) -> None:
        self.kedit.notify("LOUD")


@pytest.fixture
def plugin() -> Iterator[None]:
    registry.register("plugin", Plugin.TITLE, Plugin.ORDER, Plugin)
    yield
    registry.unregister("plugin")


# Actions


def test_every_action_is_told_apart_and_can_be_done() -> None:
    screens = [entry.make() for entry in registry.screens()]
    actions = [*GLOBAL, *(action for screen in screens for action in screen.actions)]
    assert len({action.id for action in actions}) == len(actions)
    assert {action.id for action in GLOBAL} == set(DOERS)
    for screen in screens:
        for action in screen.actions:
            assert callable(getattr(screen, action.method, None)), action.id
            assert action.help
            own = {
                key for one in (*screen.actions, *GLOBAL) if one is not action for key in names_of(one.keys)
            }
            assert not own.intersection(names_of(action.keys)), action.id


async def test_the_command_of_every_action_can_be_typed(story: str) -> None:
    typed = set()
    async with piloted(story) as (app, pilot):
        for entry in registry.screens():
            await app.show(entry.name)
            await settled(pilot)
            for action in app.actions():
                command = action.command(app.kedit)
                if command and "…" not in command and action.reason(app.kedit) is None:
                    program, *words = shlex.split(command)
                    assert program == "kedit"
                    parsed(words)  # click refuses what is no command
                    typed.add(action.id)
    assert {"ledger.undo", "ledger.check", "health.evaluate"} <= typed


async def test_what_cannot_be_done_says_why_and_is_not_done(story: str) -> None:
    async with piloted(story, readonly=True) as (app, pilot):
        await press(pilot, "z")
        assert "Undo the last edit, rollback or switch: this session is read-only" in notices_of(app)
        assert not app.kedit.commands
        assert "read-only" in lines_of(app)[0]


async def test_keys_in_the_footer_are_clickable(story: str) -> None:
    async with piloted(story) as (app, pilot):
        place = lines_of(app)[-1].index("? help")
        await pilot.click(offset=(place, app.size.height - 1))
        await until(pilot, lambda: isinstance(app.screen, TextDialog))


async def test_tabs_are_reached_by_digits_brackets_and_mouse(story: str) -> None:
    async with piloted(story) as (app, pilot):
        number = [one.name for one in registry.screens()].index("audit") + 1
        await press(pilot, str(number))
        assert app.current is not None
        assert app.current.screen_name == "audit"
        await pilot.click(offset=(lines_of(app)[1].index("Ledger"), 1))
        await settled(pilot)
        assert app.current.screen_name == "ledger"
        assert history_of(app).has_focus
        await press(pilot, "left_square_bracket")
        assert app.current.screen_name == registry.screens()[-1].name
        await press(pilot, "right_square_bracket")
        assert app.current.screen_name == "ledger"


async def test_help_names_every_key_of_the_screen(story: str) -> None:
    async with piloted(story, (120, 90)) as (app, pilot):
        await press(pilot, "question_mark")
        text = text_of(app)
        assert app.current is not None
        for action in (*app.current.actions, *GLOBAL):
            assert action.help in text, action.id
        assert "The newest" in text  # of the list, which has the focus
        assert "kedit undo" in text
        assert "efficacy, paraphrase, neighborhood" in text
        await press(pilot, "escape")
        assert not isinstance(app.screen, TextDialog)


async def test_the_palette_finds_an_action_and_does_it(story: str) -> None:
    async with piloted(story, BROAD) as (app, pilot):
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"next theme")
        await until(pilot, lambda: "The next theme" in text_of(app))
        await pilot.pause(0.5)
        await pilot.press("enter")
        await until(pilot, lambda: app.theme == THEMES[1].name)


async def test_the_command_log_has_what_was_done(story: str) -> None:
    async with piloted(story) as (app, pilot):
        await press(pilot, "m", "j", "j", "c", "escape", "l")
        assert "12:04:00  kedit diff 7 5" in text_of(app)


async def test_a_letter_jumps_to_a_widget(story: str) -> None:
    async with piloted(story, BROAD) as (app, pilot):
        assert history_of(app).has_focus
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await press(pilot, "s")
        assert not history_of(app).has_focus
        await press(pilot, "f", "a")
        assert history_of(app).has_focus


async def test_one_key_goes_through_the_themes(story: str) -> None:
    async with piloted(story) as (app, pilot):
        seen = []
        for _ in THEMES:
            await press(pilot, "d")
            seen.append(app.theme)
            assert "▸main" in text_of(app)
        assert seen == [*(theme.name for theme in THEMES[1:]), THEMES[0].name]


def test_no_such_theme_and_no_such_screen() -> None:
    with pytest.raises(UsageError, match="pink"):
        KeditApp("http://127.0.0.1:1", theme="pink")
    with pytest.raises(UsageError, match="nowhere") as refused:
        KeditApp("http://127.0.0.1:1", first="nowhere")
    assert refused.value.hint.startswith("one of ledger")


# Keys of the user


def test_a_key_map_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    assert Keymap.load(file) == Keymap()
    file.write_text(
        '[keys]\n"ledger.undo" = ["u", "ctrl+z"]\n"app.quit" = "?"\n"app.help" = 7\n"x.y" = "f9"\n'
    )
    keymap = Keymap.load(file)
    undo = Action("ledger.undo", "z", "Undo")
    assert keymap.keys(undo) == ("u", "ctrl+z")
    assert keymap.find("question_mark", [undo, *GLOBAL]) == next(
        one for one in GLOBAL if one.id == "app.quit"
    )
    assert len(keymap.problems) == 1
    assert "app.help" in keymap.problems[0]
    assert keymap.unknown([undo, *GLOBAL]) == ["x.y"]
    for broken in ("keys = 3", "[keys", "\xff"):
        file.write_text(broken, "latin-1")
        assert Keymap.load(file).problems


def test_the_key_map_is_looked_for_where_it_should_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert keys_file() == tmp_path / "kedit" / "keys.toml"


async def test_the_users_keys_take_the_place_of_ours(story: str) -> None:
    keymap = Keymap({"ledger.mark": ("u",), "nothing.like-it": ("f9",)})
    async with piloted(story, keymap=keymap) as (app, pilot):
        await until(pilot, lambda: any("nothing.like-it" in notice for notice in notices_of(app)))
        await press(pilot, "m")
        assert app.kedit.marked is None
        await press(pilot, "u")
        assert app.kedit.marked == 7


# Screens


async def test_a_screen_of_another_package(story: str, plugin: None) -> None:
    async with piloted(story) as (app, pilot):
        assert "2 Plug[in]" in lines_of(app)[1]
        await press(pilot, "2")
        assert "a screen from elsewhere" in text_of(app)
        assert "u shout" in lines_of(app)[-1]
        await press(pilot, "u")  # the field has the focus and takes it
        assert "LOUD" not in notices_of(app)
        await app.perform("plugin.shout")
        await pilot.pause()
        assert "LOUD" in notices_of(app)


def test_a_name_is_registered_once(plugin: None) -> None:
    for name in ("plugin", "", "no spaces"):
        with pytest.raises(UsageError):
            registry.register(name, "Again", 1, Plugin)


def test_entry_points_add_screens_and_broken_ones_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        [
            EntryPoint("found", "test_tui_base:Plugin", registry.GROUP),
            EntryPoint("broken", "no_such_module:Nothing", registry.GROUP),
        ]
    )
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **chosen: points.select(**chosen))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    try:
        problems = registry.discover()
        assert len(problems) == 1
        assert "broken" in problems[0]
        assert [one.order for one in registry.screens() if one.name == "found"] == [Plugin.ORDER]
    finally:
        registry.unregister("found")
