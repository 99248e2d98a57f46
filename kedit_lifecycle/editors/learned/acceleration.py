"""The passes of training on a GPU: mixed precision, by accelerate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator  # type: ignore[import-untyped]


def accelerator(device: torch.device, mixed_precision: str) -> Accelerator:
    """What runs the passes, scales and clips; on a CPU in full precision, whatever was asked for."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

    AcceleratorState._reset_state()  # one process may train twice, in other precisions
    on_cpu = device.type == "cpu"
    return Accelerator(cpu=on_cpu, mixed_precision="no" if on_cpu else mixed_precision)
