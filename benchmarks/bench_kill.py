"""kill -9 at random moments of a sequential run: does the store hold, and does the run go on exactly?

    python benchmarks/bench_kill.py [--kills 200] [--edits 12] [--seed 0]

A tiny random model, made here, so that what is measured is the store and not the optimisation. A run
is killed, verified (deep), continued, killed again, until it is whole; then the next one begins.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import torch
from tiny_workbench import QUICK, requests, tiny_workbench

from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.verify import verify
from kedit_lifecycle.models.sources import quiet_transformers
from kedit_lifecycle.workbench import Workbench


def run(folder: Path, edits: int) -> None:
    """Make the store if there is none, and make or continue the run."""
    torch.set_num_threads(1)
    if (folder / "store" / "ledger.db").exists():
        bench = Workbench.open(folder / "store")
    else:
        with quiet_transformers():
            bench = tiny_workbench(folder)
    resume = bench.store.reader.head().run is not None
    bench.apply(requests(edits), config=QUICK["rome"], resume=resume)


def ids(store: Path) -> list[str]:
    """Ids of the versions at HEAD, oldest first."""
    with Store.open(store, readonly=True) as opened:
        return [version.id for version in reversed(opened.reader.log(limit=10_000))]


def child(folder: Path, edits: int) -> multiprocessing.process.BaseProcess:
    """A process that was forked before torch started any thread, so that it starts in no time."""
    process = multiprocessing.get_context("fork").Process(target=run, args=(folder, edits))
    process.start()
    return process


def check(store: Path, expected: list[str]) -> list[str]:
    """What is wrong after a kill; nothing, one hopes."""
    if not (store / "ledger.db").exists():
        return []  # killed before there was a store
    problems = [f"{f.where}: {f.problem}" for f in verify(store, "deep").findings if f.severity == "damage"]
    found = ids(store)
    if found != expected[: len(found)]:
        problems.append("the versions at HEAD are not a beginning of the uninterrupted run")
    return problems


def main() -> None:
    """Kill, verify, continue; print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--edits", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["KEDIT_CACHE"] = str(Path(temporary) / "cache")
        whole = Path(temporary) / "whole"
        whole.mkdir()
        began = time.perf_counter()
        child(whole, arguments.edits).join()
        duration = time.perf_counter() - began
        expected = ids(whole / "store")
        kills = runs = same = 0
        moments: dict[int, int] = {}
        problems: list[str] = []
        while kills < arguments.kills:
            folder = Path(temporary) / f"run{runs}"
            shutil.copytree(whole / "model", folder / "model")
            while True:
                process = child(folder, arguments.edits)
                process.join(chance.uniform(0.0, duration * 0.8))
                if process.is_alive() and kills < arguments.kills:
                    assert process.pid is not None
                    os.kill(process.pid, signal.SIGKILL)
                    process.join()
                    kills += 1
                    problems += check(folder / "store", expected)
                    exists = (folder / "store" / "ledger.db").exists()
                    committed = len(ids(folder / "store")) - 1 if exists else -1
                    moments[committed] = moments.get(committed, 0) + 1
                    continue
                process.join()
                if process.exitcode:
                    problems.append(f"a continued run ended with {process.exitcode}")
                break
            runs += 1
            same += ids(folder / "store") == expected
        print(f"kills {kills} · runs {runs} · ending with the uninterrupted run's ids {same} of {runs}")
        spread = json.dumps(dict(sorted(moments.items())))
        print(f"killed with so many edits committed (-1: no store yet): {spread}")
        print(f"problems {len(problems)}")
        for problem in problems[:20]:
            print(f"  {problem}")


if __name__ == "__main__":
    main()
