"""Progress: nothing for short work, lines off a terminal, a bar with rate and time left on one."""

from __future__ import annotations

import io

import pytest

from kedit_lifecycle.cli.progress import ProgressDisplay, duration, rate_text, standing


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_short_work_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with ProgressDisplay(clock) as progress:
        for done in range(10):
            clock.now += 0.1
            progress("edits", done, 10)
    assert capsys.readouterr().err == ""


def test_off_a_terminal_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with ProgressDisplay(clock) as progress:
        for done in range(1, 61):
            clock.now += 1
            progress("edits", done, 60)
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("edits: 15 of 60, 1.")
    assert "left" in lines[0]


def test_the_rate_does_not_count_what_an_earlier_run_did(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with ProgressDisplay(clock) as progress:
        progress("edits", 1000, 1010)
        clock.now += 20
        progress("edits", 1002, 1010)
    assert capsys.readouterr().err == "edits: 1002 of 1010, 6.0 per minute, 1 min 20 s left\n"


def test_a_new_stage_starts_its_own_count(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with ProgressDisplay(clock) as progress:
        progress("one", 0, 10)
        clock.now += 100
        progress("two", 0, 10)
        clock.now += 16
        progress("two", 8, 10)
    assert capsys.readouterr().err == "two: 8 of 10, 30.0 per minute, 4 s left\n"


def test_on_a_terminal_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    clock = Clock()
    with ProgressDisplay(clock) as progress:
        progress("ed\x1b[31mits", 0, 4)
        clock.now += 4
        progress("ed\x1b[31mits", 2, 4)
        progress.say("a [red]line\x1b[2J")
    shown = screen.getvalue()
    assert "2/4" in shown
    assert "30.0 per minute" in shown
    assert r"ed\x1b[31mits" in shown
    assert r"a [red]line\x1b[2J" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min 01 s"), (3700, "1 h 01 min")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_rates_and_standings() -> None:
    assert rate_text(2.0) == "2.0 per second"
    assert rate_text(0.5) == "30.0 per minute"
    assert rate_text(0) == ""
    assert standing(3, 0, 1.0) == "3, 1.0 per second"
    assert standing(0, 9, 0.0) == "0 of 9"
