"""Are conflicts with recorded edits found before an edit, without false alarms, and how fast?

    python benchmarks/bench_conflicts.py [--recorded 100000] [--queries 300] [--seed 0] [--calibrate]

The thresholds were chosen with `--calibrate`, on records 0-499 of the stream and every second country; the
stream with injected pairs is records 500-999, names of the spouse and composite pairs and the timed
queries come from 1000-1499. Synthetic edits have random unit vectors; a query's own encoding is real.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from benchmark_files import shared_file
from conflict_streams import Pair, countries, injected, same_slot_pairs, stream_records, woven
from numpy.typing import NDArray

from kedit_lifecycle.checks.conflict import Conflict, ConflictIndex, RecordedEdit
from kedit_lifecycle.checks.conflict.meaning import may_be_one_thing
from kedit_lifecycle.checks.conflict.names import name_key
from kedit_lifecycle.facts.readers import load_requests
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.models.sentence_encoder import SentenceEncoder

EXPECTED = {
    "same slot": {"contradiction", "overwrite", "many-valued", "similar"},
    "paraphrased subject": {"contradiction", "overwrite", "many-valued", "similar"},
    "reverse": {"reverse"},
    "composite": {"composite"},
}


def alarms(conflicts: Sequence[Conflict]) -> list[Conflict]:
    """Those that would be seen: a warning or a refusal."""
    return [one for one in conflicts if one.severity != "note"]


def run_stream(
    index: ConflictIndex, stream: Sequence[tuple[EditRequest, Pair | None]], *, details: bool = True
) -> None:
    """Ask before each edit, then record it; print recall by kind and the false alarms."""
    found: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    missed: defaultdict[str, list[str]] = defaultdict(list)
    false: list[str] = []
    recorded: dict[int, int] = {}  # id of a request -> its version
    for version, (one, pair) in enumerate(stream, start=1):
        seen = alarms(index.find(one))
        index.add(RecordedEdit.of(version, 0, one))
        recorded[id(one)] = version
        if pair is None:
            false += [f"{a.kind} {a.severity}: {a.message}" for a in seen[:1]]
            continue
        hits = [a for a in seen if recorded[id(pair.first)] in (a.with_.version, a.also and a.also.version)]
        hits = [a for a in hits if a.kind in EXPECTED[pair.kind]]
        found[pair.kind] += bool(hits)
        refused[pair.kind] += any(a.severity == "refuse" for a in hits)
        if not hits:
            missed[pair.kind].append(f"{pair.rule}: {pair.first.question} / {pair.second.question}")
    total = Counter(pair.kind for _, pair in stream if pair)
    print(f"{'pairs':<22}{'injected':>9}{'found':>7}{'refused':>9}{'recall':>8}")
    for kind, count in total.items():
        print(f"{kind:<22}{count:>9}{found[kind]:>7}{refused[kind]:>9}{found[kind] / count:>8.3f}")
    overall = found.total() / total.total()
    print(f"{'all':<22}{total.total():>9}{found.total():>7}{refused.total():>9}{overall:>8.3f}")
    clean = sum(pair is None for _, pair in stream)
    print(f"false alarms: {len(false)} of {clean} clean edits ({len(false) / clean:.2%})")
    if not details:
        return
    for line in [*(f"missed {kind}, {m}" for kind, some in missed.items() for m in some), *false]:
        print(f"  {line}")


def run_unlabelled(encoder: SentenceEncoder, records: Sequence[EditRequest], seed: int) -> None:
    """Requests as typed on a command line: no relation, and another prompt of the same meaning."""
    chance = random.Random(seed)
    bare = [one.model_copy(update={"relation": None}) for one in records]
    pairs = [
        Pair(
            "same slot", bare[records.index(p.first)], p.second.model_copy(update={"relation": None}), p.rule
        )
        for p in same_slot_pairs(records, 100, chance)
        if p.first.prompt != p.second.prompt
    ]
    print(f"\n{len(pairs)} pairs of one slot in other words, no edit with a relation, with the encoder:")
    run_stream(ConflictIndex(encoder), woven(bare, pairs, seed), details=False)
    aliases = [
        (c["name"], a) for c in countries()[1::2] for a in c["altSpellings"] if len(a) > 3 and a.isascii()
    ]
    fact = {"prompt": "The capital of {} is", "relation": "P36"}
    for name, embedder in (("with", encoder), ("without", None)):
        found = 0
        for country, alias in aliases:
            index = ConflictIndex(embedder)
            index.add(RecordedEdit(1, 0, country, target_new="Rome", **fact))
            found += bool(alarms(index.find(RecordedEdit(2, 0, alias, target_new="Oslo", **fact))))
        print(f"other names of countries, no alias table, {name} encoder: {found} of {len(aliases)} found")


def same_slot_groups() -> list[list[EditRequest]]:
    groups: defaultdict[tuple[str, str | None], list[EditRequest]] = defaultdict(list)
    for one in load_requests(shared_file("counterfact_same_slot_conflicts.json")).requests:
        groups[one.subject, one.relation].append(one)
    return list(groups.values())


def worst_in_group(group: Sequence[EditRequest], embedder: SentenceEncoder) -> list[Conflict]:
    """Every conflict of an edit with an earlier one of its group."""
    index, conflicts = ConflictIndex(embedder), []
    for version, one in enumerate(group, start=1):
        conflicts += index.find(one)
        index.add(RecordedEdit.of(version, 0, one))
    return conflicts


def run_groups(embedder: SentenceEncoder) -> None:
    """Groups of several true values, as they are and made one-valued."""
    groups = same_slot_groups()
    natural = [worst_in_group(group, embedder) for group in groups]
    told = sum(all(c.kind != "contradiction" and c.severity != "refuse" for c in some) for some in natural)
    silent = sum(not alarms(some) for some in natural)
    kinds = Counter(f"{c.kind} {c.severity}" for some in natural for c in some)
    print(
        f"\nsame-slot groups: {told} of {len(groups)} told from a contradiction, {silent} without a warning"
    )
    print(f"  {dict(kinds)}")
    made = []
    for group in groups:
        head = group[0]
        targets = list(dict.fromkeys(one.target_new for one in group))
        targets += [f"not {targets[0]}"] if len(targets) == 1 else []
        fields = {"relation": "P159", "target_true": head.target_true}
        made.append([head.model_copy(update={**fields, "target_new": target}) for target in targets])
    found = [worst_in_group(group, embedder) for group in made]
    refused = sum(any(c.kind == "contradiction" and c.severity == "refuse" for c in some) for some in found)
    print(f"made one-valued: {refused} of {len(made)} refused as a contradiction")


class HalfSynthetic:
    """Random unit vectors while an index is built, the real encoder afterwards."""

    def __init__(self, encoder: SentenceEncoder, seed: int) -> None:
        self.encoder, self.building = encoder, True
        self._chance = np.random.default_rng(seed)

    @property
    def dimension(self) -> int:
        return self.encoder.dimension

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not self.building:
            return self.encoder.encode(texts)
        vectors = self._chance.standard_normal((len(texts), self.dimension), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def synthetic_edits(count: int, seed: int) -> list[RecordedEdit]:
    """Edits of made-up subjects: words of the stream's subjects, its prompts, relations and targets."""
    chance = random.Random(seed)
    records = stream_records(0, 1500)
    words = sorted({word for one in records for word in one.subject.split()})
    edits = []
    for version in range(1, count + 1):
        one = chance.choice(records)
        subject = " ".join(chance.choices(words, k=chance.choice((2, 2, 3))))
        target = chance.choice(records).target_new
        edits.append(RecordedEdit(version, 0, subject, one.prompt, target, one.target_true, one.relation))
    return edits


