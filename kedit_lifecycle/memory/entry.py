"""`MemoryEntry`: one edit kept in memory, and the fingerprint of a whole memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import rfc8785

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.facts.relations import relation_of
from kedit_lifecycle.facts.request import EditRequest

POSITION_BITS = 24
"""A version holds at most 2²⁴ entries, so that version and position fit in one signed 64-bit key."""


class EntryId(NamedTuple):
    """Which edit: the version that made it, and its position in that version's batch."""

    version: int
    position: int

    @property
    def key(self) -> int:
        """Both as one integer, in the order of the ids.

        Raises:
            UsageError: for a negative part, or one that does not fit.
        """
        if not (0 <= self.version < 1 << (63 - POSITION_BITS) and 0 <= self.position < 1 << POSITION_BITS):
            raise UsageError(f"no entry can have the id {self.version}.{self.position}")
        return self.version << POSITION_BITS | self.position

    @classmethod
    def of_key(cls, key: int) -> EntryId:
        """The id of a key."""
        return cls(key >> POSITION_BITS, key & ((1 << POSITION_BITS) - 1))


@dataclass(frozen=True)
class MemoryEntry:
    """An edit in memory. `text` is what is embedded and searched for: the question the edit answers."""

    id: EntryId
    request: EditRequest

    @property
    def text(self) -> str:
        """The edit prompt with its subject, which the index holds the embedding of."""
        return self.request.question

    @cached_property
    def digest(self) -> str:
        """The request's digest."""
        return self.request.digest

    @cached_property
    def slot(self) -> tuple[str, str]:
        """What the edit decides, of which there is one answer at a time: subject and relation (or prompt)."""
        request = self.request
        declared = relation_of(request.relation)
        asked = declared.id if declared else request.relation or request.prompt
        return _folded(request.subject), _folded(asked)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def memory_fingerprint(entries: Iterable[MemoryEntry], encoder_digest: str, scope_digest: str) -> str:
    """sha256 (hex) over what decides how a memory routes: live entries in order, encoder, scope artefact."""
    content = {
        "format": "kedit/memory@1",
        "entries": [entry.digest for entry in entries],
        "encoder": encoder_digest,
        "scope": scope_digest,
    }
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()
