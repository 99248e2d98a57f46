"""How long `kedit --help` and `kedit log` take, as ratios to a bare interpreter's start, in one run.

    python benchmarks/bench_startup.py [--versions 100000] [--runs 15]

The commands take turns, so that a change in the machine's speed meets all of them alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from build_ledger import build_ledger

HEAVY = ("torch", "transformers", "textual", "sqlmodel", "sqlalchemy")
KEDIT = "from kedit_lifecycle.cli.main import main; main()"


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def heavy_imports(arguments: list[str]) -> list[str]:
    """Which heavy packages a command imports."""
    probe = (
        f"import sys, json, atexit; sys.argv = {['kedit', *arguments]!r}\n"
        f"found = lambda: json.dumps([n for n in {HEAVY!r} if n in sys.modules])\n"
        "atexit.register(lambda: print(found(), file=sys.stderr))\n"
        f"{KEDIT}"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    found: list[str] = json.loads(done.stderr.strip().splitlines()[-1])
    return found


def main() -> None:
    """Print one row per command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        build_ledger(store, arguments.versions)
        wanted = {
            "bare interpreter": [sys.executable, "-c", "pass"],
            "kedit --help": ["--help"],
            f"kedit log, {arguments.versions:,} versions": ["--store", str(store), "log"],
        }
        commands = {
            name: words if words[0] == sys.executable else [sys.executable, "-c", KEDIT, *words]
            for name, words in wanted.items()
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(arguments.runs + 1):
            for name, command in commands.items():
                taken[name].append(seconds(command))
        print(f"{'':<32}{'median ms':>11}{'× bare start':>14}  heavy imports")
        bare = statistics.median(taken["bare interpreter"][1:])
        for name, words in wanted.items():
            middle = statistics.median(taken[name][1:])  # the first of each warms the disk's cache
            heavy = [] if words[0] == sys.executable else heavy_imports(words)
            print(f"{name:<32}{middle * 1000:>11.0f}{middle / bare:>14.1f}  {', '.join(heavy) or 'none'}")


if __name__ == "__main__":
    main()