def run_timing(encoder: SentenceEncoder, recorded: int, queries: int, seed: int) -> None:
    """Milliseconds of `find` against so many recorded edits: median and 99th percentile."""
    edits, asked = synthetic_edits(recorded, seed), stream_records(1000, 1500)[:queries]
    first, second = stream_records(0, 2)
    print(f"\n{recorded:,} recorded edits, ms a query: median, p99, median of CPU time; s to build")
    for name in ("without an embedder", "with the sentence encoder"):
        synthetic = None if name.startswith("without") else HalfSynthetic(encoder, seed)
        began = time.perf_counter()
        index = ConflictIndex(synthetic)
        for edit in edits:
            index.add(edit)
        index.find(first)  # what waits to be encoded is encoded here
        build = time.perf_counter() - began
        if synthetic:
            synthetic.building = False
        index.find(second)
        print_times(name, [timed(partial(index.find, one)) for one in asked], build)
    print_times(
        "of it, encoding one subject", [timed(partial(encoder.encode, [one.subject])) for one in asked]
    )


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU) milliseconds of a call."""
    wall, cpu = time.perf_counter(), time.thread_time()
    call()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.thread_time() - cpu)


def print_times(name: str, times: Sequence[tuple[float, float]], build: float | None = None) -> None:
    wall, cpu = np.array(times).T
    built = "" if build is None else f"{build:>9.1f}"
    print(
        f"  {name:<36}{np.median(wall):>7.2f}{np.percentile(wall, 99):>9.2f}{np.median(cpu):>12.2f}{built}",
        flush=True,
    )


def calibrate(encoder: SentenceEncoder) -> None:
    """Similarities that the two thresholds tell apart, on the records kept for it."""
    templates: defaultdict[str, set[str]] = defaultdict(set)
    for one in stream_records(0, 500):
        if one.relation:
            templates[one.relation].add(one.prompt)
    flat = [(relation, prompt) for relation, some in templates.items() for prompt in sorted(some)]
    vectors = encoder.encode([prompt.replace("{}", "something") for _, prompt in flat])
    same: list[float] = []
    other: list[float] = []
    for i, (relation, prompt) in enumerate(flat):
        for j in range(i):
            if flat[j][1] != prompt:
                (same if flat[j][0] == relation else other).append(float(vectors[i] @ vectors[j]))
    print(f"prompts: {len(same)} pairs of one relation, {len(other)} of two (some of which mean the same)")
    for limit in (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8):
        print(f"  from {limit:.2f}: {share(same, limit):.3f} {share(other, limit):.4f}")
    places = countries()[::2]
    names = sorted({c["name"] for c in places} | {one.subject for one in stream_records(0, 500)})
    alias = [(c["name"], a) for c in places for a in c["altSpellings"] if len(a) > 3 and a.isascii()]
    alias = [(a, b) for a, b in alias if name_key(a) != name_key(b) and may_be_one_thing(a, b)]
    first, second = (encoder.encode([pair[side] for pair in alias]) for side in (0, 1))
    paired, grid = (first * second).sum(axis=1).tolist(), encoder.encode(names)
    apart = [
        float(grid[i] @ grid[j])
        for i in range(len(names))
        for j in range(i)
        if grid[i] @ grid[j] > 0.7 and may_be_one_thing(names[i], names[j])
    ]
    print(
        f"names that share no word: {len(alias)} aliases, {len(names) * (len(names) - 1) // 2} pairs of two"
    )
    for limit in (0.75, 0.8, 0.84, 0.86, 0.88, 0.9, 0.92):
        print(f"  from {limit:.2f}: {share(paired, limit):.3f} {sum(s >= limit for s in apart)} pairs")


def share(similarities: Sequence[float], limit: float) -> float:
    return float(np.mean(np.array(similarities) >= limit))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recorded", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only-times", action="store_true")
    parser.add_argument("--calibrate", action="store_true", help="print what the thresholds were chosen from")
    arguments = parser.parse_args()
    encoder = SentenceEncoder()
    if arguments.calibrate:
        calibrate(encoder)
        return
    if not arguments.only_times:
        run_detection(encoder, arguments.seed)
    run_timing(encoder, arguments.recorded, arguments.queries, arguments.seed)


def run_detection(encoder: SentenceEncoder, seed: int) -> None:
    """The stream with injected pairs, with and without the encoder, and the same-slot groups."""
    records = stream_records(500, 1000)
    pairs, aliases, known = injected(records, seed)
    for name, embedder in (("with the sentence encoder", encoder), ("without an embedder", None)):
        print(f"{name}:")
        index = ConflictIndex(embedder, aliases=aliases, known=known)
        run_stream(index, woven(records, pairs, seed))
    run_unlabelled(encoder, records, seed)
    run_groups(encoder)


if __name__ == "__main__":
    main()
