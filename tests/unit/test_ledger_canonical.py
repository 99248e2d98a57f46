"""Digests are of RFC 8785 JSON, whatever shortcut computes it."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from small_store import edit, request, state

from kedit_lifecycle.blobs import BlobStore
from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.ledger.canonical import canonical, event_hash, row_json, row_seal, rows_digest
from kedit_lifecycle.ledger.records import RequestDraft, UpdateDraft, VersionDraft
from kedit_lifecycle.ledger.rows import draft_id

pytestmark = pytest.mark.unit

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def sha(value: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()


@given(cells=st.lists(st.none() | TEXT | INTEGERS, max_size=6))
def test_a_row_is_rfc8785(cells: list[Any]) -> None:
    assert row_json(cells).encode() == rfc8785.dumps(cells)


@given(one=st.floats(allow_nan=False), other=st.floats(allow_nan=False))
def test_floats_of_different_bits_have_different_rows(one: float, other: float) -> None:
    same = one.hex() == other.hex()
    assert (row_json([one]) == row_json([other])) is same
    assert (row_seal("metric", [one]) == row_seal("metric", [other])) is same


@settings(max_examples=50)
@given(
    kind=TEXT,
    time=TEXT,
    author=TEXT,
    command=TEXT,
    payload=st.dictionaries(TEXT, JSON, max_size=4),
    seq=INTEGERS,
)
def test_an_event_hash_is_that_of_the_whole_object(
    kind: str, time: str, author: str, command: str, payload: dict[str, Any], seq: int
) -> None:
    event = {
        "seq": seq,
        "previous": "0" * 64,
        "kind": kind,
        "time": time,
        "author": author,
        "command": command,
    }
    stored = canonical(payload, "payload")
    spliced = event_hash(**event, payload=stored, rows_digest="d")  # type: ignore[arg-type]
    assert spliced == sha({**event, "payload": payload, "rows_digest": "d"})


def test_a_rows_digest_is_that_of_tables_and_rows() -> None:
    lines = {"version": [row_json([1, "a", None]), row_json([2, "b", 0.5])], "metric": [], "answer": ["[3]"]}
    expected = [["version", [[1, "a", None], [2, "b", (0.5).hex()]]], ["answer", [[3]]]]
    assert rows_digest(lines) == sha(expected)


def draft(**changes: Any) -> VersionDraft:
    after = state("after")
    fields: dict[str, Any] = {
        "parent": "p" * 64,
        "operation": "edit",
        "editor": "rome",
        "config": {"lr": 0.5, "é": [1, {"z": None}]},
        "seed": 3,
        "message": 'why "so"\n',
        "requests": [request("Spain", "Rome"), request("Peru", "Rome")],
        "updates": [UpdateDraft("w", "rank", "l", "r", None, state("before"), after, 1, 0.5)],
        "tensors": {"w": after, "v": state("v")},
        "memory": "m",
        "run": {"id": "r", "index": 1, "total": 2},
    }
    return VersionDraft(**fields | changes)


def test_a_version_id_is_that_of_its_identity() -> None:
    version, after = draft(), state("after")
    assert draft_id(version) == sha(
        {
            "parent": version.parent,
            "operation": "edit",
            "editor": "rome",
            "config": version.config,
            "seed": 3,
            "requests": [r.digest for r in version.requests],
            "updates": [
                {
                    "tensor": "w",
                    "operation": "rank",
                    "left": "l",
                    "right": "r",
                    "keys": None,
                    "after": {"master": after.master, "served": after.served},
                }
            ],
            "tensors": {n: {"master": s.master, "served": s.served} for n, s in version.tensors.items()},
            "memory": "m",
            "run": version.run,
            "message": version.message,
        }
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"parent": "q" * 64},
        {"operation": "revert"},
        {"editor": "ft"},
        {"config": {"lr": 0.25}},
        {"seed": 4},
        {"message": "else"},
        {"requests": [request("Peru", "Rome"), request("Spain", "Rome")]},
        {"updates": []},
        {"updates": [UpdateDraft("w", "add", "l", None, None, state("before"), state("after"), 1, 0.5)]},
        {"tensors": {"w": state("after")}},
        {"memory": ""},
        {"run": None},
        {"run": {"id": "r", "index": 2, "total": 2}},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_what_makes_a_version_itself_changes_its_id(changes: dict[str, Any]) -> None:
    assert draft_id(draft(**changes)) != draft_id(draft())


def test_measurements_and_circumstances_do_not(tmp_path: Any) -> None:
    blobs = BlobStore(tmp_path)
    rich, plain = (
        edit(blobs, "p", "x", rich=True),
        edit(blobs, "p", "x", run={"id": "run-1", "index": 0, "total": 9}),
    )
    assert rich.metrics
    assert rich.checkpoint
    assert draft_id(rich) == draft_id(
        VersionDraft(**{f: getattr(plain, f) for f in plain.__slots__} | {"memory": "m" * 64})
    )


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"a": {"b": [1.0, math.nan]}}, r"config\.a\.b\[1\] is nan"),
        ({"a": math.inf}, r"config\.a is inf"),
        ({"a": 2**60}, "config cannot be written"),
        ({"a": {1, 2}}, r"config\.a is a set"),
        ({"a": "\ud800"}, "config cannot be written"),
        ({1: 2}, "config cannot be written"),
    ],
)
def test_what_json_cannot_hold_is_named(config: dict[Any, Any], where: str) -> None:
    with pytest.raises(UsageError, match=where):
        draft_id(draft(config=config))


def test_a_lone_surrogate_is_refused_everywhere() -> None:
    with pytest.raises(UsageError, match="not valid Unicode"):
        draft_id(draft(message="\udc80"))
    with pytest.raises(UsageError, match="not valid Unicode"):
        draft_id(draft(requests=[RequestDraft("\udc80", "s", None, "p", "t", None, {})]))


def test_what_is_recorded_of_a_failure_may_hold_nan() -> None:
    value = {"losses": [1.0, math.nan, math.inf, -math.inf]}
    assert canonical(value, "payload", keep_going=True) == '{"losses":[1,"NaN","Infinity","-Infinity"]}'
