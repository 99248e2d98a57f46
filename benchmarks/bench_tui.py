"""How fast the terminal UI paints and answers keys, in a terminal of its own.

    python benchmarks/bench_tui.py [--runs 15] [--versions 1000000]
    python benchmarks/bench_tui.py --keys 200 [--model smollm2-135m]

The first paint of `kedit tui` stands beside that of an empty Textual app, in turns in one run: from the start
of the process until the last line of the terminal is written. With `--keys`, so many keys are pressed while
edits run in the engine, and the time until the row that the cursor went to is written is taken.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from build_ledger import build_ledger

ROWS, COLUMNS = 30, 80
PATIENCE = 120.0
EDITS = 60  # queued while keys are pressed
FIRST_ROW = 4  # the terminal's line that the newest row of the history is on
HEAVY = ("torch", "transformers", "sqlmodel", "sqlalchemy", "numpy", "httpx", "pydantic")
EMPTY = [sys.executable, "-c", "from textual.app import App; App().run()"]


def tui(store: Path) -> list[str]:
    """The command."""
    return [sys.executable, "-m", "kedit_lifecycle", "tui", "--store", str(store)]


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, command: list[str]) -> None:
        self.began = time.perf_counter()
        self.pid, self.master = pty.fork()
        if not self.pid:
            os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execvp(command[0], command)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def until(self, wanted: bytes, patience: float = PATIENCE) -> float:
        """The time at which this was written, from now on.

        Raises:
            TimeoutError: it was not.
        """
        seen = b""
        end = time.perf_counter() + patience
        while time.perf_counter() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                seen = seen[-2000:] + os.read(self.master, 65536)
                if wanted in seen:
                    return time.perf_counter()
        raise TimeoutError(f"{wanted!r} was not written; the last was {seen[-300:]!r}")

    def drain(self, seconds: float) -> None:
        """Read on for so long."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if select.select([self.master], [], [], 0.02)[0]:
                os.read(self.master, 65536)

    def press(self, keys: bytes) -> float:
        """Type; when it was typed."""
        os.write(self.master, keys)
        return time.perf_counter()

    def end(self) -> None:
        """Kill it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.master)


@contextmanager
def terminal(command: list[str]) -> Iterator[Terminal]:
    """A program in a terminal, which has ended afterwards."""
    found = Terminal(command)
    try:
        yield found
    finally:
        found.end()


def line(number: int) -> bytes:
    """What a terminal is sent before that line is written."""
    return f"\x1b[{number};1H".encode()


def first_paint(command: list[str]) -> float:
    """Seconds until the last line was written."""
    with terminal(command) as program:
        return program.until(line(ROWS)) - program.began


def loaded() -> list[str]:
    """Which heavy packages the app and its first screen import before the first paint."""
    code = (
        "import json, sys, kedit_lifecycle.tui.app, kedit_lifecycle.tui.screens.ledger\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


def measure_paint(versions: int, runs: int) -> None:
    """Print the first paint of both."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        build_ledger(store, versions)
        taken: dict[str, list[float]] = {"empty Textual app": [], f"kedit tui, {versions:,} versions": []}
        for _ in range(runs + 1):
            for name, command in zip(taken, (EMPTY, tui(store)), strict=True):
                taken[name].append(first_paint(command))
        stop(store)
    print(f"{'first paint':<36}{'median ms':>11}{'min':>8}{'× empty':>9}")
    empty = statistics.median(taken["empty Textual app"][1:])
    for name, seconds in taken.items():
        middle = statistics.median(seconds[1:])
        print(f"{name:<36}{middle * 1000:>11.0f}{min(seconds[1:]) * 1000:>8.0f}{middle / empty:>9.2f}")
    print(f"heavy imports before it: {', '.join(loaded()) or 'none'}")


def stop(store: Path) -> None:
    """End the engine that a terminal UI started."""
    subprocess.run(
        [sys.executable, "-m", "kedit_lifecycle", "engine", "stop", "--store", str(store)],
        check=False,
        capture_output=True,
    )


def latencies(program: Terminal, keys: int) -> list[float]:
    """Seconds from a key to the row that the cursor went to, down and up by turns."""
    found = []
    for place in range(keys):
        down = place % 2 == 0
        began = program.press(b"j" if down else b"k")
        found.append(program.until(line(FIRST_ROW + 1 if down else FIRST_ROW), 30.0) - began)
        program.drain(0.05)
    return found


def measure_keys(model: str, keys: int) -> None:
    """Print how long keys take, at rest and while edits run."""
    from kedit_lifecycle.engine.client import EngineClient
    from kedit_lifecycle.facts.readers import load_requests

    kedit = [sys.executable, "-m", "kedit_lifecycle"]
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        subprocess.run(
            [*kedit, "init", "--model", model, "--store", str(store), "--accept-unsound"], check=True
        )
        subprocess.run([*kedit, "engine", "start", "--load", "--store", str(store)], check=True)
        facts = [
            {"subject": one.subject, "prompt": one.prompt, "target": one.target_new}
            for one in load_requests(Path("world-facts")).requests[:EDITS]
        ]
        with EngineClient.connect(store) as client, terminal(tui(store)) as program:
            for fact in facts[:2]:  # rows for the cursor to go to
                client.wait(client.submit("edit", policy="observe", **fact).id)
            program.drain(3.0)
            report("at rest", latencies(program, keys))
            jobs = [client.submit("edit", dry_run=True, policy="observe", **fact).id for fact in facts]
            program.drain(3.0)
            found = latencies(program, keys)
            running = client.job(jobs[-1]).state
            report(f"while edits run (the last is {running})", found)
            for job in reversed(jobs):
                client.cancel(job)
        stop(store)


def report(name: str, seconds: list[float]) -> None:
    """Print quantiles in milliseconds."""
    ordered = sorted(one * 1000 for one in seconds)
    middle, late = ordered[len(ordered) // 2], ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    told = f"p50 {middle:6.1f} ms  p95 {late:6.1f} ms  largest {ordered[-1]:6.1f} ms"
    print(f"{name:<40} {told}  ({len(ordered)} keys)")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--keys", type=int, default=0, help="press so many keys instead")
    parser.add_argument("--model", default="smollm2-135m")
    arguments = parser.parse_args()
    if arguments.keys:
        measure_keys(arguments.model, arguments.keys)
    else:
        measure_paint(arguments.versions, arguments.runs)


if __name__ == "__main__":
    main()
