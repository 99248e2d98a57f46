"""What the scope classifier sees of a (query, edit) pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kedit_lifecycle.facts.request import SUBJECT_SLOT, EditRequest
from kedit_lifecycle.memory.scope.mention import PLACEHOLDER, Asking, asking, folded
from kedit_lifecycle.memory.vectors_of_texts import TextVectors, Vectors

FEATURES = "kedit/scope-features@1"
"""Raise the number when a feature changes: a head reads only the features it was trained on."""

SCALARS = (
    "cosine(query, edit prompt)",
    "cosine(last sentence, edit prompt)",
    "cosine(last sentence, edit prompt), the subject masked in both",
    "the last sentence names the subject",
    "the query names the subject",
    "share of the subject's words in the last sentence",
    "the name in the last sentence is part of a longer one",
    "other names in the last sentence, of 3",
)
_MOST_NAMES = 3

Aliases = Mapping[str, Sequence[str]]
"""Other names by subject; the key is `folded`."""


@dataclass(frozen=True, slots=True)
class ScopePair:
    """A query and an edit it may be about."""

    query: str
    request: EditRequest


def feature_count(dimension: int) -> int:
    """Features of a pair: the scalars, then the masked embeddings of query and edit prompt."""
    return len(SCALARS) + 2 * dimension


def masked_template(request: EditRequest) -> str:
    """The edit prompt without its subject."""
    return request.prompt.replace(SUBJECT_SLOT, PLACEHOLDER)


def pair_features(
    pairs: Sequence[ScopePair], vectors: TextVectors, aliases: Aliases | None = None
) -> Vectors:
    """(pairs, `feature_count`): SCALARS, then last sentence and edit prompt, masked and embedded."""
    named = aliases or {}
    read = [asking(p.query, p.request.subject, named.get(folded(p.request.subject), ())) for p in pairs]
    texts = [
        *(pair.query for pair in pairs),
        *(one.focus for one in read),
        *(one.masked for one in read),
        *(pair.request.question for pair in pairs),
        *(masked_template(pair.request) for pair in pairs),
    ]
    query, focus, masked, question, template = vectors(texts).reshape(5, len(pairs), -1)
    cosines = [(query * question).sum(1), (focus * question).sum(1), (masked * template).sum(1)]
    scalars = np.column_stack([*cosines, _readings(read)])
    columns = np.concatenate([scalars, masked, template], axis=1)
    return columns.astype(np.float32)


def _readings(read: Sequence[Asking]) -> Vectors:
    rows = [
        (one.in_focus, one.in_query, one.share, one.extended, min(one.other_names, _MOST_NAMES) / _MOST_NAMES)
        for one in read
    ]
    return np.array(rows, dtype=np.float32).reshape(len(read), 5)
