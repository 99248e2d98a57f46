"""Workbenches on tiny models, and the facts that are edited in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tiny import save_tiny, tiny_tokenizer

from kedit_lifecycle.facts.request import EditRequest, make_request
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.fingerprints import tensor_fingerprint
from kedit_lifecycle.workbench import Workbench

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

QUICK: dict[str, dict[str, Any]] = {
    "rome": {
        "layer": 1,
        "steps": 3,
        "learning_rate": 0.1,
        "prefix_lengths": [[3, 2]],
        "second_moment_tokens": 320,
    }
}
for _name, _more in {
    "memit": {"covariance_weight": 1.0},
    "emmet": {"damping": 0.01},
    "alphaedit": {"null_space_fraction": 0.9, "ridge": 0.1},
}.items():
    QUICK[_name] = {name: value for name, value in QUICK["rome"].items() if name != "layer"}
    QUICK[_name] |= {"layers": [0, 1], **_more}
QUICK["ft"] = {"layer": 1, "steps": 3, "learning_rate": 0.01}
QUICK["ft-l"] = QUICK["ft"] | {"norm_constraint": 0.01}
QUICK["mend"] = {"artefact": "untrained", "scale": 1e3}
QUICK["knowledge-editor"] = {"artefact": "untrained", "scale": 10.0}
"""Settings that make an editor fast on a tiny model, by its name; others get their defaults."""


def requests(count: int) -> list[EditRequest]:
    """Different facts, with paraphrases and neighbours, about as many cities."""
    return [
        make_request(
            subject=f"City {chr(65 + i % 26)}{i}",
            prompt="{} is in the country of",
            target_new=("Italy", "Japan", "Germany")[i % 3],
            target_true="France",
            paraphrases=[f"Where is City {chr(65 + i % 26)}{i}? In"],
            neighborhood=["Paris is in the country of", "The capital of Italy is"],
        )
        for i in range(count)
    ]


def tiny_workbench(
    folder: Path, family: str = "llama", dtype: str = "float32", *, checkpoint_every: int = 4
) -> Workbench:
    """A new store under `folder`, for a tiny model that is saved beside it."""
    model = folder / "model"
    if not model.is_dir():
        save_tiny(family, model, DTYPES[dtype])
    return Workbench.create(
        folder / "store", model=str(model), checkpoint_every=checkpoint_every, accept_unsound=True
    )


def broken_for_tilde(folder: Path) -> None:
    """A model whose embedding of "~" is infinite: whatever is asked with one cannot be solved."""
    path = save_tiny("llama", folder / "model") / "model.safetensors"
    tensors = load_file(path)
    (token,) = tiny_tokenizer("llama")("~", add_special_tokens=False)["input_ids"]
    tensors["model.embed_tokens.weight"][token] = torch.inf
    save_file(tensors, path, metadata={"format": "pt"})


def all_fingerprints(model: EditableModel) -> dict[str, str]:
    """Of every parameter, as it answers."""
    return {name: tensor_fingerprint(parameter) for name, parameter in model.network.named_parameters()}


def store_files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for SQLite's side files and the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock"))
    }
