"""Training pairs from requests: rewordings in scope, hard negatives out of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kedit_lifecycle.facts.relations import relation_of
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.scope.builtin import unrelated_sentences
from kedit_lifecycle.memory.scope.features import ScopePair
from kedit_lifecycle.memory.scope.mention import PLACEHOLDER, asking, folded, words_of
from kedit_lifecycle.memory.vectors_of_texts import TextVectors

REWORDINGS = 4  # in scope, beside the question itself and one behind an unrelated sentence
NEIGHBORHOOD, SAME_SUBJECT, NEAREST, CONFUSABLE = 2, 3, 2, 1  # out of scope, by request
SEARCHED = 24  # nearest questions looked through for negatives

PairKind = Literal["rewording", "neighborhood", "same subject", "nearest", "similar name", "unrelated"]

# Relations that ordinary wordings do not tell apart ("X is located in"): not taught as different.
_ALIKE = (
    frozenset({"P17", "P30", "P131", "P276"}),
    frozenset({"P103", "P1412"}),
    frozenset({"P37", "P364", "P407"}),
    frozenset({"P159", "P740", "P937"}),
    frozenset({"P19", "P27", "P495"}),
    frozenset({"P50", "P57", "P61", "P162", "P170", "P175", "P112", "P178"}),
    frozenset({"P106", "P101", "P39"}),
    frozenset({"P413", "P641", "P1303", "P136"}),
    frozenset({"P22", "P25"}),
)
_EMPTY = {
    word.key for word in words_of("a an the in on of at by to from for with as is was who which that s it")
}
_BEFORE = ("Lake", "Mount", "New", "Fort", "Saint", "Old", "Port")
_AFTER = ("County", "Airport", "Prize", "Junior", "II", "Records", "Museum", "Street")


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """A pair and how its query was made; only a rewording is in the edit's scope."""

    pair: ScopePair
    kind: PairKind

    @property
    def in_scope(self) -> bool:
        """Whether the query is about the edit."""
        return self.kind == "rewording"


def labelled_pairs(
    requests: Sequence[EditRequest], vectors: TextVectors, seed: int = 0
) -> list[LabelledPair]:
    """About five pairs in scope and nine out of it for each request, in the requests' order.

    Out of scope: neighborhood prompts, other questions about the same subject, the questions nearest by
    embedding (of another subject or relation), names that contain the subject's or share a word with it,
    another question behind a sentence that names the subject, and an unrelated sentence.
    """
    questions = vectors([request.question for request in requests])
    count = min(SEARCHED + 1, len(requests))
    nearest = np.argsort(-(questions @ questions.T), axis=1, kind="stable")[:, :count]
    by_subject: dict[str, list[EditRequest]] = {}
    for request in requests:
        by_subject.setdefault(_key(request), []).append(request)
    made: list[LabelledPair] = []
    for position, request in enumerate(requests):
        draw = random.Random(f"scope pairs:{seed}:{position}")
        near = [requests[int(index)] for index in nearest[position]]
        inside = _in_scope(request, draw)
        outside = _out_of_scope(request, near, by_subject[_key(request)], draw)
        made += [LabelledPair(ScopePair(query, request), "rewording") for query in dict.fromkeys(inside)]
        made += [
            LabelledPair(ScopePair(query, request), kind)
            for query, kind in dict(outside).items()
            if query not in {request.question, *request.paraphrases}
        ]
    return made


def _key(request: EditRequest) -> str:
    return " ".join(folded(word) for word in request.subject.split())


def _in_scope(request: EditRequest, draw: random.Random) -> Iterator[str]:
    yield request.question
    rewordings = draw.sample(request.paraphrases, min(REWORDINGS, len(request.paraphrases)))
    yield from rewordings
    yield f"{draw.choice(unrelated_sentences())} {draw.choice([request.question, *rewordings])}"


def _out_of_scope(
    request: EditRequest, near: Sequence[EditRequest], same: Sequence[EditRequest], draw: random.Random
) -> Iterator[tuple[str, PairKind]]:
    for text in draw.sample(request.neighborhood, min(NEIGHBORHOOD, len(request.neighborhood))):
        yield text, "neighborhood"
    for text in _of_same_subject(request, same, draw):
        yield text, "same subject"
    strangers = [other for other in near if _key(other) != _key(request)]
    for other in strangers[:NEAREST]:
        yield draw.choice([other.question, *other.paraphrases]), "nearest"
    if strangers:
        yield f"{request.question} known. {draw.choice(strangers).question}", "nearest"
    naming = [text for text in (request.question, *request.paraphrases) if request.subject in text]
    for name in draw.sample(_confusable(request.subject, draw), CONFUSABLE):
        yield draw.choice(naming).replace(request.subject, name), "similar name"
    yield draw.choice(unrelated_sentences()), "unrelated"


def _of_same_subject(request: EditRequest, same: Sequence[EditRequest], draw: random.Random) -> Sequence[str]:
    if not _tells_relation(request.question, request.subject):
        return ()
    others = [other for other in same if _asks_else(request, other)]
    asked = [text for other in others for text in (other.question, *other.paraphrases)]
    told = [text for text in asked if _tells_relation(text, request.subject)]
    return draw.sample(told, min(SAME_SUBJECT, len(told)))


def _tells_relation(text: str, subject: str) -> bool:
    """Whether a question says more than a subject and a preposition: "Oslo, in" may ask anything."""
    rest = {word.key for word in words_of(asking(text, subject).masked)}
    return bool(rest - _EMPTY - {PLACEHOLDER})


def _asks_else(one: EditRequest, other: EditRequest) -> bool:
    """Whether a question about the second is, their subject being one, surely not about the first."""
    first, second = relation_of(one.relation), relation_of(other.relation)
    if first is None or second is None:
        return (one.relation or one.prompt) != (other.relation or other.prompt)
    return first.id != second.id and not any({first.id, second.id} <= group for group in _ALIKE)


def _confusable(subject: str, draw: random.Random) -> list[str]:
    """Names of other things: the subject's inside a longer one, or sharing its last word."""
    words = words_of(subject)
    made = [f"{draw.choice(_BEFORE)} {subject}", f"{subject} {draw.choice(_AFTER)}"]
    if len(words) > 1:
        made.append(f"{draw.choice(('Ruth', 'Harold', 'Gustavo', 'Old'))} {subject[words[-1].start :]}")
    return made
