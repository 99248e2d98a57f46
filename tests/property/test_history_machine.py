"""Random histories against a plain model in memory: refs, undo, redo, and a ledger that always verifies."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from small_store import META, WHO, edit

from kedit_lifecycle.errors import RefusedError
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.ledger.verify import verify

pytestmark = pytest.mark.property

Refs = dict[str, str]


class History(RuleBasedStateMachine):
    """Every rule does one thing to a store and to the model, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="kedit-test-"))
        self.store = Store.create(self.folder / "store", META, **WHO)
        root = self.store.reader.head().id
        self.refs: Refs = {"HEAD": "main", "main": root}
        self.tags: Refs = {}
        self.parents: dict[str, str | None] = {root: None}
        self.undone: list[Refs] = []  # refs as they were before each operation that can be undone
        self.redone: list[Refs] = []

    def teardown(self) -> None:
        try:
            assert verify(self.store.path, "deep").findings == []
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    @property
    def head(self) -> str:
        return self.refs.get(self.refs["HEAD"], self.refs["HEAD"])

    def _did(self, before: Refs) -> None:
        self.undone.append(before)
        self.redone.clear()

    def _move_head(self, version: str) -> None:
        before = dict(self.refs)
        self.refs[self.refs["HEAD"] if self.refs["HEAD"] in self.refs else "HEAD"] = version
        self._did(before)

    @rule(label=st.sampled_from(["a", "b", "c"]), rich=st.booleans())
    def commit(self, label: str, rich: bool) -> None:
        version = self.store.commit(edit(self.store.blobs, self.head, label, rich=rich), **WHO)
        assert self.parents.setdefault(version.id, self.head) == self.head
        self._move_head(version.id)

    @rule(pick=st.randoms(use_true_random=False))
    def rollback(self, pick: object) -> None:
        target = pick.choice(sorted(self.parents))  # type: ignore[attr-defined]
        if target == self.head:
            with pytest.raises(RefusedError):
                self.store.move(target, kind="rollback", **WHO)
            return
        assert self.store.move(target, kind="rollback", **WHO).id == target
        self._move_head(target)

    @rule(pick=st.randoms(use_true_random=False))
    def switch(self, pick: object) -> None:
        choices = [*(n for n in self.refs if n != "HEAD"), *self.tags, *sorted(self.parents)]
        name = pick.choice(choices)  # type: ignore[attr-defined]
        target = self.tags.get(name, name)
        if target == self.refs["HEAD"]:
            with pytest.raises(RefusedError):
                self.store.move(name, kind="switch", **WHO)
            return
        self.store.move(name, kind="switch", **WHO)
        before = dict(self.refs)
        self.refs["HEAD"] = target
        self._did(before)

    @rule(name=st.sampled_from(["side", "top", "x/y"]), up=st.integers(0, 2), tag=st.booleans())
    def name(self, name: str, up: int, tag: bool) -> None:
        target: str | None = self.head
        for _ in range(up):
            target = self.parents[target] if target else None
        if target is None:
            return
        make = self.store.tag if tag else self.store.branch
        if name in self.refs or name in self.tags:
            with pytest.raises(RefusedError):
                make(name, f"HEAD~{up}", **WHO)
            return
        make(name, f"HEAD~{up}", **WHO)
        (self.tags if tag else self.refs)[name] = target
        if not tag:  # making a branch cannot be undone: it stays through what undo brings back
            for earlier in (*self.undone, *self.redone):
                earlier[name] = target

    @rule()
    def undo(self) -> None:
        if not self.undone:
            with pytest.raises(RefusedError):
                self.store.undo(**WHO)
            return
        self.redone.append(dict(self.refs))
        self.refs = self.undone.pop()
        assert self.store.undo(**WHO).id == self.head

    @rule()
    def redo(self) -> None:
        if not self.redone:
            with pytest.raises(RefusedError):
                self.store.redo(**WHO)
            return
        self.undone.append(dict(self.refs))
        self.refs = self.redone.pop()
        assert self.store.redo(**WHO).id == self.head

    @rule()
    def record(self) -> None:
        self.store.record("note", {"at": self.head}, **WHO)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.folder / "store")

    @precondition(lambda self: len(self.parents) > 1)
    @rule()
    def verify_quickly(self) -> None:
        assert verify(self.store.path, "quick").findings == []

    @initialize()
    def start_clean(self) -> None:
        assert verify(self.store.path, "deep").findings == []

    @invariant()
    def refs_agree(self) -> None:
        stored = {ref.name: ref.target for ref in self.store.reader.refs()}
        assert stored == self.refs | self.tags
        branch = self.refs["HEAD"] if self.refs["HEAD"] in self.refs else None
        assert self.store.reader.head_ref() == (branch, self.head)

    @invariant()
    def versions_agree(self) -> None:
        line = []
        at: str | None = self.head
        while at is not None:
            line.append(at)
            at = self.parents[at]
        assert [version.id for version in self.store.reader.log("HEAD", 1000)] == line
        assert self.store.reader.counts()["version"] == len(self.parents)


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=25,
    stateful_step_count=25,
)
