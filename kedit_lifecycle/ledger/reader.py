"""Reading the ledger with the standard library alone, so that `kedit log` starts fast."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kedit_lifecycle.errors import NoSuchRefError, StoreError
from kedit_lifecycle.ledger.connect import ReadConnection, connect
from kedit_lifecycle.ledger.loading import (
    ANSWER_COLUMNS,
    CHECK_COLUMNS,
    EVENT_COLUMNS,
    METRIC_COLUMNS,
    REQUEST_COLUMNS,
    UPDATE_COLUMNS,
    VERSION_COLUMNS,
    answer_draft,
    check_draft,
    event_row,
    metric_draft,
    request_draft,
    update_draft,
    version_row,
)
from kedit_lifecycle.ledger.names import SHORTEST_ID, is_short_id, parse_ref, version_number
from kedit_lifecycle.ledger.records import (
    AnswerDraft,
    CheckDraft,
    EventRow,
    MetricDraft,
    RefRow,
    RequestDraft,
    Supersession,
    UpdateDraft,
    VersionRow,
)

_VERSION = f"SELECT {VERSION_COLUMNS} FROM version v LEFT JOIN event e ON e.seq = v.event "
ANCESTORS = (
    "WITH RECURSIVE line(id, parent, depth) AS ("
    " SELECT id, parent, depth FROM version WHERE id = ?"
    " UNION ALL SELECT v.id, v.parent, v.depth FROM line JOIN version v ON v.id = line.parent"
    " WHERE line.depth > ? AND v.depth < line.depth) "  # less deep each step: it ends on any damage
)
"""`line` as the ancestors of a version (by id) down to a depth, itself included."""
COUNTED = (
    "event",
    "version",
    "edit_request",
    "tensor_update",
    "checkpoint",
    "metric",
    "answer",
    "check_result",
    "superseded",
    "ref",
)


class LedgerReader:
    """What the ledger of the store at `path` holds. Never writes, needs no lock; sees each commit at once.

    Raises:
        NoStoreError: there is no store at `path`.
        StoreError: from any method, when what it reads is damaged; `kedit verify --deep` says more.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._connection: ReadConnection = connect(self.path)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> LedgerReader:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Where we are

    def head_ref(self) -> tuple[str | None, str]:
        """The branch that HEAD is on (None when detached), and the id of the version there."""
        row = self._one(
            "SELECT b.name, coalesce(b.target, h.target) FROM ref h"
            " LEFT JOIN ref b ON b.name = h.target AND b.kind = 'branch' WHERE h.name = 'HEAD'"
        )
        if row is None:
            raise self._damaged("the ref HEAD is missing")
        return row[0], row[1]

    def head(self) -> VersionRow:
        """The version at HEAD."""
        return self.by_id(self.head_ref()[1])

    def refs(self) -> list[RefRow]:
        """HEAD, branches and tags, by name."""
        return [
            RefRow(*row) for row in self.select("SELECT name, kind, target, event FROM ref ORDER BY name")
        ]

    def resolve(self, ref: str) -> VersionRow:
        """The version that a ref names: HEAD, a branch, a tag, a number (`12`, `v12`), an id's start.

        Any of them may be followed by `~N` or `^`: so many versions up.

        Raises:
            NoSuchRefError: nothing, or more than one version, has that name; the message lists what there is.
        """
        expression = parse_ref(ref)
        version = self._resolve_base(expression.base)
        if expression.up > version.depth:
            raise NoSuchRefError(
                f"{ref!r}: {expression.base} is only {version.depth} versions above the unedited model",
                hint="kedit log",
            )
        return self.ancestor_at(version, version.depth - expression.up) if expression.up else version

    def _resolve_base(self, base: str) -> VersionRow:
        if base in ("HEAD", "@"):
            return self.head()
        row = self._one("SELECT target FROM ref WHERE name = ? AND kind <> 'head'", base)
        if row is not None:
            return self.by_id(row[0])
        number = version_number(base)
        found = self._versions("WHERE v.number = ?", number) if number is not None else []
        if not found and is_short_id(base):
            start = base.lower()
            found = self._versions("WHERE v.id >= ? AND v.id < ? || 'g' ORDER BY v.id LIMIT 5", start, start)
        if len(found) > 1:
            listing = ", ".join(f"{version.short} (version {version.number})" for version in found)
            raise NoSuchRefError(f"{base!r} is the start of several ids: {listing}", hint="give more digits")
        return found[0] if found else self._no_such(base)

    def _no_such(self, base: str) -> VersionRow:
        names = [ref.name for ref in self.refs()]
        listing = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        raise NoSuchRefError(
            f"there is no ref {base!r}; there are {listing} and the versions 0 to {self.last_number()}",
            hint=f"kedit log; an id needs its first {SHORTEST_ID} digits at least",
        )

    # Versions

    def by_id(self, identity: str) -> VersionRow:
        """The version of a whole id.

        Raises:
            NoSuchRefError: there is none.
        """
        found = self._versions("WHERE v.id = ?", identity)
        if not found:
            raise NoSuchRefError(f"there is no version {identity[:10]!r}", hint="kedit log")
        return found[0]

    def version(self, number: int) -> VersionRow:
        """The version of that number.

        Raises:
            NoSuchRefError: there is none.
        """
        found = self._versions("WHERE v.number = ?", number)
        return found[0] if found else self._no_such(str(number))

    def last_number(self) -> int:
        """The highest version number there is, on whatever branch."""
        row = self._one("SELECT max(number) FROM version")
        return int(row[0]) if row and row[0] is not None else 0

    def versions(self, wanted: Iterable[int | str]) -> list[VersionRow]:
        """The versions of these numbers or whole ids, in the order given."""
        return [self.version(name) if isinstance(name, int) else self.by_id(name) for name in wanted]

    def log(self, ref: str = "HEAD", limit: int = 50, before_depth: int | None = None) -> list[VersionRow]:
        """A version and its ancestors, newest first.

        Args:
            ref: where to start.
            limit: how many versions at most.
            before_depth: only versions less deep than this: the last depth of the page before.
        """
        version = self.resolve(ref)
        if before_depth is not None:
            if before_depth <= 0:
                return []
            version = self.ancestor_at(version, min(version.depth, before_depth - 1))
        return self._line(version, limit)

    def _line(self, version: VersionRow, limit: int) -> list[VersionRow]:
        shallowest = max(0, version.depth - limit + 1)
        with_line = ANCESTORS + _VERSION + "JOIN line ON line.id = v.id ORDER BY v.depth DESC LIMIT ?"
        return [version_row(row) for row in self.select(with_line, version.id, shallowest, limit)]

    def ancestor_at(self, version: VersionRow, depth: int) -> VersionRow:
        """The ancestor of a version at a depth from the root (its own depth: itself)."""
        if depth == version.depth:
            return version
        at_depth = self._versions("WHERE v.depth = ? LIMIT 2", depth)
        if len(at_depth) == 1:  # the only version that deep is everyone's ancestor
            return at_depth[0]
        row = self._one(ANCESTORS + "SELECT id FROM line WHERE depth = ?", version.id, depth, depth)
        if row is None:
            raise self._damaged(f"version {version.number} has no ancestor at depth {depth}")
        return self.by_id(row[0])

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether the one version (id) is the other, or above it."""
        upper, lower = self.by_id(ancestor), self.by_id(descendant)
        return upper.depth <= lower.depth and self.ancestor_at(lower, upper.depth).id == upper.id

    def path_between(self, ancestor: str, descendant: str) -> list[VersionRow]:
        """The versions (ids given) after `ancestor` up to and with `descendant`, oldest first.

        Raises:
            NoSuchRefError: the one is not an ancestor of the other.
        """
        if not self.is_ancestor(ancestor, descendant):
            raise NoSuchRefError(f"version {ancestor[:10]} is not an ancestor of {descendant[:10]}")
        lower = self.by_id(descendant)
        return self._line(lower, lower.depth - self.by_id(ancestor).depth)[::-1]

    def children(self, identity: str) -> list[VersionRow]:
        """The versions whose parent is the version of that id, oldest first."""
        return self._versions("WHERE v.parent = ? ORDER BY v.number", identity)

    def run_versions(self, run: str) -> list[VersionRow]:
        """The versions that a run (by its id) committed, oldest first."""
        return self._versions("WHERE v.run_id = ? ORDER BY v.number", run)

    # What belongs to a version

    def requests(self, number: int) -> list[RequestDraft]:
        """The facts that a version changed, in order."""
        query = f"SELECT {REQUEST_COLUMNS} FROM edit_request WHERE version = ? ORDER BY position"
        return [request_draft(row) for row in self.select(query, number)]

    def updates(self, number: int) -> list[UpdateDraft]:
        """The tensor updates of a version, in the order they were made."""
        query = f"SELECT {UPDATE_COLUMNS} FROM tensor_update WHERE version = ? ORDER BY position"
        return [update_draft(row) for row in self.select(query, number)]

    def key_blobs(self, version: VersionRow) -> list[tuple[str, str]]:
        """(tensor, blob of the keys) of every update in the line up to a version, in order of the edits."""
        query = ANCESTORS + (
            "SELECT u.tensor, u.keys FROM line JOIN version v ON v.id = line.id"
            " JOIN tensor_update u ON u.version = v.number WHERE u.keys IS NOT NULL"
            " ORDER BY v.depth, u.position"
        )
        return [(row[0], row[1]) for row in self.select(query, version.id, 0)]

    def checkpoint(self, number: int) -> dict[str, str]:
        """Tensor -> blob of its fp32 master, for a version that keeps a checkpoint; else nothing."""
        rows = self.select("SELECT tensor, blob FROM checkpoint WHERE version = ? ORDER BY tensor", number)
        return dict(rows)

    def metrics(self, number: int, evaluated: int | None = None) -> list[MetricDraft]:
        """The numbers about a version's edits.

        Args:
            number: the version whose edits were measured.
            evaluated: only what was measured at this version; None for all.
        """
        return [metric_draft(row) for row in self._measured(METRIC_COLUMNS, "metric", number, evaluated)]

    def answers(self, number: int, evaluated: int | None = None) -> list[AnswerDraft]:
        """What the model said to a version's prompts; arguments as for `metrics`."""
        return [answer_draft(row) for row in self._measured(ANSWER_COLUMNS, "answer", number, evaluated)]

    def _measured(self, names: str, table: str, number: int, evaluated: int | None) -> list[Any]:
        where = f"SELECT {names} FROM {table} WHERE version = ?"
        if evaluated is None:
            return self.select(f"{where} ORDER BY number", number)
        return self.select(f"{where} AND evaluated = ? ORDER BY number", number, evaluated)

    def checks(self, number: int) -> list[CheckDraft]:
        """What the checks found about a version, in order."""
        query = f"SELECT {CHECK_COLUMNS} FROM check_result WHERE version = ? ORDER BY position"
        return [check_draft(row) for row in self.select(query, number)]

    def supersedes(self, number: int) -> list[Supersession]:
        """Which earlier edits a version's requests took the place of."""
        query = (
            "SELECT position, earlier_version, earlier_position FROM superseded WHERE version = ?"
            " ORDER BY position, earlier_version, earlier_position"
        )
        return [Supersession(*row) for row in self.select(query, number)]

    def request_history(
        self, subject: str, relation: str | None = None, ref: str = "HEAD"
    ) -> list[tuple[VersionRow, RequestDraft]]:
        """The requests about a subject (and a relation, if given) on the line of a ref, newest first."""
        tip = self.resolve(ref)
        only = "" if relation is None else " AND relation = ?"
        rows = self.select(
            f"SELECT DISTINCT version FROM edit_request WHERE subject = ?{only} ORDER BY version DESC",
            *((subject,) if relation is None else (subject, relation)),
        )
        versions = [version for (number,) in rows if self._on_line(version := self.version(number), tip)]
        return [
            (version, request)
            for version in versions
            for request in reversed(self.requests(version.number))
            if request.subject == subject and (relation is None or request.relation == relation)
        ]

    def _on_line(self, version: VersionRow, tip: VersionRow) -> bool:
        return version.depth <= tip.depth and self.ancestor_at(tip, version.depth).id == version.id

    # The store as a whole

    def meta(self) -> dict[str, str]:
        """What was fixed when the store was made."""
        return dict(self.select("SELECT key, value FROM store_meta ORDER BY key"))

    def events(self, limit: int = 50, before: int | None = None, kind: str | None = None) -> list[EventRow]:
        """The audit chain, newest first.

        Args:
            limit: how many events at most.
            before: only events before this one.
            kind: only events of this kind, for example `commit`.
        """
        conditions, values = ["1"], list[int | str]()
        for condition, value in (("seq < ?", before), ("kind = ?", kind)):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        query = (
            f"SELECT {EVENT_COLUMNS} FROM event WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT ?"
        )
        return [event_row(row) for row in self.select(query, *values, limit)]

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        return {table: self.select(f"SELECT count(*) FROM {table}")[0][0] for table in COUNTED}

    # Plumbing

    def _versions(self, where: str, *values: Any) -> list[VersionRow]:
        return [version_row(row) for row in self.select(_VERSION + where, *values)]

    def _one(self, query: str, *values: Any) -> Any:
        return next(iter(self.select(query, *values)), None)

    def select(self, query: str, *values: Any) -> list[Any]:
        """The rows of a query."""
        try:
            return self._connection.sqlite.execute(query, values).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, problem: str) -> StoreError:
        return StoreError(f"the ledger of {self.path} cannot be read: {problem}", hint="kedit verify --deep")
