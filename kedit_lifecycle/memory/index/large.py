"""The large index: inverted lists over vectors in half precision, searched with a filter."""

from __future__ import annotations

import math
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from kedit_lifecycle.memory.vectors_of_texts import Vectors

Slots = NDArray[np.int64]
Mask = NDArray[np.bool_]

_faiss: Any = faiss  # its annotations lack what its Python wrappers add

TRAINED_PER_LIST = 39  # vectors per centroid that FAISS asks for when it clusters
ITERATIONS = 6
PROBED = 48  # inverted lists read by a search of everything


def list_count(vectors: int) -> int:
    """How many inverted lists for so many vectors: about 4 √n, a power of two."""
    return 1 << max(4, round(math.log2(4 * math.sqrt(vectors))))


def build_large(vectors: Vectors, seed: int = 0) -> Any:
    """An inverted-file index (IVF, Jégou et al. 2011) over unit vectors, kept as 16-bit floats.

    A search gives back positions in `vectors`, (entries, dimension); `seed` is of the sample clustered.
    """
    dimension, lists = vectors.shape[1], list_count(len(vectors))
    quantiser = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFScalarQuantizer(
        quantiser, dimension, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.niter, index.cp.seed, index.cp.spherical = ITERATIONS, seed + 1, True
    wanted = min(len(vectors), lists * TRAINED_PER_LIST)
    sample = np.random.default_rng(seed).choice(len(vectors), wanted, replace=False)
    index.train(vectors[np.sort(sample)])
    index.add(vectors)
    return index


def extended(index: Any, vectors: Vectors) -> Any:
    """A copy of the index with more vectors behind the others, in the clusters there are."""
    larger = faiss.clone_index(index)
    larger.add(vectors)
    return larger


def search_large(index: Any, queries: Vectors, k: int, mask: Mask | None) -> tuple[Vectors, Slots]:
    """Scores and slots, (queries, k) each, best first; −1 where there are fewer.

    Where the mask leaves little, more lists are read, so that a small old version is found whole.
    """
    share = 1.0 if mask is None else max(float(mask.mean()), 1e-9)
    probes = min(index.nlist, math.ceil(PROBED / share))
    selector = None if mask is None else _selector_of(mask)
    parameters = _faiss.SearchParametersIVF(nprobe=probes, sel=selector)
    scores, slots = index.search(queries, k, params=parameters)
    return scores, slots


def search_flat(index: Any, queries: Vectors, k: int, mask: Mask | None) -> tuple[Vectors, Slots]:
    """As `search_large`, exact, on a flat index."""
    selector = None if mask is None else _selector_of(mask)
    scores, slots = index.search(queries, k, params=selector and _faiss.SearchParameters(sel=selector))
    return scores, slots


def _selector_of(mask: Mask) -> Any:
    """FAISS's filter for the slots that are true; it keeps the bits it reads alive."""
    return _faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def stored_vectors(index: Any) -> Vectors:
    """All vectors in the order of their slots, (entries, dimension), as precise as the index keeps them."""
    vectors = np.empty((index.ntotal, index.d), dtype=np.float32)
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if size:
            slots = faiss.rev_swig_ptr(index.invlists.get_ids(number), size)
            codes = faiss.rev_swig_ptr(index.invlists.get_codes(number), size * index.code_size)
            vectors[slots] = codes.view(np.float16).reshape(size, index.d)
    return vectors
