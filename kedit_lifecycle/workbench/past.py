"""The keys of earlier edits at HEAD, read from the ledger once and carried along as versions are added."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kedit_lifecycle.editors import PastKeys
from kedit_lifecycle.ledger.records import VersionRow
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.models.delta import TensorUpdate
from kedit_lifecycle.models.fingerprints import from_canonical


class PastKeysAt:
    """`PastKeys` of one version; of another one, they are read anew."""

    def __init__(self) -> None:
        self._version = ""
        self._past = PastKeys()

    def at(self, store: Store, version: VersionRow) -> PastKeys:
        """The keys of every edit in the line up to `version`."""
        if version.id != self._version:
            self._version, self._past = version.id, PastKeys(lambda: _read(store, version))
        return self._past

    def advance(self, store: Store, version: VersionRow, updates: Sequence[TensorUpdate]) -> None:
        """`version` was made by `updates`, on top of the version asked for last."""
        self._version = version.id
        if self._past.loaded:
            self._past.add(updates)
        else:
            self._past = PastKeys(lambda: _read(store, version))


def _read(store: Store, version: VersionRow) -> dict[str, list[Tensor]]:
    blocks: dict[str, list[Tensor]] = {}
    for tensor, blob in store.reader.key_blobs(version):
        blocks.setdefault(tensor, []).append(from_canonical(store.blobs.get(blob)))
    return blocks
