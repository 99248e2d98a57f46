"""Full disks, read-only folders and failing calls, at every point: the old state or the new one."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_store import META, WHO, commit_edits, edit, tensor
from sqlalchemy import event as listen

from kedit_lifecycle.blobs import BlobStore, CanonicalTensor
from kedit_lifecycle.errors import StoreUnwritableError
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.verify import verify

pytestmark = pytest.mark.faults

CALLS = ("open", "write", "fsync", "replace", "mkdir")


class FailAt:
    """Lets the n-th of some calls of the operating system fail, and counts them."""

    def __init__(self, patch: pytest.MonkeyPatch, nth: int, number: int) -> None:
        self.left, self.number = nth, number
        for name in CALLS:
            patch.setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def maybe_fail(*arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise OSError(self.number, os.strerror(self.number))
            return call(*arguments, **options)

        return maybe_fail

    @property
    def failed(self) -> bool:
        return self.left <= 0


def until_it_succeeds(attempt: Callable[[int], bool]) -> int:
    """Try with a failure at the first point, the second, …; `attempt` says whether one was reached."""
    nth = 1
    while attempt(nth):
        nth += 1
        assert nth < 200
    return nth - 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT])
def test_putting_a_blob_fails_clean_at_every_call(tmp_path: Path, number: int) -> None:
    def attempt(nth: int) -> bool:
        blobs = BlobStore(tmp_path / f"{number}-{nth}")
        with pytest.MonkeyPatch.context() as patch:
            failing = FailAt(patch, nth, number)
            try:
                blob = blobs.put(tensor(1, 2, 3))
            except StoreUnwritableError as error:
                said = f"{error} {error.hint}"
            else:
                said = ""
        assert (os.strerror(number) in said) is failing.failed
        assert not blobs.tmp.exists() or list(blobs.tmp.iterdir()) == []
        assert blobs.check(tensor(1, 2, 3).fingerprint) in ("missing", None)
        blob = blobs.put(tensor(1, 2, 3))
        assert blobs.check(blob) is None
        return failing.failed

    assert until_it_succeeds(attempt) >= 5


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_making_a_store_fails_clean_at_every_call(tmp_path: Path, number: int) -> None:
    def attempt(nth: int) -> bool:
        path = tmp_path / f"{nth}"
        with pytest.MonkeyPatch.context() as patch:
            failing = FailAt(patch, nth, number)
            try:
                Store.create(path, META, **WHO).close()
            except StoreUnwritableError:
                pass
            else:
                assert not failing.failed or (path / "ledger.db").exists()
        if not (path / "ledger.db").exists():
            assert not list(path.glob(".kedit-unfinished-*"))
            Store.create(path, META, **WHO).close()
        assert verify(path, "deep").findings == []
        return failing.failed

    assert until_it_succeeds(attempt) >= 5


@pytest.mark.parametrize("write", ["commit", "rollback", "undo", "tag", "eval"])
def test_a_transaction_stopped_at_any_statement_leaves_nothing(tmp_path: Path, write: str) -> None:
    store = Store.create(tmp_path / "store", META, **WHO)
    commit_edits(store, ["a", "b"], rich=True)
    draft = edit(store.blobs, store.reader.head().id, "c", rich=True)
    metrics = draft.metrics
    writes: dict[str, Callable[[], object]] = {
        "commit": lambda: store.commit(draft, **WHO),
        "rollback": lambda: store.move("1", kind="rollback", **WHO),
        "undo": lambda: store.undo(**WHO),
        "tag": lambda: store.tag("t", **WHO),
        "eval": lambda: store.add_metrics(1, metrics, **WHO),
    }
    before = (store.reader.refs(), store.reader.counts())

    def attempt(nth: int) -> bool:
        left = nth

        def fail(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

        assert store._engine is not None
        listen.listen(store._engine, "after_cursor_execute", fail)
        listen.listen(store._engine, "commit", fail)
        try:
            writes[write]()
        except KeyboardInterrupt:
            assert (store.reader.refs(), store.reader.counts()) == before
        finally:
            listen.remove(store._engine, "after_cursor_execute", fail)
            listen.remove(store._engine, "commit", fail)
        return left <= 0

    assert until_it_succeeds(attempt) >= 3
    assert (store.reader.refs(), store.reader.counts()) != before
    assert not verify(store.path, "deep").damaged


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up_while_committing(small_disk: Path) -> None:
    store = Store.create(small_disk / "store", META, **WHO)
    committed = 0
    with pytest.raises(StoreUnwritableError, match=r"full|No space"):
        commit_edits(store, map(str, range(1000)), rich=True)
    committed = store.reader.head().number
    assert committed > 3
    _is_whole_at(store, committed)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(2 << 20))
    with pytest.raises(StoreUnwritableError):
        store.record("note", {"text": "x" * 500_000}, **WHO)
    ballast.unlink()
    _is_whole_at(store, committed)
    store.close()
    with Store.open(store.path, readonly=True) as opened:
        assert opened.reader.head().number == committed


def _is_whole_at(store: Store, number: int) -> None:
    assert store.reader.head().number == number
    assert not verify(store.path, "deep").damaged


def test_a_store_does_not_fit_on_the_disk(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes((1 << 20) - 8192))
    with pytest.raises(StoreUnwritableError):
        Store.create(small_disk / "store", META, **WHO)
    assert not list((small_disk / "store").glob("ledger*"))
    assert not list((small_disk / "store").glob(".kedit*"))
    (small_disk / "ballast").unlink()
    Store.create(small_disk / "store", META, **WHO).close()
    assert verify(small_disk / "store", "deep").findings == []


def test_a_limit_on_file_sizes_is_no_half_blob(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(StoreUnwritableError):
            blobs.put(CanonicalTensor("U8", (50_000,), bytes(50_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert list(blobs.ids()) == []
    assert list(blobs.tmp.iterdir()) == []


def test_a_file_system_mounted_read_only(small_disk: Path) -> None:
    Store.create(small_disk / "store", META, **WHO).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Store.open(small_disk / "store") as store:
        assert store.reader.head().number == 0
        assert verify(store.path, "deep").findings == []
        with pytest.raises(StoreUnwritableError):
            store.blobs.put(tensor(1))
        with pytest.raises(StoreUnwritableError):
            store.record("note", {}, **WHO)
    with pytest.raises(StoreUnwritableError):
        Store.create(small_disk / "other", META, **WHO)
