"""The memory's index with 1,000,000 entries: search times, recall against exact search, memory, adding.

    OMP_NUM_THREADS=1 nice -n 10 python benchmarks/bench_memory_index.py --entries 1000000

Vectors are random, unit length, 384-d, in clusters of about 50, as edits of one relation are. A query is an
entry moved a little, as a rewording is. Exact search runs over the same vectors in parts.
"""

from __future__ import annotations

import argparse
import resource
import time

import faiss
import numpy as np
from numpy.typing import NDArray

from kedit_lifecycle.memory.index.large import PROBED
from kedit_lifecycle.memory.index.tiers import VectorIndex

DIMENSION = 384
PER_CLUSTER, SPREAD, MOVED = 50, 0.7, 0.35  # noise relative to the length of a centre
PART = 100_000

Vectors = NDArray[np.float32]


def unit(rows: Vectors) -> Vectors:
    scaled: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def noise(draw: np.random.Generator, count: int) -> Vectors:
    return draw.standard_normal((count, DIMENSION), dtype=np.float32) / np.float32(np.sqrt(DIMENSION))


def part_of(number: int, count: int, clusters: int) -> Vectors:
    """One part of the entries, always the same."""
    centres = unit(noise(np.random.default_rng(0), clusters))
    draw = np.random.default_rng(1 + number)
    return unit(centres[draw.integers(clusters, size=count)] + SPREAD * noise(draw, count))


def resident_gb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e9


def exact(sizes: list[int], clusters: int, queries: Vectors, k: int) -> NDArray[np.int64]:
    heap = faiss.ResultHeap(len(queries), k, keep_max=True)
    for number, size in enumerate(sizes):
        flat = faiss.IndexFlatIP(DIMENSION)
        flat.add(part_of(number, size, clusters))
        scores, slots = flat.search(queries, k)
        heap.add_result(scores, slots + number * PART)
    heap.finalize()
    slots_found: NDArray[np.int64] = heap.I
    return slots_found


def timed(index: VectorIndex, queries: Vectors) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Milliseconds of each search, one query at a time, and the slots found."""
    took, found = [], []
    for row in queries:
        start = time.perf_counter()
        found.append(index.search(row[None], 10)[1][0])
        took.append((time.perf_counter() - start) * 1000)
    return np.array(took), np.array(found)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--entries", type=int, default=1_000_000)
    arguments.add_argument("--queries", type=int, default=1000)
    chosen = arguments.parse_args()
    clusters = max(1, chosen.entries // PER_CLUSTER)
    sizes = [min(PART, chosen.entries - begin) for begin in range(0, chosen.entries, PART)]
    draw = np.random.default_rng(99)
    from_part = part_of(0, sizes[0], clusters)[draw.choice(sizes[0], chosen.queries, replace=False)]
    queries = unit(from_part + MOVED * noise(draw, chosen.queries))

    index = VectorIndex(DIMENSION, large_from=chosen.entries)
    start = time.perf_counter()
    for number, size in enumerate(sizes):
        index.add(part_of(number, size, clusters))
    index.wait()
    print(f"{chosen.entries:,} entries, built in {time.perf_counter() - start:.0f} s in the background")
    assert index.tiers.large is not None
    print(f"lists {index.tiers.large.nlist}, read {PROBED}; resident {resident_gb():.2f} GB", flush=True)
    new = unit(noise(draw, 4096))
    start = time.perf_counter()
    for row in new:
        index.add(row[None])
    each = (time.perf_counter() - start) / len(new) * 1e6
    print(f"adding one entry: {each:.0f} µs; {len(new)} beside the large index")
    timed(index, queries[:50])
    took, found = timed(index, queries)
    p50, p99 = np.percentile(took, [50, 99])
    print(f"search, one query: median {p50:.2f} ms, p99 {p99:.2f} ms, worst {took.max():.2f} ms", flush=True)
    wanted = exact(sizes, clusters, queries, 10)
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), wanted.tolist(), strict=True)]
    print(f"recall@10 {np.mean(shared):.4f}; first found {np.mean(found[:, 0] == wanted[:, 0]):.4f}")
    print(f"resident at the end {resident_gb():.2f} GB")


if __name__ == "__main__":
    main()
