"""What can be done to a history: commit, move, undo, redo, name. Each is one event in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedit_lifecycle.errors import NoSuchRefError, RefusedError, StoreError, UsageError
from kedit_lifecycle.ledger import columns
from kedit_lifecycle.ledger.chain import FIRST_BRANCH, HEAD, Move
from kedit_lifecycle.ledger.names import check_name
from kedit_lifecycle.ledger.records import AnswerDraft, MetricDraft, VersionDraft
from kedit_lifecycle.ledger.rows import add_measurements, add_version, draft_id
from kedit_lifecycle.ledger.tables import Ref, Version
from kedit_lifecycle.ledger.writer import Transaction

ROOT_FACTS = ("architecture", "base_digest", "dtype")
"""The facts of the store's meta that make the root's id: what the unedited model is."""


def root_draft(meta: Mapping[str, str]) -> VersionDraft:
    """The version before any edit; stores of the same unedited model have the same root."""
    config = {name: meta[name] for name in ROOT_FACTS if name in meta}
    return VersionDraft("", "root", "", config, 0, "the unedited model", (), (), {})


def create(
    transaction: Transaction, meta: Mapping[str, str], *, author: str, command: str, schema: str
) -> None:
    """The first event: the store's meta, the root version, the branch `main`, HEAD on it.

    Args:
        transaction: on an empty ledger.
        meta: facts about the store, kept as they are.
        author: who makes the store.
        command: by which command.
        schema: `columns.schema_digest` of the tables.
    """
    draft = root_draft(meta)
    root = draft_id(draft)
    for key in sorted(meta):
        transaction.rows.add(columns.STORE_META, key=key, value=meta[key])
    add_version(transaction.rows, draft, root, 0, 0)
    moves = [Move(FIRST_BRANCH, "branch", None, root), Move(HEAD, "head", None, FIRST_BRANCH)]
    payload = {"version": root, "number": 0, "schema": schema, "revision": columns.REVISION}
    transaction.append("create", payload, moves, author=author, command=command)


def commit(transaction: Transaction, draft: VersionDraft, *, author: str, command: str) -> str:
    """Add a version on top of HEAD and move there; returns its id.

    A draft whose id exists already (the same edit again after an undo) adds no version.

    Raises:
        RefusedError: the draft's parent is not at HEAD.
        UsageError: a value in the draft cannot be kept.
    """
    identity = draft_id(draft)
    _, at = transaction.head()
    if draft.parent != at:
        raise RefusedError(
            f"the edit was made on version {draft.parent[:10]}, but HEAD is at {at[:10]} now",
            hint="make the edit again on the version that is at HEAD",
        )
    existing = transaction.version(identity)
    payload: dict[str, Any] = {"version": identity}
    if existing is None:
        payload["number"] = _add_new_version(transaction, draft, identity)
    else:
        payload |= {"number": existing.number, "existing": True}
    _append_move(
        transaction, "commit", payload, [transaction.head_move(identity)], author=author, command=command
    )
    return identity


def _add_new_version(transaction: Transaction, draft: VersionDraft, identity: str) -> int:
    parent = transaction.version(draft.parent)
    if parent is None:
        raise StoreError(f"HEAD is at {draft.parent[:10]}, which is no version", hint="kedit verify --deep")
    number, metric, answer = transaction.next_numbers()
    add_version(transaction.rows, draft, identity, number, parent.depth + 1)
    add_measurements(
        transaction.rows, number, draft.metrics, draft.answers, first_metric=metric, first_answer=answer
    )
    return number


def rollback(transaction: Transaction, version: str, *, author: str, command: str, message: str = "") -> None:
    """Move the current branch (or a detached HEAD) to a version.

    Raises:
        RefusedError: it is there already.
    """
    move = transaction.head_move(version)
    payload = {"version": version, "message": message}
    _append_move(transaction, "rollback", payload, [move], author=author, command=command)


def switch(transaction: Transaction, target: str, version: str, *, author: str, command: str) -> None:
    """Put HEAD on a branch (`target` its name), or detach it at a version (`target` its id).

    Raises:
        RefusedError: HEAD is there already.
    """
    before = transaction.target(HEAD)
    if before == target:
        raise RefusedError(f"HEAD is at {target[:40]} already", hint="kedit status")
    payload = {"version": version}
    moves = [Move(HEAD, "head", before, target)]
    _append_move(transaction, "switch", payload, moves, author=author, command=command)


def _append_move(
    transaction: Transaction,
    kind: str,
    payload: Mapping[str, Any],
    moves: list[Move],
    *,
    author: str,
    command: str,
) -> None:
    below = {"undo_below": transaction.tail.undo}
    transaction.append(
        kind, {**payload, **below}, moves, author=author, command=command, undo=transaction.seq, redo=0
    )


def undo(transaction: Transaction, *, author: str, command: str) -> None:
    """Take back the last commit, rollback or switch that is not taken back yet. Nothing is deleted.

    Raises:
        RefusedError: there is nothing to undo.
    """
    top = transaction.tail.undo
    if not top:
        raise RefusedError("there is nothing to undo", hint="kedit log")
    operation = transaction.payload(top)
    moves = [Move.from_json(move).reversed for move in reversed(operation["moves"])]
    transaction.append(
        "undo",
        {"undoes": top, "redo_below": transaction.tail.redo},
        moves,
        author=author,
        command=command,
        undo=operation["undo_below"],
        redo=transaction.seq,
    )


def redo(transaction: Transaction, *, author: str, command: str) -> None:
    """Take back the last undo. A commit, rollback or switch since then leaves nothing to redo.

    Raises:
        RefusedError: there is nothing to redo.
    """
    top = transaction.tail.redo
    if not top:
        raise RefusedError("there is nothing to redo", hint="kedit log")
    undone = transaction.payload(top)
    moves = [Move.from_json(move) for move in transaction.payload(undone["undoes"])["moves"]]
    transaction.append(
        "redo",
        {"redoes": undone["undoes"]},
        moves,
        author=author,
        command=command,
        undo=undone["undoes"],
        redo=undone["redo_below"],
    )


def name_version(
    transaction: Transaction, kind: str, name: str, version: str, *, author: str, command: str
) -> None:
    """Make a branch or a tag at a version.

    Raises:
        UsageError: a name that a ref cannot have.
        RefusedError: the name is taken.
    """
    check_name(name)
    taken = transaction.session.get(Ref, name)
    if taken is not None:
        raise RefusedError(f"there is a {taken.kind} {name!r} already, at {taken.target[:10]}")
    moves = [Move(name, kind, None, version)]
    transaction.append(kind, {"version": version}, moves, author=author, command=command)


def add_metrics(
    transaction: Transaction,
    number: int,
    metrics: Sequence[MetricDraft],
    answers: Sequence[AnswerDraft],
    payload: Mapping[str, Any],
    *,
    author: str,
    command: str,
) -> None:
    """Add later measurements of the edits of version `number`: an `eval` event.

    Raises:
        NoSuchRefError: `number`, or a version named by `evaluated`, does not exist.
        UsageError: nothing to add.
    """
    if not metrics and not answers:
        raise UsageError("there are no measurements to add")
    named_versions = {number, *(m.evaluated for m in metrics), *(a.evaluated for a in answers)}
    for named in named_versions - {None}:
        if transaction.session.get(Version, named) is None:
            raise NoSuchRefError(f"there is no version {named}", hint="kedit log")
    _, first_metric, first_answer = transaction.next_numbers()
    add_measurements(
        transaction.rows, number, metrics, answers, first_metric=first_metric, first_answer=first_answer
    )
    transaction.append("eval", {**payload, "number": number}, author=author, command=command)


OWN_KINDS = frozenset(
    ("create", "commit", "rollback", "switch", "undo", "redo", "branch", "tag", "eval", "migrate")
)
OWN_FIELDS = frozenset(("moves", "undo_top", "redo_top", "schema", "revision"))


def check_record(kind: str, payload: Mapping[str, Any]) -> None:
    """Refuse a record that could be taken for one of the ledger's own events.

    Raises:
        UsageError: naming the kind or field.
    """
    if not kind or kind in OWN_KINDS:
        raise UsageError(f"an event of kind {kind!r} is the ledger's own")
    taken = OWN_FIELDS & payload.keys()
    if taken:
        raise UsageError(f"an event's {', '.join(sorted(taken))} is the ledger's own")
