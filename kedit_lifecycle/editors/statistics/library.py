"""Statistics of the unedited model, each made once, kept under the model's digest and its recipe.

A statistic lives in the store that uses it and, beside, in the user's cache, from where another
store takes it instead of computing it again; some of the default model's come with this package.
Edits name statistics by content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import rfc8785
from torch import Tensor

from kedit_lifecycle.blobs import BlobStore, CanonicalTensor
from kedit_lifecycle.blobs.folder import unwritable
from kedit_lifecycle.blobs.whole_file import replace_file
from kedit_lifecycle.errors import StoreError, StoreUnwritableError
from kedit_lifecycle.models.fingerprints import from_canonical, to_canonical


@dataclass(frozen=True, slots=True)
class StatisticsEntry:
    """One statistic: how it was made (`recipe`), its tensors by blob id, its texts."""

    recipe: Mapping[str, Any]
    tensors: Mapping[str, str]
    texts: Sequence[str] = ()

    @property
    def digest(self) -> str:
        """sha256 (hex) of the entry's content."""
        return _digest({"recipe": self.recipe, "tensors": self.tensors, "texts": list(self.texts)})


Made = tuple[Mapping[str, Tensor], Sequence[str]]


def _digest(value: Any) -> str:
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()


class StatisticsLibrary:
    """Entries as JSON files `<folder>/<base digest>/<recipe digest>.json`, tensors in a blob store."""

    def __init__(
        self,
        folder: Path,
        blobs: BlobStore,
        shared: StatisticsLibrary | None = None,
        *,
        shipped: StatisticsLibrary | None = None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self.folder = folder
        self._blobs = blobs
        self._shared = shared
        self._shipped = shipped
        self._may_write = may_write
        self._aside: dict[str, StatisticsEntry] = {}  # by recipe digest, while nothing may be written here
        self._loose: dict[str, CanonicalTensor] = {}  # by blob id: what no folder keeps

    def obtain(self, recipe: Mapping[str, Any], make: Callable[[], Made]) -> StatisticsEntry:
        """The entry for a recipe: kept here, else from the shared or the shipped library, else made now.

        While nothing may be written here (a dry run, a store opened read-only), what is made goes to
        the shared library alone, or stays in memory.

        Raises:
            StoreError: if an entry kept here is damaged.
        """
        kept = self.find(recipe)
        if kept is not None:
            return kept
        if not self._may_write():
            return self._set_aside(recipe, lambda: self._shipped_or(recipe, make))
        entry = self._from_shared(recipe)
        if entry is None:
            entry = self.add(recipe, *self._shipped_or(recipe, make))
            if self._shared is not None:
                self._shared.receive(entry, self._blobs)
        return entry

    def _set_aside(self, recipe: Mapping[str, Any], make: Callable[[], Made]) -> StatisticsEntry:
        name = _digest(dict(recipe))
        if name not in self._aside:
            once = cache(make)
            entry = self._obtain_shared(recipe, once)
            self._aside[name] = entry or self._keep_in_memory(recipe, *once())
        return self._aside[name]

    def _obtain_shared(self, recipe: Mapping[str, Any], make: Callable[[], Made]) -> StatisticsEntry | None:
        if self._shared is None:
            return None
        try:
            entry = self._shared.obtain(recipe, make)
            for name in entry.tensors:
                self._shared.tensor(entry, name)
        except (StoreError, StoreUnwritableError):
            return None
        return entry

    def _keep_in_memory(
        self, recipe: Mapping[str, Any], tensors: Mapping[str, Tensor], texts: Sequence[str]
    ) -> StatisticsEntry:
        canonical = {name: to_canonical(tensor) for name, tensor in tensors.items()}
        self._loose.update({one.fingerprint: one for one in canonical.values()})
        ids = {name: one.fingerprint for name, one in canonical.items()}
        return StatisticsEntry(dict(recipe), ids, tuple(texts))

    def find(self, recipe: Mapping[str, Any]) -> StatisticsEntry | None:
        """The entry kept here for this recipe, checked against its own digest."""
        path = self._path(recipe)
        return _read(path) if path.is_file() else None

    def add(
        self, recipe: Mapping[str, Any], tensors: Mapping[str, Tensor], texts: Sequence[str]
    ) -> StatisticsEntry:
        """Keep a new entry: blobs first, then the file that names them.

        Raises:
            StoreUnwritableError: a full disk or a read-only folder.
        """
        ids = {name: self._blobs.put(to_canonical(tensor)) for name, tensor in tensors.items()}
        entry = StatisticsEntry(dict(recipe), ids, tuple(texts))
        _write(self._path(recipe), entry)
        return entry

    def receive(self, entry: StatisticsEntry, blobs: BlobStore) -> None:
        """Take over an entry from another library, with its blobs; a full or read-only cache is no error."""
        try:
            for blob in entry.tensors.values():
                self._blobs.put(blobs.get(blob))
            _write(self._path(entry.recipe), entry)
        except StoreUnwritableError:
            return

    def tensor(self, entry: StatisticsEntry, name: str) -> Tensor:
        """One tensor of an entry, checked."""
        blob = entry.tensors[name]
        if blob in self._loose:
            return from_canonical(self._loose[blob])
        if self._shared is not None and not self._blobs.has(blob):
            return self._shared.tensor(entry, name)
        return from_canonical(self._blobs.get(blob))

    def entries(self) -> list[StatisticsEntry]:
        """Everything kept here."""
        return [_read(path) for path in sorted(self.folder.glob("*/*.json"))]

    def size(self, entry: StatisticsEntry) -> int:
        """Bytes of the entry's tensors on disk."""
        return sum(self._blobs.size(blob) for blob in entry.tensors.values())

    def _from_shared(self, recipe: Mapping[str, Any]) -> StatisticsEntry | None:
        if self._shared is None:
            return None
        try:
            entry = self._shared.find(recipe)
            if entry is None:
                return None
            for blob in entry.tensors.values():
                self._blobs.put(self._shared._blobs.get(blob))
        except StoreError:
            return None  # a damaged cache is rebuilt, not trusted
        _write(self._path(recipe), entry)
        return entry

    def _shipped_or(self, recipe: Mapping[str, Any], make: Callable[[], Made]) -> Made:
        if self._shipped is not None:
            with suppress(StoreError):  # a damaged one is made anew
                entry = self._shipped.find(recipe)
                if entry is not None:
                    return {name: self._shipped.tensor(entry, name) for name in entry.tensors}, entry.texts
        return make()

    def _path(self, recipe: Mapping[str, Any]) -> Path:
        return self.folder / str(recipe["base"])[:16] / f"{_digest(dict(recipe))[:24]}.json"


def _read(path: Path) -> StatisticsEntry:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        entry = StatisticsEntry(raw["recipe"], raw["tensors"], tuple(raw["texts"]))
        intact = entry.digest == raw["digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"the statistics file {path} cannot be read: {error}", hint=_HINT) from error
    if not intact:
        raise StoreError(f"the statistics file {path} is not what was written", hint=_HINT)
    return entry


_HINT = "delete it and run: kedit stats build"


def _write(path: Path, entry: StatisticsEntry) -> None:
    content: dict[str, Any] = {"recipe": entry.recipe, "tensors": entry.tensors, "texts": list(entry.texts)}
    canonical = rfc8785.dumps({**content, "digest": entry.digest})
    with unwritable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, canonical)
