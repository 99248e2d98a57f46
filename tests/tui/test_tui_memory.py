"""Memory: entries, filter, the threshold on its ROC curve; queries and consolidation on a real engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_process import EngineProcess, engine_on
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot
from textual.widgets import Input
from tui_pilot import BROAD, NARROW, clock, lines_of, notices_of, piloted, press, settled, text_of, until
from tui_remembering import SETTINGS, make_remembered, make_tiny_memory
from tui_server import serving

from kedit_lifecycle.engine.messages import MemoryView
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.tui.app import KeditApp
from kedit_lifecycle.tui.screens.memory.consolidating import ConsolidateDialog, How
from kedit_lifecycle.tui.screens.memory.entry_list import EntryList
from kedit_lifecycle.tui.screens.memory.roc import at_threshold, curve, picture, reach

pytestmark = pytest.mark.tui

Compare = Callable[..., bool]
ROC = ((0.9, 0.0, 0.2), (0.8, 0.01, 0.9), (0.5, 0.05, 0.95), (0.1, 1.0, 1.0))
UNSAFE = set("\x1b\x07\n\r\t\x00\x7f\u202e\u2066\u200d\u2028\ufeff")


@pytest.fixture(scope="module")
def remembered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A URL that answers queries about a large memory with hostile facts in it."""
    with serving(make_remembered(tmp_path_factory.mktemp("remembered") / "store")) as url:
        yield url


