"""`Store`: one history in one folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.errors import BlobMissingError, RefusedError, UsageError
from kedit_lifecycle.ledger.compatibility import check_revision
from kedit_lifecycle.ledger.connect import LEDGER_FILE, sweep_unfinished
from kedit_lifecycle.ledger.lock import WriterLock
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import (
    AnswerDraft,
    EventRow,
    MetricDraft,
    RefRow,
    VersionDraft,
    VersionRow,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from kedit_lifecycle.ledger.writer import Transaction


class Store:
    """The folder that holds one history: `ledger.db`, `blobs/`, `memory/`, `stats/`, `runs/`.

    Reading needs no lock. The first write takes the writer lock and keeps it until `close`; inside
    `with store.writing():` it is taken at once, and given back at the end. Make one with `Store.create`
    or `Store.open`; close it, or use it as a context manager.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self.readonly = readonly
        self.blobs = BlobStore(path / "blobs")
        self.reader = LedgerReader(path)
        self._lock = WriterLock(path)
        self._thread = RLock()
        self._engine: Engine | None = None

    @classmethod
    def create(
        cls, path: Path | str, meta: Mapping[str, str], *, author: str = "", command: str = ""
    ) -> Store:
        """Make a store and open it. An interruption at any instant leaves no store or a whole one.

        Args:
            path: its folder; made if missing, and may hold other files.
            meta: facts fixed for the store's life: `model_name`, `base_digest`, `dtype`, …
            author: who makes it.
            command: by which command.

        Raises:
            RefusedError: there is a store already.
            StoreUnwritableError: the folder cannot be written to, or the disk is full.
        """
        from kedit_lifecycle.ledger.making import make_store

        make_store(Path(path), meta, author=author, command=command)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str, readonly: bool = False) -> Store:
        """Open the store at `path`.

        Raises:
            NoStoreError: there is none.
            StoreVersionError: a newer release made it; nothing is touched.
            StoreError: its ledger is damaged.
        """
        store = cls(Path(path), readonly=readonly)
        try:
            check_revision(store.reader)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Let go of the lock, the connections and the files."""
        self.reader.close()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
        self._lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @cached_property
    def meta(self) -> dict[str, str]:
        """What was fixed when the store was made, with `format_version` and `store_id`."""
        return self.reader.meta()

    # The right to write

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer lock for a block.

        Raises:
            StoreLockedError: another process, or another `Store`, holds it.
            StoreUnwritableError: the folder is read-only.
            RefusedError: the store was opened read-only.
        """
        mine = not self._lock.held
        self._take_lock()
        try:
            yield
        finally:
            if mine:
                self._lock.release()

    def _take_lock(self) -> None:
        if self.readonly:
            raise RefusedError(f"the store {self.path} was opened read-only", hint="leave out --readonly")
        if not self._lock.held:
            self._lock.acquire()
            sweep_unfinished(self.path)
            self.blobs.sweep()

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        from kedit_lifecycle.ledger.schema import open_engine
        from kedit_lifecycle.ledger.writer import transaction

        with self._thread:
            self._take_lock()
            if self._engine is None:
                self._engine = open_engine(self.path / LEDGER_FILE)
            with transaction(self._engine, self.path) as open_transaction:
                yield open_transaction

    # Writing

    def commit(self, draft: VersionDraft, *, author: str, command: str) -> VersionRow:
        """Add a version on top of HEAD, with all that belongs to it, and move there.

        A draft whose id exists already adds no version and moves to that one. The blobs it names must be
        in the store before.

        Raises:
            RefusedError: the draft's parent is not the version at HEAD.
            BlobMissingError: a blob it names is not in the store.
            UsageError: a value cannot be kept (NaN in the config, a checkpoint that is not its tensor's).
            StoreUnwritableError: a full disk; the store is as it was.
        """
        from kedit_lifecycle.ledger import operations

        self._check_blobs(draft)
        with self._transaction() as transaction:
            identity = operations.commit(transaction, draft, author=author, command=command)
        return self.reader.by_id(identity)

    def _check_blobs(self, draft: VersionDraft) -> None:
        for tensor, blob in draft.checkpoint.items():
            if tensor not in draft.tensors or draft.tensors[tensor].master != blob:
                raise UsageError(f"the checkpoint of {tensor} is not the tensor that the version ends with")
        self._require(blob for u in draft.updates for blob in (u.left, u.right, u.keys) if blob is not None)
        self._require(draft.checkpoint.values())

    def _require(self, blobs: Iterable[str]) -> None:
        for blob in blobs:
            if not self.blobs.has(blob):
                raise BlobMissingError(f"blob {blob[:10]} must be stored before the row that names it")

    def move(
        self,
        target: str,
        *,
        kind: Literal["rollback", "switch"],
        author: str,
        command: str,
        message: str = "",
    ) -> VersionRow:
        """Go to a version; returns it.

        Args:
            target: a ref.
            kind: `rollback` moves the current branch there. `switch` puts HEAD on the branch of that name,
                or, where `target` is no branch, detaches it at the version.
            author: who.
            command: by which command.
            message: why; kept with a rollback.

        Raises:
            NoSuchRefError: there is no such ref.
            RefusedError: we are there already.
        """
        from kedit_lifecycle.ledger import operations

        with self._transaction() as transaction:
            version = self.reader.resolve(target)
            if kind == "rollback":
                operations.rollback(transaction, version.id, author=author, command=command, message=message)
            else:
                branch = any(ref.name == target and ref.kind == "branch" for ref in self.reader.refs())
                to = target if branch else version.id
                operations.switch(transaction, to, version.id, author=author, command=command)
        return self.reader.head()

    def undo(self, *, author: str, command: str) -> VersionRow:
        """Take back the last commit, rollback or switch; returns the version now at HEAD.

        Raises:
            RefusedError: there is nothing to undo.
        """
        from kedit_lifecycle.ledger import operations

        with self._transaction() as transaction:
            operations.undo(transaction, author=author, command=command)
        return self.reader.head()

    def redo(self, *, author: str, command: str) -> VersionRow:
        """Take back the last undo; returns the version now at HEAD.

        Raises:
            RefusedError: there is nothing to redo.
        """
        from kedit_lifecycle.ledger import operations

        with self._transaction() as transaction:
            operations.redo(transaction, author=author, command=command)
        return self.reader.head()

    def branch(self, name: str, at: str = "HEAD", *, author: str, command: str) -> RefRow:
        """Make a branch at a ref; HEAD stays where it is.

        Raises:
            UsageError: a name that a ref cannot have.
            RefusedError: the name is taken.
            NoSuchRefError: `at` names no version.
        """
        return self._name("branch", name, at, author=author, command=command)

    def tag(self, name: str, at: str = "HEAD", *, author: str, command: str) -> RefRow:
        """Make a tag at a ref; raises as `branch`."""
        return self._name("tag", name, at, author=author, command=command)

    def _name(self, kind: str, name: str, at: str, *, author: str, command: str) -> RefRow:
        from kedit_lifecycle.ledger import operations

        with self._transaction() as transaction:
            version = self.reader.resolve(at).id
            operations.name_version(transaction, kind, name, version, author=author, command=command)
        return next(ref for ref in self.reader.refs() if ref.name == name)

    def record(self, kind: str, payload: Mapping[str, Any], *, author: str, command: str) -> EventRow:
        """Add an event that changes no version and no ref: an attempt rejected, a verify, statistics built.

        Blob ids listed under `blobs` in the payload count as used.

        Raises:
            UsageError: a kind that the ledger gives its own events, or a payload that is no JSON.
        """
        from kedit_lifecycle.ledger import operations

        operations.check_record(kind, payload)
        self._require(payload.get("blobs", ()))
        with self._transaction() as transaction:
            transaction.append(kind, payload, author=author, command=command)
        return self.reader.events(limit=1)[0]

    def add_metrics(
        self,
        number: int,
        metrics: Sequence[MetricDraft],
        answers: Sequence[AnswerDraft] = (),
        *,
        author: str,
        command: str,
        payload: Mapping[str, Any] | None = None,
    ) -> EventRow:
        """Add later measurements of the edits of version `number`, as an `eval` event.

        Raises:
            NoSuchRefError: a version that does not exist.
            UsageError: nothing to add, or a payload that is no JSON.
        """
        from kedit_lifecycle.ledger import operations

        with self._transaction() as transaction:
            operations.add_metrics(
                transaction, number, metrics, answers, payload or {}, author=author, command=command
            )
        return self.reader.events(limit=1)[0]
