"""SERAC: 1,000 edits routed to memory at once, and 100 full CounterFact records measured as a whole system.

    python benchmarks/bench_memory.py                 routing alone: encoder, index, scope classifier
    python benchmarks/bench_memory.py --model NAME    and ES, PS, generated exact match with that model

The scope classifier is the default one, trained on built-in facts; no record here was trained on.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence

import numpy as np
from benchmark_files import shared_file
from numpy.typing import NDArray

from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.memory.entry import EntryId, MemoryEntry
from kedit_lifecycle.memory.index import MemoryIndex
from kedit_lifecycle.memory.routing import Route, ScopeRouter
from kedit_lifecycle.memory.scope.calibration import area_under, roc
from kedit_lifecycle.memory.scope.classifier import ScopeClassifier, default_artefact
from kedit_lifecycle.memory.scope.mention import words_of
from kedit_lifecycle.memory.vectors_of_texts import TextVectors
from kedit_lifecycle.models.sentence_encoder import SentenceEncoder

STREAM = 1000

Prompts = Sequence[tuple[int, str]]  # (position of the entry, prompt)


def prompts_of(entries: Sequence[MemoryEntry], field: str) -> Prompts:
    return [(place, text) for place, one in enumerate(entries) for text in getattr(one.request, field)]


def split_by_stored_subject(entries: Sequence[MemoryEntry], prompts: Prompts) -> tuple[Prompts, Prompts]:
    """Prompts that name no stored edit's subject, and those that do: the memory may well be right there."""
    subjects = {tuple(word.key for word in words_of(one.request.subject)) for one in entries}
    longest = max(map(len, subjects))

    def names_one(text: str) -> bool:
        keys = [word.key for word in words_of(text)]
        return any(
            tuple(keys[start : start + length]) in subjects
            for start in range(len(keys))
            for length in range(1, longest + 1)
        )

    named = [names_one(text) for _, text in prompts]
    return (
        [prompt for prompt, one in zip(prompts, named, strict=True) if not one],
        [prompt for prompt, one in zip(prompts, named, strict=True) if one],
    )


def other_relations(entries: Sequence[MemoryEntry], seed: int = 0) -> Prompts:
    """Each subject in the prompt of another edit with another relation: a question nobody edited."""
    draw = random.Random(seed)
    asked = []
    for place, one in enumerate(entries):
        others = [other for other in draw.sample(entries, 8) if other.slot[1] != one.slot[1]]
        asked.append((place, others[0].request.prompt.replace("{}", one.request.subject)))
    return asked


def routed(router: ScopeRouter, entries: Sequence[MemoryEntry], name: str, prompts: Prompts) -> list[Route]:
    start = time.perf_counter()
    routes = router.route([text for _, text in prompts])
    took = (time.perf_counter() - start) / len(prompts) * 1000
    to_memory = [route.entry is not None for route in routes]
    right = [
        route.entry is not None and route.entry.id == entries[place].id
        for route, (place, _) in zip(routes, prompts, strict=True)
    ]
    line = f"{name:<28} {len(prompts):>6} {np.mean(to_memory):>10.4f} {np.mean(right):>12.4f} {took:>9.1f}"
    print(line, flush=True)
    return routes


def against_similarity(title: str, inside: Sequence[Route], outside: Sequence[Route]) -> None:
    """Classifier and plain cosine threshold on the same queries, in scope and out of it."""
    print(f"\n{title}: {len(inside)} and {len(outside)}")
    truth = np.array([True] * len(inside) + [False] * len(outside))
    both = [*inside, *outside]
    score = np.array([route.score for route in both])
    cosine = np.array([max((one.similarity for one in route.candidates), default=-1.0) for route in both])
    print("decider                 AUC    recall at FPR 1 %   precision, recall at its own threshold")
    passed = np.array([route.answered_by == "memory" for route in both])
    precision, recall = truth[passed].mean(), passed[truth].mean()
    print(f"scope classifier     {summary(score, truth)}   {precision:.4f} {recall:.4f}")
    print(f"cosine similarity    {summary(cosine, truth)}")


def summary(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> str:
    curve = roc(scores, truth, points=5000)
    recall = max(point.true_positive_rate for point in curve if point.false_positive_rate <= 0.01)
    return f"{area_under(curve):.4f}   {recall:.4f}"


def measure_system(name: str, router: ScopeRouter, requests: Sequence[EditRequest]) -> None:
    from kedit_lifecycle.evaluation.suite import aggregate, evaluate_requests, read_neighborhood
    from kedit_lifecycle.memory.counterfactual import CounterfactualModel
    from kedit_lifecycle.memory.system import RoutedModel
    from kedit_lifecycle.models.sources import load_model

    model = load_model(name)
    system = RoutedModel(model, router, CounterfactualModel(model))
    before = read_neighborhood(model, requests)
    for title, answering in (("unedited model", None), ("model with memory", system)):
        start = time.perf_counter()
        found = evaluate_requests(model, requests, before=before, fluency=False, system=answering)
        values = "  ".join(f"{key} {value.value:.4f}" for key, value in aggregate(found).items())
        print(
            f"\n{title}, {len(requests)} records, {time.perf_counter() - start:.0f} s\n  {values}", flush=True
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model")
    arguments.add_argument("--records", type=int, default=1000, help="of the edits, how many are answered")
    chosen = arguments.parse_args()
    stream = load_requests(shared_file("counterfact_stream_1500.jsonl")).requests[:STREAM]
    full = load_requests(shared_file("counterfact_100.json")).requests
    vectors = TextVectors(SentenceEncoder())
    entries = [MemoryEntry(EntryId(1, place), request) for place, request in enumerate((*stream, *full))]
    index = MemoryIndex(vectors.encoder)
    index.add(entries)
    router = ScopeRouter(entries, index, ScopeClassifier(default_artefact(), vectors))
    kept = [entry for entry in entries if entry.id in router.entries]
    print(f"{len(entries)} edits, {len(kept)} after newest-wins; threshold {router.scope.threshold:.4f}")
    print(f"{'prompts':<28} {'count':>6} {'to memory':>10} {'right entry':>12} {'ms each':>9}")
    edit = [(place, one.request.question) for place, one in enumerate(kept)]
    inside = routed(router, kept, "edit prompts", edit)
    inside += routed(router, kept, "paraphrases", prompts_of(kept, "paraphrases"))
    neighborhood = prompts_of(kept, "neighborhood")
    routed(router, kept, "neighborhood prompts", neighborhood)
    strangers, known = split_by_stored_subject(kept, neighborhood)
    outside = routed(router, kept, "  naming no stored subject", strangers)
    routed(router, kept, "  naming a stored subject", known)
    same = routed(router, kept, "same subject, other relation", other_relations(kept))
    against_similarity("in scope against neighborhood prompts that name no stored subject", inside, outside)
    against_similarity("in scope against the same subject with another relation", inside, same)
    if chosen.model:
        measure_system(chosen.model, router, [*full, *stream][: chosen.records])


if __name__ == "__main__":
    main()
