"""Where a training stands, on disk: whole or not at all, in safetensors and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from kedit_lifecycle.blobs.folder import unwritable
from kedit_lifecycle.blobs.whole_file import replace_file
from kedit_lifecycle.errors import StoreError

Tensors = Mapping[str, Tensor]


@dataclass
class Standing:
    """What the loop goes on from. `best` is the network at its best validation."""

    step: int = 0
    best_step: int = 0
    best_loss: float = float("inf")
    since_best: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    stopped: str = ""


def write_checkpoint(
    folder: Path,
    name: str,
    standing: Standing,
    network: Tensors,
    best: Tensors,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Put the checkpoint of a training in place of the one before, in one step.

    Raises:
        StoreUnwritableError: a full disk or a read-only folder.
    """
    tensors = {f"network.{key}": value for key, value in network.items()}
    tensors |= {f"best.{key}": value for key, value in best.items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{key}": value for key, value in state.items()}
    held = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    note = json.dumps(asdict(standing))
    with unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / f"{name}.checkpoint", save(held, {"standing": note}))


def read_checkpoint(folder: Path, name: str) -> tuple[Standing, dict[str, Tensor]] | None:
    """The standing of a training and its tensors by their full names; None where it has not begun.

    Raises:
        StoreError: the file is damaged.
    """
    path = folder / f"{name}.checkpoint"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        size = int.from_bytes(content[:8], "little")
        note = json.loads(content[8 : 8 + size])["__metadata__"]["standing"]
        return Standing(**json.loads(note)), load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"the checkpoint {path} is damaged: {error}", hint="delete it; training begins anew"
        ) from error


def under(tensors: Tensors, prefix: str) -> dict[str, Tensor]:
    """Those whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Give an optimiser the moments it had."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in under(tensors, "optimiser.").items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
