"""kill -9 while facts go into the memory, the index is made anew, or facts go into the weights."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_child import carry_out, job_of, killed_after, start
from tiny_workbench import QUICK, all_fingerprints, requests, tiny_workbench

from kedit_lifecycle.ledger.verify import verify
from kedit_lifecycle.workbench import Workbench

pytestmark = [
    pytest.mark.faults,
    pytest.mark.usefixtures("kedit_cache"),
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's"),
]

EDITS = 12
MOMENTS = random.Random(os.environ.get("KEDIT_TEST_SEED", "memory"))


def kill_kedit(arguments: list[str], seconds: float) -> None:
    """Run the command line and kill it so many seconds later, if it has not ended."""
    child = subprocess.Popen(
        [sys.executable, "-m", "kedit_lifecycle", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    time.sleep(seconds)
    child.kill()
    child.wait()


def remembered(workbench: Workbench) -> list[str]:
    return [entry.request.subject for entry in workbench.memory_entries()]


def answered_by(workbench: Workbench, question: str) -> str:
    route = workbench.ask(question).route
    assert route is not None
    return route.answered_by


def test_a_run_into_the_memory_killed_again_and_again_is_whole_each_time(tmp_path: Path) -> None:
    edits = requests(EDITS)
    (tmp_path / "whole").mkdir()
    with tiny_workbench(tmp_path / "whole") as whole:
        job = job_of(whole.store.path, edits, {}, "serac")
        expected = [one.id for one in carry_out(whole, job).committed]
    tiny_workbench(tmp_path).close()
    store = tmp_path / "store"
    job = job_of(store, edits, {}, "serac")
    for _ in range(4):
        killed_after(start(job), MOMENTS.randrange(3), MOMENTS.uniform(0, 0.5))
        assert not verify(store, "deep").damaged
        with Workbench.open(store) as workbench:
            depth = workbench.store.reader.head().depth
            assert remembered(workbench) == [request.subject for request in edits[:depth]]
            if depth:
                assert answered_by(workbench, edits[depth - 1].question) == "memory"
    with Workbench.open(store) as workbench:
        carry_out(workbench, job)
        assert [one.id for one in workbench.store.reader.log(limit=EDITS)][::-1] == expected
        assert remembered(workbench) == [request.subject for request in edits]


def test_killed_while_the_index_is_made_anew_the_memory_comes_back_whole(tmp_path: Path) -> None:
    edits = requests(EDITS)
    with tiny_workbench(tmp_path) as workbench:
        workbench.apply(edits, method="serac", measure="none", policy="observe", batch=4)
    store = tmp_path / "store"
    for _ in range(3):
        kill_kedit(["memory", "rebuild", "--store", str(store)], MOMENTS.uniform(1, 6))
        with Workbench.open(store) as workbench:
            assert remembered(workbench) == [request.subject for request in edits]
            assert all(answered_by(workbench, request.question) == "memory" for request in edits[::5])
        assert not verify(store, "deep").damaged


def test_killed_while_consolidating_the_facts_are_in_one_place(tmp_path: Path) -> None:
    edits = requests(6)
    with tiny_workbench(tmp_path) as workbench:
        workbench.apply(edits, method="serac", measure="none", policy="observe", batch=6)
        untouched = all_fingerprints(workbench.model)
    store = tmp_path / "store"
    settings = [f"--set={name}={json.dumps(value)}" for name, value in QUICK["memit"].items()]
    command = ["consolidate", *settings, "--policy", "observe", "--store", str(store)]
    for _ in range(3):
        kill_kedit(command, MOMENTS.uniform(2, 10))
        assert not verify(store, "deep").damaged
        with Workbench.open(store) as workbench:
            head = workbench.store.reader.head()
            weights = all_fingerprints(workbench.checkout_model())
            if head.operation == "memory":
                assert remembered(workbench) == [request.subject for request in edits]
                assert weights == untouched
            else:
                assert (head.operation, remembered(workbench)) == ("batch", [])
                assert weights != untouched
                workbench.undo()
