"""A tensor as canonical bytes, and the fingerprint of it.

Canonical: dtype, shape, and the elements in C order, little-endian, without gaps. A fingerprint is of
these, never of a file, so that a file format's own freedom (metadata, padding) cannot change it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from blake3 import blake3

if TYPE_CHECKING:
    from typing_extensions import Buffer

ITEM_SIZES: dict[str, int] = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}
"""Bytes per element, by the names safetensors gives the dtypes."""

DOMAIN = b"kedit/tensor/1\0"
PARALLEL_FROM = 1 << 20  # bytes; below this, starting threads costs more than it saves


def byte_length(dtype: str, shape: Sequence[int]) -> int:
    """Bytes that a tensor of this dtype and shape holds.

    Raises:
        ValueError: an unknown dtype, or a negative dimension.
    """
    if dtype not in ITEM_SIZES:
        raise ValueError(f"unknown dtype {dtype!r}; known: {', '.join(sorted(ITEM_SIZES))}")
    if any(size < 0 for size in shape):
        raise ValueError(f"a dimension of {tuple(shape)} is negative")
    return ITEM_SIZES[dtype] * math.prod(shape)


def flat_bytes(buffer: Buffer) -> memoryview:
    """The buffer's bytes in one dimension, without copying.

    Raises:
        ValueError: the buffer is not C-contiguous, or is big-endian.
    """
    view = memoryview(buffer)
    if view.format.startswith((">", "!")):
        raise ValueError("the buffer is big-endian; a fingerprint is of little-endian elements")
    if not view.c_contiguous:
        raise ValueError("the buffer is not contiguous in C order")
    return view.cast("B") if view.nbytes else memoryview(b"")


def fingerprint(dtype: str, shape: Sequence[int], buffer: Buffer) -> str:
    """blake3 (hex) of `kedit/tensor/1`, dtype, shape and the elements; nothing is copied.

    Args:
        dtype: as safetensors names it, for example `F32` or `BF16`.
        shape: the tensor's dimensions; `()` for a scalar.
        buffer: the elements, contiguous in C order, little-endian. Its own item type does not matter.

    Raises:
        ValueError: the buffer does not hold exactly the elements of that dtype and shape.
    """
    view = flat_bytes(buffer)
    expected = byte_length(dtype, shape)
    if view.nbytes != expected:
        raise ValueError(f"{dtype} {tuple(shape)} takes {expected} bytes, the buffer holds {view.nbytes}")
    threads = blake3.AUTO if view.nbytes >= PARALLEL_FROM else 1
    hasher = blake3(max_threads=threads)
    hasher.update(DOMAIN + f"{dtype}:{','.join(map(str, shape))}\0".encode("ascii"))
    hasher.update(view)
    return hasher.hexdigest()


@dataclass(frozen=True)
class CanonicalTensor:
    """A tensor outside any framework: safetensors dtype name, shape, little-endian C-order bytes.

    Raises:
        ValueError: `data` is not as long as dtype and shape say.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    def __post_init__(self) -> None:
        expected = byte_length(self.dtype, self.shape)
        if len(self.data) != expected:
            raise ValueError(f"{self.dtype} {self.shape} takes {expected} bytes, got {len(self.data)}")

    @cached_property
    def fingerprint(self) -> str:
        """blake3 (hex) of the canonical bytes; also the name of the tensor's blob."""
        return fingerprint(self.dtype, self.shape, self.data)
