"""`ScopeRouter`: whether a stored edit answers a query, or the model does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry
from kedit_lifecycle.memory.index import MemoryIndex
from kedit_lifecycle.memory.index.large import Mask
from kedit_lifecycle.memory.scope.classifier import ScopeClassifier
from kedit_lifecycle.memory.scope.features import ScopePair
from kedit_lifecycle.memory.scope.mention import last_sentence

RETRIEVED = 16  # entries that the classifier decides on, for the whole query and for its last sentence
WINDOW = 180  # words; about the 256 tokens that the default encoder reads
_SCORED_AT_ONCE = 1024  # pairs

AnsweredBy = Literal["model", "memory"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A retrieved entry, P(in scope) of it, and the cosine it was retrieved by."""

    entry: MemoryEntry
    score: float
    similarity: float


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers a query. `entry` is the edit in scope, None where the model answers.

    `score` is the best candidate's P(in scope), 0 without candidates; `candidates` are all that were
    decided on, best first; `note` says so when only the end of a long query was read.
    """

    answered_by: AnsweredBy
    entry: MemoryEntry | None
    score: float
    threshold: float
    candidates: tuple[Candidate, ...] = ()
    note: str | None = None


class ScopeRouter:
    """Routes queries over the entries of one version.

    Args:
        entries: those live at the version; of two for the same slot the newest wins.
        index: holds these entries, and maybe those of other versions.
        scope: decides; its encoder is the index's.
        retrieved: how many entries the index hands the classifier.

    Raises:
        UsageError: an entry that the index does not hold, or an index of another encoder.
    """

    def __init__(
        self,
        entries: Iterable[MemoryEntry],
        index: MemoryIndex,
        scope: ScopeClassifier,
        retrieved: int = RETRIEVED,
    ) -> None:
        self.index, self.scope, self.retrieved = index, scope, retrieved
        if index.encoder.digest != scope.vectors.encoder.digest:
            raise UsageError("the memory's index and its scope classifier are of different encoders")
        newest = {entry.slot: entry for entry in sorted(entries, key=lambda entry: entry.id)}
        self.entries: dict[EntryId, MemoryEntry] = {entry.id: entry for entry in newest.values()}
        strange = next((one for one in self.entries if one not in index), None)
        if strange is not None:
            raise UsageError(
                f"the memory's index lacks the entry {strange.version}.{strange.position}",
                hint="kedit memory rebuild",
            )
        self._mask: Mask = index.mask(self.entries)

    def route(self, queries: Sequence[str]) -> list[Route]:
        """A route for each query, in order.

        Raises:
            UsageError: an empty query.
        """
        if any(not query.strip() for query in queries):
            raise UsageError("the query is empty")
        read = [_end_of(query) for query in queries]
        texts = [text for text, _ in read]
        found = self._retrieve(texts)
        scores = iter(
            self._scores([(text, id) for text, row in zip(texts, found, strict=True) for id in row])
        )
        return [
            self._decide([Candidate(self.entries[id], next(scores), near) for id, near in row.items()], note)
            for row, (_, note) in zip(found, read, strict=True)
        ]

    def _retrieve(self, texts: Sequence[str]) -> list[dict[EntryId, float]]:
        """For each text the nearest entries of it and of its last sentence, with the better similarity."""
        if not self.entries or not texts:
            return [{} for _ in texts]
        vectors = self.scope.vectors([*texts, *map(last_sentence, texts)])
        hits = self.index.search(vectors, self.retrieved, self._mask)
        found: list[dict[EntryId, float]] = [{} for _ in texts]
        for best, whole, end in zip(found, hits[: len(texts)], hits[len(texts) :], strict=True):
            for hit in (*whole, *end):
                best[hit.id] = max(hit.similarity, best.get(hit.id, -1.0))
        return found

    def _scores(self, pairs: Sequence[tuple[str, EntryId]]) -> list[float]:
        asked = [ScopePair(text, self.entries[id].request) for text, id in pairs]
        parts = [
            self.scope.scores(asked[begin : begin + _SCORED_AT_ONCE])
            for begin in range(0, len(asked), _SCORED_AT_ONCE)
        ]
        scores: list[float] = np.concatenate(parts).tolist() if parts else []
        return scores

    def _decide(self, candidates: list[Candidate], note: str | None) -> Route:
        ranked = tuple(sorted(candidates, key=lambda one: (one.score, one.entry.id), reverse=True))
        threshold = self.scope.threshold
        score = ranked[0].score if ranked else 0.0
        if not ranked or score < threshold:
            return Route("model", None, score, threshold, ranked, note)
        return Route("memory", ranked[0].entry, score, threshold, ranked, note)


def _end_of(query: str) -> tuple[str, str | None]:
    """The query as far as the encoder reads it, from its end, and what was left out."""
    words = query.split()
    if len(words) <= WINDOW and len(query) <= 12 * WINDOW:
        return query.strip(), None
    end = " ".join(words[-WINDOW:])[-12 * WINDOW :]
    return end, f"the query has {len(words):,} words; its scope was decided on the last {len(end.split())}"
