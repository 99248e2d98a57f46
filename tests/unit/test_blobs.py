"""Canonical tensors, their fingerprints, and the folder that keeps them."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from safetensors.numpy import load_file
from small_store import tensor

from kedit_lifecycle.blobs import BlobStore, CanonicalTensor, fingerprint
from kedit_lifecycle.blobs.tensor import ITEM_SIZES, PARALLEL_FROM
from kedit_lifecycle.errors import BlobDamagedError, BlobMissingError, StoreError, UsageError

pytestmark = pytest.mark.unit


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def test_the_fingerprint_is_what_the_format_says() -> None:
    elements = struct.pack("<3f", 1.0, 2.0, 3.0)
    expected = blake3(b"kedit/tensor/1\0F32:3\0" + elements).hexdigest()
    assert fingerprint("F32", (3,), elements) == expected == tensor(1, 2, 3).fingerprint


def test_dtype_shape_and_every_byte_count() -> None:
    data = bytes(range(24))
    variants = [
        fingerprint("F32", (6,), data),
        fingerprint("I32", (6,), data),
        fingerprint("F32", (2, 3), data),
        fingerprint("F32", (3, 2), data),
        fingerprint("F32", (1, 6), data),
        fingerprint("BF16", (12,), data),
        *(fingerprint("F32", (6,), data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]) for i in range(24)),
    ]
    assert len(set(variants)) == len(variants)


def test_any_buffer_of_the_same_bytes_has_the_same_fingerprint() -> None:
    array = np.arange(12, dtype="<f4").reshape(3, 4)
    expected = CanonicalTensor("F32", (3, 4), array.tobytes()).fingerprint
    for buffer in (array.data, array.tobytes(), bytearray(array.tobytes()), array.view(np.uint8).data):
        assert fingerprint("F32", (3, 4), buffer) == expected


def test_a_large_buffer_hashed_in_parallel_has_the_plain_fingerprint() -> None:
    data = os.urandom(PARALLEL_FROM + 4)
    expected = blake3(f"kedit/tensor/1\0U8:{len(data)}\0".encode() + data).hexdigest()
    assert fingerprint("U8", (len(data),), data) == expected


def test_buffers_that_are_not_canonical_are_refused() -> None:
    array = np.arange(12, dtype="<f4").reshape(3, 4)
    with pytest.raises(ValueError, match="contiguous"):
        fingerprint("F32", (4, 3), array.T.data)
    with pytest.raises(ValueError, match="big-endian"):
        fingerprint("F32", (12,), np.arange(12, dtype=">f4").data)
    with pytest.raises(ValueError, match="takes 48 bytes"):
        fingerprint("F32", (3, 4), array[:2].data)
    with pytest.raises(ValueError, match="unknown dtype 'float32'"):
        fingerprint("float32", (3, 4), array.data)
    with pytest.raises(ValueError, match="negative"):
        fingerprint("F32", (-3, -4), array.data)


def test_a_tensor_must_be_as_long_as_it_says() -> None:
    with pytest.raises(ValueError, match="takes 8 bytes, got 7"):
        CanonicalTensor("F32", (2,), b"1234567")


@pytest.mark.parametrize("dtype", sorted(ITEM_SIZES))
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 0, 3), (2, 3, 4)])
def test_every_dtype_and_shape_comes_back(blobs: BlobStore, dtype: str, shape: tuple[int, ...]) -> None:
    size = ITEM_SIZES[dtype] * int(np.prod(shape, dtype=int))
    kept = CanonicalTensor(dtype, shape, bytes(i % 2 for i in range(size)))
    assert blobs.get(blobs.put(kept)) == kept


def test_a_blob_is_a_file_that_safetensors_reads(blobs: BlobStore) -> None:
    path = blobs.path(blobs.put(tensor(1.5, -2.0)))
    ((name, array),) = load_file(path).items()
    assert (name, str(array.dtype), array.tolist()) == ("tensor", "float32", [1.5, -2.0])


def test_a_blob_is_named_by_its_fingerprint_and_written_once(blobs: BlobStore) -> None:
    blob = blobs.put(tensor(1, 2))
    path = blobs.path(blob)
    before = path.stat()
    assert blob == tensor(1, 2).fingerprint
    assert path == blobs.root / blob[:2] / f"{blob[2:]}.safetensors"
    assert blobs.put(tensor(1, 2)) == blob
    after = path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert blobs.has(blob)
    assert blobs.size(blob) == before.st_size
    assert list(blobs.ids()) == [blob]
    assert list(blobs.tmp.iterdir()) == []


def test_a_missing_blob_is_named(blobs: BlobStore) -> None:
    blob = tensor(9).fingerprint
    assert not blobs.has(blob)
    assert blobs.check(blob) == "missing"
    for call in (blobs.get, blobs.size):
        with pytest.raises(BlobMissingError, match=blob[:10]) as caught:
            call(blob)
        assert isinstance(caught.value, StoreError)
        assert caught.value.exit_code == 3


@pytest.mark.parametrize("bad", ["", "ab", "../../etc/passwd", "A" * 64, "g" * 64, "a" * 65])
def test_an_id_that_is_none_never_becomes_a_path(blobs: BlobStore, bad: str) -> None:
    with pytest.raises(UsageError):
        blobs.path(bad)


def test_a_flipped_bit_of_any_byte_is_found_and_named(blobs: BlobStore) -> None:
    blob = blobs.put(tensor(1, 2, 3))
    path = blobs.path(blob)
    good = path.read_bytes()
    for position in range(len(good)):
        for bit in (0, 5, 7):
            path.write_bytes(good[:position] + bytes([good[position] ^ 1 << bit]) + good[position + 1 :])
            with pytest.raises(BlobDamagedError, match=path.name):
                blobs.get(blob)
            assert blobs.check(blob)
    path.write_bytes(good)
    assert blobs.check(blob) is None


@pytest.mark.parametrize("content", [b"", b"\1\0\0", b"\xff" * 8, b"\0" * 8, b"\2\0\0\0\0\0\0\0{}"])
def test_a_file_cut_short_or_lengthened_is_found(blobs: BlobStore, content: bytes) -> None:
    blob = blobs.put(tensor(1, 2, 3))
    path = blobs.path(blob)
    good = path.read_bytes()
    for damaged in (content, good[:-1], good + b"\0"):
        path.write_bytes(damaged)
        assert blobs.check(blob)


def test_another_tensor_under_the_name_is_found(blobs: BlobStore) -> None:
    one, two = blobs.put(tensor(1)), blobs.put(tensor(2))
    os.replace(blobs.path(two), blobs.path(one))
    with pytest.raises(BlobDamagedError, match="another fingerprint"):
        blobs.get(one)


def test_put_replaces_a_damaged_file(blobs: BlobStore) -> None:
    blob = blobs.put(tensor(1, 2))
    blobs.path(blob).write_bytes(b"junk")
    assert blobs.put(tensor(1, 2)) == blob
    assert blobs.get(blob) == tensor(1, 2)


def test_sweep_removes_only_what_is_old(blobs: BlobStore) -> None:
    blob = blobs.put(tensor(1))
    old, young = blobs.tmp / "old", blobs.tmp / "young"
    for path in (old, young):
        path.write_bytes(b"half")
    hours_ago = time.time() - 7200
    os.utime(old, (hours_ago, hours_ago))
    assert blobs.sweep() == 1
    assert not old.exists()
    assert young.exists()
    assert blobs.sweep(older_than=-1) == 1
    assert blobs.check(blob) is None


def test_files_that_are_no_blobs_are_told_apart(blobs: BlobStore) -> None:
    blob = blobs.put(tensor(1))
    strangers = {blobs.root / "notes.txt", blobs.root / blob[:2] / "short.safetensors"}
    for path in strangers:
        path.write_bytes(b"")
    assert list(blobs.ids()) == [blob]
    assert set(blobs.strangers()) == strangers


def test_an_empty_or_absent_folder_has_no_blobs(blobs: BlobStore) -> None:
    assert list(blobs.ids()) == []
    assert blobs.sweep() == 0
