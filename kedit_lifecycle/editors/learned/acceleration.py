"""The passes of training in mixed precision: on a GPU by accelerate, on a CPU the matrix products alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

if TYPE_CHECKING:
    from accelerate import Accelerator  # type: ignore[import-untyped]


def accelerator(device: torch.device, mixed_precision: str) -> Accelerator:
    """What runs the passes, scales and clips; on a CPU without autocast, see `bf16_products`."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

    AcceleratorState._reset_state()  # one process may train twice, in other precisions
    on_cpu = device.type == "cpu"
    return Accelerator(cpu=on_cpu, mixed_precision="no" if on_cpu else mixed_precision)


@contextlib.contextmanager
def bf16_products(device: torch.device, mixed_precision: str) -> Iterator[None]:
    """Inside, on a CPU, with bf16: float32 matrices are multiplied in bfloat16, and added up in float32.

    Everything between the products stays float32. A CPU without bfloat16 instructions multiplies in float32
    as before. Autocast would be slower than float32: it casts every weight at every pass, and the fused
    attention's gradient is slow in bfloat16; hence attention by plain products, too.
    """
    if device.type != "cpu" or mixed_precision != "bf16":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
