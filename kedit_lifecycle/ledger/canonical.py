"""Canonical JSON (RFC 8785) and the digests built on it: events, rows, versions."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

from kedit_lifecycle.errors import UsageError

GENESIS = "0" * 64
"""What the first event calls its predecessor."""

SEAL_DIGITS = 16

Cell = str | int | float | None
"""A value of a ledger column."""


def canonical(value: Any, what: str, *, keep_going: bool = False) -> str:
    """The value as RFC 8785 JSON.

    Args:
        value: mappings, sequences, strings, numbers, booleans, None; nested.
        what: the value's name, for the error.
        keep_going: write NaN and infinities as the strings "NaN", "Infinity", "-Infinity" instead of
            refusing them. For what is recorded of a failure, never for what an id is made of.

    Raises:
        UsageError: something in it has no place in JSON; the message says where.
    """
    try:
        return rfc8785.dumps(_plain(value, what, keep_going)).decode("utf-8")
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise UsageError(f"{what} cannot be written as JSON: {error}") from error


def _plain(value: Any, where: str, keep_going: bool) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item, f"{where}.{key}", keep_going) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]", keep_going) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        if not keep_going:
            raise UsageError(f"{where} is {value}, which JSON cannot hold")
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise UsageError(f"{where} is a {type(value).__name__}, which JSON cannot hold")


def text_json(value: str | int | None) -> str:
    """A string, an integer or None as RFC 8785 JSON; the fast path for single cells."""
    return json.dumps(value, ensure_ascii=False)


def sha256_hex(text: str) -> str:
    """sha256 (hex) of the text's UTF-8.

    Raises:
        UsageError: the text holds a lone surrogate, so it has no UTF-8.
    """
    try:
        return hashlib.sha256(text.encode("utf-8")).hexdigest()
    except UnicodeEncodeError as error:
        raise UsageError(f"text that is not valid Unicode: {text[error.start : error.end]!a}") from error


def joined(members: Mapping[str, str]) -> str:
    """A JSON object from members that are canonical JSON already; keys must be ASCII."""
    return "{" + ",".join(f'"{key}":{members[key]}' for key in sorted(members)) + "}"


def event_hash(
    *,
    seq: int,
    previous: str,
    kind: str,
    time: str,
    author: str,
    command: str,
    payload: str,
    rows_digest: str,
) -> str:
    """sha256 over the RFC 8785 JSON of the event; `payload` is given as the JSON it is stored as."""
    members = {
        "seq": text_json(seq),
        "previous": text_json(previous),
        "kind": text_json(kind),
        "time": text_json(time),
        "author": text_json(author),
        "command": text_json(command),
        "payload": payload,
        "rows_digest": text_json(rows_digest),
    }
    return sha256_hex(joined(members))


def row_json(cells: Sequence[Cell]) -> str:
    """A row's cells, in column order, as a JSON array; a float as its hexadecimal text, which is exact."""
    exact = [cell.hex() if isinstance(cell, float) else cell for cell in cells]
    return json.dumps(exact, ensure_ascii=False, separators=(",", ":"))


def row_seal(table: str, cells: Sequence[Cell]) -> str:
    """The row's own checksum: the first 16 hex digits of sha256 over its table and its other cells."""
    return sha256_hex(table + row_json(cells))[:SEAL_DIGITS]


def rows_digest(rows: Mapping[str, Sequence[str]]) -> str:
    """sha256 over all rows that one event wrote.

    Args:
        rows: table -> `row_json` of each row, seal included, in the order of the primary key. Tables
            must come in ledger order; tables without rows are left out.
    """
    parts = (f'["{table}",[{",".join(lines)}]]' for table, lines in rows.items() if lines)
    return sha256_hex("[" + ",".join(parts) + "]")


def version_id(
    *,
    parent: str | None,
    operation: str,
    editor: str,
    config: str,
    seed: int,
    requests: Sequence[str],
    updates: Sequence[str],
    tensors: str,
    memory: str,
    run: str | None,
    message: str,
) -> str:
    """sha256 over the RFC 8785 JSON of what makes a version itself: not when, by whom, or how it measured.

    Args:
        parent: the parent's id, None for the root.
        operation: what was done, for example `edit`.
        editor: the method.
        config: the editor's configuration, as canonical JSON.
        seed: the seed of the run.
        requests: digests of the requests, in order.
        updates: `update_json` of each tensor update, in order.
        tensors: fingerprints of every tensor that differs from the base, as canonical JSON.
        memory: fingerprint of the memory.
        run: which run the version belongs to, as canonical JSON.
        message: why.
    """
    members = {
        "parent": text_json(parent),
        "operation": text_json(operation),
        "editor": text_json(editor),
        "config": config,
        "seed": text_json(seed),
        "requests": "[" + ",".join(text_json(digest) for digest in requests) + "]",
        "updates": "[" + ",".join(updates) + "]",
        "tensors": tensors,
        "memory": text_json(memory),
        "run": run if run is not None else "null",
        "message": text_json(message),
    }
    return sha256_hex(joined(members))


def update_json(
    tensor: str, operation: str, left: str, right: str | None, keys: str | None, master: str, served: str
) -> str:
    """One tensor update's part of the version id: which tensor, how, the blobs, the fingerprints after."""
    after = joined({"master": text_json(master), "served": text_json(served)})
    members = {
        "tensor": text_json(tensor),
        "operation": text_json(operation),
        "left": text_json(left),
        "right": text_json(right),
        "keys": text_json(keys),
        "after": after,
    }
    return joined(members)
