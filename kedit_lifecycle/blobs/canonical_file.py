"""The one safetensors file that a tensor can have here: a valid file, and a function of the tensor alone."""

from __future__ import annotations

import json
import struct
from typing import BinaryIO

from kedit_lifecycle.blobs.tensor import CanonicalTensor, byte_length

TENSOR_NAME = "tensor"
ALIGNMENT = 8  # safetensors starts the elements at a multiple of this
LONGEST_HEADER = 4096  # bytes; a header of ours is about 100


def file_prefix(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Everything before the elements: the header's length (8 bytes, little-endian) and the header."""
    entry = {"dtype": dtype, "shape": list(shape), "data_offsets": [0, byte_length(dtype, shape)]}
    header = json.dumps({TENSOR_NAME: entry}, separators=(",", ":")).encode("ascii")
    header += b" " * (-len(header) % ALIGNMENT)
    return struct.pack("<Q", len(header)) + header


def read_tensor(file: BinaryIO) -> CanonicalTensor:
    """The tensor in an open file.

    Raises:
        ValueError: saying how the file differs from the one file that the tensor can have.
    """
    start = file.read(8)
    if len(start) < 8:
        raise ValueError("the file ends inside the length of its header")
    (length,) = struct.unpack("<Q", start)
    if length > LONGEST_HEADER:
        raise ValueError(f"the header's length reads {length}")
    header = file.read(length)
    dtype, shape = _parse_header(header)
    if start + header != file_prefix(dtype, shape):
        raise ValueError("the header is not in its canonical form")
    expected = byte_length(dtype, shape)
    data = file.read()
    if len(data) != expected:
        raise ValueError(f"{expected} bytes of elements expected, {len(data)} found")
    return CanonicalTensor(dtype, shape, data)


def _parse_header(header: bytes) -> tuple[str, tuple[int, ...]]:
    try:
        entry = json.loads(header)[TENSOR_NAME]
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        if not isinstance(dtype, str) or not all(type(size) is int for size in shape):
            raise TypeError("dtype or shape is of the wrong type")
        byte_length(dtype, shape)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"the header cannot be read: {error}") from error
    return dtype, shape
