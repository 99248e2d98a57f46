"""Whether a GPU has room for a large piece of work."""

from __future__ import annotations

import torch


def device_with_room(device: torch.device, needed: int) -> torch.device:
    """`device` if `needed` bytes leave half of its free memory free, else the CPU.

    Of the free memory counts what this process holds and does not use.
    """
    if device.type != "cuda":
        return torch.device("cpu")
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return device if 2 * needed < free + unused else torch.device("cpu")
