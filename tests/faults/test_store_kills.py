"""kill -9 at any moment: the store is the old state or the new one, verifies, and the work can go on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_store import META, WHO, commit_edits
from sqlalchemy import event as listen

from kedit_lifecycle.errors import NoStoreError, RefusedError
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.verify import verify

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child"),
]

EDITS = [f"fact {number}" for number in range(25)]
CALLS = ("open", "write", "fsync", "replace", "mkdir", "rename", "unlink")


def die_at(nth: int) -> Callable[..., None]:
    """A hook that kills this process the n-th time it is called."""
    left = nth

    def maybe_die(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return maybe_die


def wrap_calls(hook: Callable[..., None]) -> None:
    """Call the hook before each call of the operating system that changes a file."""
    for name in CALLS:
        original = getattr(os, name)

        def wrapped(*arguments: Any, _original: Any = original, **options: Any) -> Any:
            hook()
            return _original(*arguments, **options)

        setattr(os, name, wrapped)


def in_child(work: Callable[[], object]) -> bool:
    """Run in a forked child; returns whether it was killed."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def assert_whole(path: Path) -> Store:
    """The store opens, verifies, and HEAD is a committed version; nobody holds its lock."""
    report = verify(path, "deep")
    assert [finding for finding in report.findings if finding.severity == "damage"] == []
    store = Store.open(path)
    assert store.reader.head() == store.reader.by_id(store.reader.head_ref()[1])
    with store.writing():
        pass
    return store


def test_killed_at_every_call_while_making_a_store(tmp_path: Path) -> None:
    for nth in range(1, 200):
        path = tmp_path / str(nth)

        def make(path: Path = path, nth: int = nth) -> None:
            wrap_calls(die_at(nth))
            Store.create(path, META, **WHO)

        killed = in_child(make)
        store: Store | None
        try:
            store = assert_whole(path)
        except NoStoreError as error:
            said = str(error)
            store = None
        if store is None:
            assert killed
            left = path.is_dir() and any(path.glob(".kedit-unfinished-*"))
            assert ("interrupted" in said) is left
            store = Store.create(path, META, **WHO)
        assert store.reader.head().number == 0
        store.close()
        assert not list(path.glob(".kedit-unfinished-*"))
        if not killed:
            assert nth > 10
            return
    pytest.fail("never got through")


@pytest.mark.parametrize("hooked", ["files", "statements"])
def test_killed_at_every_point_of_a_commit(tmp_path: Path, hooked: str) -> None:
    path = tmp_path / "store"
    with Store.create(path, META, **WHO) as store:
        commit_edits(store, ["first"], rich=True)
    outcomes = set()
    for nth in range(1, 200):
        number = nth

        def commit_one(number: int = number) -> None:
            with Store.open(path) as store:
                store.record("warm-up", {}, **WHO)  # opens the engine
                if hooked == "files":
                    wrap_calls(die_at(number))
                else:
                    assert store._engine is not None
                    for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
                        listen.listen(store._engine, moment, _HOOKS.setdefault(number, die_at(number)))
                commit_edits(store, [f"edit {number}"], rich=True)
                if hooked == "files":
                    os.kill(os.getpid(), signal.SIGKILL)  # before anything is closed

        before = Store.open(path).reader.head()
        killed = in_child(commit_one)
        with assert_whole(path) as store:
            after = store.reader.head()
            outcomes.add(after.number - before.number)
            assert after == before or (after.parent, after.message) == (before.id, f"because edit {nth}")
        if not killed or (hooked == "files" and after != before):
            break
    assert outcomes == {0, 1}
    assert nth > 8


_HOOKS: dict[int, Callable[..., None]] = {}


def test_killed_at_random_moments_a_run_ends_with_the_same_ids(tmp_path: Path) -> None:
    with Store.create(tmp_path / "uninterrupted", META, **WHO) as store:
        expected = [version.id for version in commit_edits(store, EDITS, rich=True)]
    path = tmp_path / "killed"
    Store.create(path, META, **WHO).close()
    moments = random.Random(5)
    kills = 0
    while True:
        finished = _run_and_kill(path, after=moments.uniform(0.0, 0.1 + kills / 1000))
        with assert_whole(path) as store:
            ids = [version.id for version in reversed(store.reader.log("HEAD", 100))][1:]
        assert ids == expected[: len(ids)]
        if finished:
            break
        kills += 1
        assert kills < 300
    assert ids == expected
    assert kills >= 3


def _run_and_kill(path: Path, after: float) -> bool:
    """Continue the run in a child; kill it some seconds after it began."""
    child = os.fork()
    if not child:
        code = 1
        try:
            with Store.open(path) as store:
                for label in EDITS[store.reader.head().depth :]:
                    commit_edits(store, [label], rich=True)
            code = 0
        finally:
            os._exit(code)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status == 0


def test_two_processes_make_one_store(tmp_path: Path) -> None:
    code = (
        "import json, sys\nsys.path[:0] = json.loads(sys.argv[2])\n"
        "from small_store import META, WHO\nfrom kedit_lifecycle.ledger.store import Store\n"
        "from kedit_lifecycle.errors import RefusedError\n"
        "try:\n    Store.create(sys.argv[1], META, **WHO)\n    print('made')\n"
        "except RefusedError:\n    print('refused')"
    )
    for attempt in range(2):
        path = tmp_path / str(attempt)
        both = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(path), json.dumps(sys.path)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        said = sorted(process.communicate()[0].strip() for process in both)
        assert said == ["made", "refused", "refused"]
        assert_whole(path).close()
    with pytest.raises(RefusedError):
        Store.create(path, META, **WHO)


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    from kedit_lifecycle.errors import StoreLockedError

    path = tmp_path / "store"
    Store.create(path, META, **WHO).close()
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        try:
            with Store.open(path).writing():
                os.write(tell, b"x")
                time.sleep(60)
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"x"
    with Store.open(path) as store:
        with pytest.raises(StoreLockedError, match=f"process {child} "):
            store.record("note", {}, **WHO)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert store.record("note", {}, **WHO).kind == "note"