@pytest.fixture(scope="module")
def tiny_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a tiny model with three facts in its memory; only ever copied."""
    import torch

    torch.set_num_threads(1)
    return make_tiny_memory(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def remembering(tiny_memory: Path, tmp_path: Path) -> Iterator[EngineProcess]:
    """A real engine of that store, for one test."""
    with engine_on(Path(shutil.copytree(tiny_memory, tmp_path / "store"))) as found:
        yield found


def view(threshold: float | None = 0.8, roc: tuple[tuple[float, float, float], ...] = ROC) -> MemoryView:
    return MemoryView(entries=(), total=0, classifier="f" * 64, threshold=threshold, roc=roc)


def entries_of(app: KeditApp) -> EntryList:
    """The list."""
    return app.query_one(EntryList)


async def ask(app: KeditApp, pilot: Pilot[None], query: str) -> None:
    """Put a query to the memory, and wait for what is answered."""
    await press(pilot, "t")
    app.query_one("#memory-query", Input).value = query
    await press(pilot, "enter")
    await until(pilot, lambda: "answered" in text_of(app) and "answered  …" not in text_of(app))


# The curve


def test_the_rates_of_a_threshold_are_those_of_the_curve() -> None:
    assert at_threshold(ROC, 0.8) == (0.8, 0.01, 0.9)
    assert at_threshold(ROC, 0.6) == (0.8, 0.01, 0.9)
    assert at_threshold(ROC, 0.95) == (0.95, 0.0, 0.0)
    assert at_threshold((), 0.5) is None
    assert reach(ROC, 0.8) == 0.1
    assert reach(ROC, 0.5) == 0.2
    assert reach(ROC, None) == 1.0


def test_threshold_and_query_stand_on_the_curve() -> None:
    plain = "\n".join(line.plain for line in curve(view(), 0.5, 45, 10))
    assert plain.count("◆") == 1
    assert plain.count("○") == 1
    lines = plain.split("\n")
    assert len(lines) == 10
    assert lines[0].startswith(" 1.0│")
    assert next(place for place, line in enumerate(lines) if "◆" in line) == 1
    told = picture(view(), 0.5, 45, 12).plain
    for part in (".800 answers 90.0% of meant", "1.0% of other queries", "query .500, out of scope"):
        assert part in told
    assert "no ROC" in picture(view(None, ()), None, 45, 12).plain


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), max_size=20),
    st.floats(0, 1),
    st.integers(0, 60),
    st.integers(3, 20),
)
def test_any_curve_is_drawn(
    roc: list[tuple[float, float, float]], threshold: float, width: int, height: int
) -> None:
    lines = curve(view(threshold, tuple(sorted(roc, reverse=True))), threshold / 2, width, height)
    assert len({line.cell_length for line in lines}) == 1


def test_settings_are_read_as_the_command_line_reads_them() -> None:
    how = How((3, 4), "memit", "observe", ("layers=[0,1]", "kind=word"), dry_run=True)
    assert how.config == {"layers": [0, 1], "kind": "word"}
    assert how.arguments() == [
        *("consolidate", "3", "4", "--method", "memit", "--policy", "observe"),
        *("--set", "layers=[0,1]", "--set", "kind=word", "--dry-run"),
    ]
    with pytest.raises(UsageError, match="NAME=VALUE"):
        _ = How((), "memit", "observe", ("layers",), dry_run=False).config


# The entries


async def test_the_entries_of_a_version(remembered: str) -> None:
    async with piloted(remembered, first="memory") as (app, pilot):
        assert "v251 · 259 facts in memory" in lines_of(app)[2]
        assert "answers from .904 on" in lines_of(app)[2]
        assert "The capital of [bold red]not" in text_of(app)
        assert "◆ .904 answers 98.8% of meant" in text_of(app)
        await press(pilot, "G")
        assert any("v251" in line and "Town 249 is → Oslo" in line for line in lines_of(app))
        await press(pilot, "y")
        assert app.clipboard == "The capital of Town 249 is → Oslo"


@pytest.mark.parametrize("size", [NARROW, BROAD, (40, 12), (20, 6)])
async def test_hostile_facts_are_inert(remembered: str, size: tuple[int, int]) -> None:
    async with piloted(remembered, size, first="memory") as (app, pilot):
        for _ in range(9):
            await press(pilot, "t", "escape", "j")
            app.query_one("#memory-query", Input).value = ""
            assert not [line for line in lines_of(app) if set(line) & UNSAFE]


async def test_a_filter_of_words(remembered: str) -> None:
    async with piloted(remembered, first="memory") as (app, pilot):
        await press(pilot, "slash", *"town 249")
        await until(pilot, lambda: entries_of(app).total == 2)
        assert "2 facts" in lines_of(app)[2]
        await press(pilot, "enter")
        assert entries_of(app).has_focus
        await press(pilot, "slash", *"zzz")
        await until(pilot, lambda: "no fact is like that" in text_of(app))


async def test_facts_are_marked_by_their_version(remembered: str) -> None:
    async with piloted(remembered, first="memory") as (app, pilot):
        await press(pilot, "space")
        assert entries_of(app).marked == {1}
        assert entries_of(app).cursor == 1
        assert sum(line.startswith("* v1") for line in lines_of(app)) > 5
        assert "1 version marked" in text_of(app)
        await press(pilot, "c")
        assert isinstance(app.screen, ConsolidateDialog)
        assert "the facts of v1 go from the memory" in text_of(app)
        await press(pilot, "escape", "space")
        assert not entries_of(app).marked
        await press(pilot, "G", "space", "u")
        assert not entries_of(app).marked


async def test_it_is_the_memory_of_the_version_under_the_shared_cursor(remembered: str) -> None:
    async with piloted(remembered) as (app, pilot):
        await press(pilot, "j", "j")
        await app.show("memory")
        await settled(pilot)
        assert "v249 (HEAD: v251) · 257 facts" in lines_of(app)[2]
        await press(pilot, "c")
        assert any("only the memory at HEAD (v251)" in one for one in notices_of(app))
        await press(pilot, "H")
        await until(pilot, lambda: "v251 · 259 facts" in lines_of(app)[2])
        await press(pilot, "G", "k", "enter")
        assert app.current is not None
        assert (app.current.screen_name, app.kedit.cursor) == ("ledger", 250)


async def test_an_empty_memory_says_how_to_fill_it(many: str) -> None:
    async with piloted(many, first="memory") as (app, pilot):
        assert "this memory is empty: kedit edit --method serac" in text_of(app)
        await press(pilot, "space", "enter", "y", "c")
        assert any("the memory at HEAD is empty" in one for one in notices_of(app))


async def test_the_dialog_says_what_it_cannot_read(remembered: str) -> None:
    async with piloted(remembered, first="memory") as (app, pilot):
        await press(pilot, "c")
        app.screen.query_one("#consolidate-settings", Input).value = "layers"
        await press(pilot, "enter")
        assert isinstance(app.screen, ConsolidateDialog)
        assert "a setting is NAME=VALUE, not 'layers'" in text_of(app)


async def test_nothing_is_consolidated_where_only_looking_is_allowed(remembered: str) -> None:
    async with piloted(remembered, first="memory", readonly=True) as (app, pilot):
        await press(pilot, "c")
        assert not isinstance(app.screen, ConsolidateDialog)
        assert any("read-only" in one for one in notices_of(app))


@pytest.mark.parametrize("size", [NARROW, BROAD], ids=["80x24", "160x48"])
@pytest.mark.parametrize("theme", ["kedit-dark", "kedit-light"])
def test_memory_looks_right(
    snap_compare: Compare, remembered: str, size: tuple[int, int], theme: str
) -> None:
    app = KeditApp(remembered, clock=clock, theme=theme, first="memory")

    async def run(pilot: Pilot[None]) -> None:
        await settled(pilot)
        await press(pilot, "j", "space")

    assert snap_compare(app, terminal_size=size, run_before=run)


# A real engine


@pytest.mark.parametrize("size", [NARROW, BROAD])
async def test_a_query_is_tested(remembering: EngineProcess, size: tuple[int, int]) -> None:
    async with piloted(remembering.store, size, first="memory") as (app, pilot):
        await until(pilot, lambda: entries_of(app).total == 3)
        await press(pilot, "t")
        assert app.query_one("#memory-query", Input).value == "The capital of France is"
        await press(pilot, "enter")
        await until(pilot, lambda: "because" in text_of(app))
        for part in ("✓ the memory answers", "≥ .904", "answered  ", "because   ", "nearest"):
            assert part in text_of(app), part
        assert any("▸v2" in line for line in lines_of(app))
        assert app.kedit.commands[-1][1].startswith("kedit memory search 'The capital of France is' --at 4")
        await ask(app, pilot, "How do I boil an [bold]egg[/]?")
        assert "model answers" in text_of(app)
        assert "[bold]egg[/]" in text_of(app)
        assert not any("▸v2" in line for line in lines_of(app))
        await press(pilot, "escape", "o")
        assert entries_of(app).has_focus
        assert "◆" in text_of(app)


async def test_facts_go_into_the_weights(remembering: EngineProcess) -> None:
    async with piloted(remembering.store, BROAD, first="memory") as (app, pilot):
        await until(pilot, lambda: entries_of(app).total == 3)
        await press(pilot, "space", "space", "c")
        for name, value in (("settings", SETTINGS), ("policy", "observe")):
            app.screen.query_one(f"#consolidate-{name}", Input).value = value
        await press(pilot, "ctrl+t")
        await until(pilot, lambda: "nothing was kept: a dry run" in text_of(app))
        assert entries_of(app).total == 3
        await press(pilot, "c")
        for name, value in (("settings", SETTINGS), ("policy", "observe")):
            app.screen.query_one(f"#consolidate-{name}", Input).value = value
        await press(pilot, "enter")
        await until(pilot, lambda: "2 facts are in the weights now: v5" in text_of(app))
        await until(pilot, lambda: entries_of(app).total == 1)
        assert "v5 · 1 fact in memory" in lines_of(app)[2]
        assert "perplexity" in text_of(app)
        command = app.kedit.commands[-1][1]
        assert command.startswith("kedit consolidate 2 3 --method memit --policy observe --set ")
        with remembering.client() as client:
            assert client.audit(limit=1).events[0].command == command
            assert client.version("5").row.route == "weights"


async def test_what_the_gate_takes_back_stays_in_memory(remembering: EngineProcess) -> None:
    async with piloted(remembering.store, BROAD, first="memory") as (app, pilot):
        await until(pilot, lambda: entries_of(app).total == 3)
        await press(pilot, "c")
        app.screen.query_one("#consolidate-settings", Input).value = SETTINGS
        app.screen.query_one("#consolidate-policy", Input).value = "strict"
        await press(pilot, "enter")
        await until(pilot, lambda: "the memory keeps them" in text_of(app))
        assert "✗" in text_of(app)
        assert entries_of(app).total == 3
        assert app.kedit.cursor == 4


async def test_a_method_that_is_none_is_told(remembering: EngineProcess) -> None:
    async with piloted(remembering.store, first="memory") as (app, pilot):
        await until(pilot, lambda: entries_of(app).total == 3)
        await press(pilot, "c")
        app.screen.query_one("#consolidate-method", Input).value = "[b]none[/]"
        await press(pilot, "enter")
        await until(pilot, lambda: any("[b]none[/]" in one for one in notices_of(app)))
        assert "[b]none[/]" in text_of(app)
