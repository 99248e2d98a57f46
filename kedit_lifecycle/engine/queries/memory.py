"""`GET /memory`: what a version keeps outside the weights, and what decides when that answers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import rfc8785
import safetensors

from kedit_lifecycle.blobs import fingerprint
from kedit_lifecycle.engine.messages import MemoryEntryView, MemoryView
from kedit_lifecycle.engine.queries.entries import Entries, memory_of, scope_of
from kedit_lifecycle.engine.queries.kept import opened
from kedit_lifecycle.engine.queries.parameters import ref, text, whole
from kedit_lifecycle.errors import StoreError
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.search_text import folded

MOST_ENTRIES = 1000
AT_ONCE = 500  # versions asked for in one query
RECIPE, TENSORS = "recipe.json", "weights.safetensors"  # as `models.artefact`, which needs torch, names them
SCOPE_FOLDER = ("memory", "scope")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def memory(store: Path, parameters: Mapping[str, str]) -> MemoryView:
    """The entries of `ref` (default HEAD), `offset`, `limit` (default 200, at most 1000), `filter`.

    A filter is words that the subject, prompt, target or relation hold, in whatever case or accents.
    `total` counts what the filter lets through.

    Raises:
        StoreError: the scope classifier that the memory goes by is not in the store.
    """
    offset = whole(parameters, "offset", 0)
    limit = whole(parameters, "limit", 200, least=1, most=MOST_ENTRIES)
    words = folded(text(parameters, "filter")).split()
    with opened(store) as (reader, kept):
        with kept.lock:
            version = reader.resolve(ref(parameters))
            found = memory_of(reader, kept, version)
            digest, recipe = _scope(store, scope_of(reader, kept, version))
        entries = _views(reader, found if words else found[offset : offset + limit])
    if words:
        entries = [one for one in entries if _holds(one, words)]
    return MemoryView(
        entries=tuple(entries[offset : offset + limit] if words else entries),
        total=len(entries) if words else len(found),
        classifier=digest,
        threshold=recipe.get("threshold"),
        roc=tuple((point[0], point[1], point[2]) for point in recipe.get("roc", ())),
    )


def _holds(entry: MemoryEntryView, words: Sequence[str]) -> bool:
    said = folded(f"{entry.subject} {entry.prompt} {entry.target} {entry.relation or ''} v{entry.version}")
    return all(word in said for word in words)


_FIELDS = ("version", "position", "subject", "prompt", "target", "relation", "method")


def _views(reader: LedgerReader, entries: Entries) -> list[MemoryEntryView]:
    numbers = list(dict.fromkeys(number for number, _ in entries))
    found: dict[tuple[int, int], MemoryEntryView] = {}
    for begin in range(0, len(numbers), AT_ONCE):
        asked = numbers[begin : begin + AT_ONCE]
        query = (
            "SELECT r.version, r.position, r.subject, r.prompt, r.target_new, r.relation, v.editor"
            " FROM edit_request r JOIN version v ON v.number = r.version"
            f" WHERE r.version IN ({', '.join('?' * len(asked))})"
        )
        for row in reader.select(query, *asked):
            found[row[0], row[1]] = MemoryEntryView.model_validate(dict(zip(_FIELDS, row, strict=True)))
    return [found[one] for one in entries if one in found]


# The scope classifier


def _scope(store: Path, name: str) -> tuple[str, Mapping[str, Any]]:
    """The digest and the recipe of a scope classifier: the one that comes with kedit, or one of the store."""
    if name == "default":
        return _shipped()
    if not _DIGEST.fullmatch(name):
        raise StoreError(f"no scope classifier has the digest {name[:20]!a}", hint="kedit verify --deep")
    return name, _recipe(store.joinpath(*SCOPE_FOLDER, name))


@cache
def _shipped() -> tuple[str, Mapping[str, Any]]:
    folder = Path(str(files("kedit_lifecycle.memory.scope").joinpath("default")))
    recipe = _recipe(folder)
    tensors: list[tuple[str, dict[str, Any]]] = safetensors.deserialize((folder / TENSORS).read_bytes())  # type: ignore[no-untyped-call]
    prints = {
        name: fingerprint(one["dtype"], tuple(one["shape"]), bytes(one["data"])) for name, one in tensors
    }
    return hashlib.sha256(rfc8785.dumps({"recipe": recipe, "tensors": prints})).hexdigest(), recipe


def _recipe(folder: Path) -> dict[str, Any]:
    try:
        recipe = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
        if not isinstance(recipe, dict):
            raise ValueError("not a JSON object")
    except (OSError, ValueError) as error:
        raise StoreError(
            f"the scope classifier {folder.name[:10]} cannot be read: {error}", hint="kedit train serac"
        ) from error
    return recipe
