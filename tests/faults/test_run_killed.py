"""kill -9 at random moments of a run: the store is whole each time, and the run ends as if nothing was."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
from run_child import carry_out, job_of, killed_after, start
from tiny_workbench import QUICK, all_fingerprints, requests, tiny_workbench

from kedit_lifecycle.ledger.verify import verify
from kedit_lifecycle.workbench import Workbench

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's"),
]

EDITS = 30


@pytest.mark.parametrize(("dtype", "kills"), [("float32", 5), ("bfloat16", 4)])
def test_a_run_killed_again_and_again_ends_with_the_ids_of_an_uninterrupted_one(
    tmp_path: Path, dtype: str, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    monkeypatch.setenv("KEDIT_CACHE", str(tmp_path / "cache of the whole"))
    edits, config = requests(EDITS), QUICK["rome"]
    with tiny_workbench(tmp_path / "whole", dtype=dtype) as whole:
        expected = [one.id for one in carry_out(whole, job_of(whole.store.path, edits, config)).committed]
        final = all_fingerprints(whole.model)

    monkeypatch.setenv("KEDIT_CACHE", str(tmp_path / "cache"))
    tiny_workbench(tmp_path, dtype=dtype).close()
    store = tmp_path / "store"
    job = job_of(store, edits, config)
    moments = random.Random(f"{dtype} {os.environ.get('KEDIT_TEST_SEED', '')}")
    depths = [0]
    for _ in range(kills):
        killed = killed_after(start(job), moments.randrange(5), moments.uniform(0, 0.1))
        report = verify(store, "deep")
        assert not report.damaged, report.findings
        with Workbench.open(store, readonly=True) as workbench:
            head = workbench.store.reader.head()
            assert [one.id for one in workbench.store.reader.log(limit=EDITS)][-2::-1] == expected[
                : head.depth
            ]
            workbench.checkout_model()
        depths.append(head.depth)
        assert killed
    assert depths == sorted(depths)
    assert 0 < depths[-1] < EDITS

    with Workbench.open(store) as workbench:
        carry_out(workbench, job)
        assert [one.id for one in workbench.store.reader.log(limit=EDITS)][::-1] == expected
        assert all_fingerprints(workbench.model) == final
    assert not verify(store, "deep").damaged
