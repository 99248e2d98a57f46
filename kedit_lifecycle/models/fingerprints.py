"""Torch tensors as canonical tensors, and the digest of a whole model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kedit_lifecycle.blobs import CanonicalTensor, fingerprint

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}


def _raw(tensor: Tensor) -> memoryview:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")


def tensor_fingerprint(tensor: Tensor) -> str:
    """Fingerprint (hex) of dtype, shape and contiguous little-endian bytes."""
    return fingerprint(_NAMES[tensor.dtype], tuple(tensor.shape), _raw(tensor))


def to_canonical(tensor: Tensor) -> CanonicalTensor:
    """A copy of the tensor's bytes as the blob store keeps them."""
    return CanonicalTensor(_NAMES[tensor.dtype], tuple(tensor.shape), bytes(_raw(tensor)))


def from_canonical(canonical: CanonicalTensor) -> Tensor:
    """The torch tensor, on the CPU, bit for bit."""
    dtype = _DTYPES[canonical.dtype]
    if not canonical.data:
        return torch.empty(canonical.shape, dtype=dtype)
    return torch.frombuffer(bytearray(canonical.data), dtype=dtype).reshape(canonical.shape)


def model_digest(network: nn.Module) -> str:
    """sha256 over the sorted names and fingerprints of all parameters; tied ones count once."""
    seen: dict[int, str] = {}
    lines: Mapping[str, str] = {
        name: seen.setdefault(parameter.data_ptr(), tensor_fingerprint(parameter))
        for name, parameter in network.named_parameters()
    }
    listing = "".join(f"{name} {lines[name]}\n" for name in sorted(lines))
    return hashlib.sha256(listing.encode()).hexdigest()
