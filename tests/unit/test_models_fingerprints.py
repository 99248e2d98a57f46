"""Fingerprints are of canonical bytes, whatever tensor holds them."""

from __future__ import annotations

import pytest
import torch
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_model
from torch import Tensor

from kedit_lifecycle.models.fingerprints import (
    from_canonical,
    model_digest,
    tensor_fingerprint,
    to_canonical,
)

pytestmark = pytest.mark.unit

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8)
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


def counted(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.arange(1, 1 + int(torch.Size(shape).numel())).reshape(shape).to(dtype)


@given(shapes, st.sampled_from(DTYPES))
def test_there_and_back_bit_for_bit(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    tensor = counted(shape, dtype)
    canonical = to_canonical(tensor)
    back = from_canonical(canonical)
    assert back.dtype == dtype
    assert back.shape == tensor.shape
    assert torch.equal(back, tensor)
    assert canonical.fingerprint == tensor_fingerprint(tensor) == tensor_fingerprint(back)


def test_odd_values_keep_their_bits() -> None:
    odd = torch.tensor([0x7FC00001, -0x80000000, 0x00000001, 0x7F800000], dtype=torch.int64).to(torch.int32)
    odd = odd.view(torch.float32)  # a NaN with a payload, -0, a subnormal, inf
    back = from_canonical(to_canonical(odd))
    assert torch.equal(back.view(torch.int32), odd.view(torch.int32))
    assert tensor_fingerprint(torch.zeros(1)) != tensor_fingerprint(-torch.zeros(1))


def test_the_fingerprint_is_blake3_of_dtype_shape_and_little_endian_elements() -> None:
    expected = blake3(b"kedit/tensor/1\0F32:1,2\0" + b"\0\0\x80\x3f\0\0\0\x40").hexdigest()
    assert tensor_fingerprint(torch.tensor([[1.0, 2.0]])) == expected


def test_strides_and_views_do_not_matter_but_dtype_and_shape_do() -> None:
    tensor = counted((4, 3), torch.float32)
    whole = torch.zeros(4, 6)
    whole[:, ::2] = tensor
    assert tensor_fingerprint(whole[:, ::2]) == tensor_fingerprint(tensor)
    assert tensor_fingerprint(tensor.T.contiguous().T) == tensor_fingerprint(tensor)
    others = [tensor.reshape(3, 4), tensor.T, tensor.double(), tensor.to(torch.int32), tensor.reshape(-1)]
    assert len({tensor_fingerprint(one) for one in [tensor, *others]}) == 6


def test_what_comes_back_is_memory_of_its_own() -> None:
    canonical = to_canonical(torch.ones(3))
    from_canonical(canonical).zero_()
    assert torch.equal(from_canonical(canonical), torch.ones(3))


def test_a_models_digest_is_of_its_weights_alone() -> None:
    digest = model_digest(tiny_model("llama")[0])
    assert model_digest(tiny_model("llama")[0]) == digest
    network = tiny_model("llama")[0]
    network.config.bos_token_id = 7
    assert model_digest(network) == digest
    with torch.no_grad():
        next(iter(network.parameters())).view(-1)[0].add_(1e-3)
    assert model_digest(network) != digest
    assert model_digest(tiny_model("llama", torch.bfloat16)[0]) != digest
    assert model_digest(tiny_model("llama_tied")[0]) != digest
