"""`TrainedArtefact`: what a training left, kept by content: tensors in safetensors, the recipe in JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import rfc8785
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from kedit_lifecycle.blobs.folder import unwritable
from kedit_lifecycle.blobs.whole_file import replace_file
from kedit_lifecycle.errors import StoreError
from kedit_lifecycle.models.fingerprints import tensor_fingerprint

TENSORS, RECIPE = "weights.safetensors", "recipe.json"


@dataclass(frozen=True)
class TrainedArtefact:
    """Tensors and the recipe that says how they were made, of which `required` names what must be there."""

    tensors: Mapping[str, Tensor]
    recipe: Mapping[str, Any]

    kind: ClassVar[str] = "artefact"
    made_by: ClassVar[str] = "kedit train serac"
    required: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) over the recipe and the fingerprints of the tensors: the artefact's name."""
        fingerprints = {name: tensor_fingerprint(tensor) for name, tensor in self.tensors.items()}
        content = {"recipe": dict(self.recipe), "tensors": fingerprints}
        return hashlib.sha256(rfc8785.dumps(content)).hexdigest()

    def save(self, folder: Path) -> Path:
        """Write `folder/DIGEST/` with both files.

        Raises:
            StoreUnwritableError: a full disk or a read-only folder.
        """
        place = folder / self.digest
        self.write(place)
        return place

    def write(self, place: Path) -> None:
        """Write both files into `place`, the recipe last."""
        with unwritable(place):
            place.mkdir(parents=True, exist_ok=True)
            replace_file(place / TENSORS, save({name: t.contiguous() for name, t in self.tensors.items()}))
            replace_file(place / RECIPE, json.dumps(self.recipe, indent=1, sort_keys=True).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path, digest: str | None = None) -> Self:
        """Read an artefact's folder; with `digest`, only if it is that one.

        Raises:
            StoreError: a missing or damaged file, or another artefact than the one asked for.
        """
        try:
            recipe = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
            artefact = cls(load((folder / TENSORS).read_bytes()), recipe)
            lacking = [name for name in cls.required if name not in recipe]
            if lacking:
                raise ValueError(f"its recipe lacks {', '.join(lacking)}")
        except (OSError, ValueError, TypeError, SafetensorError) as error:
            raise StoreError(
                f"the {cls.kind} in {folder} cannot be read: {error}", hint=cls.made_by
            ) from error
        if digest is not None and artefact.digest != digest:
            raise StoreError(f"the {cls.kind} in {folder} is {artefact.digest[:10]}, not {digest[:10]}")
        return artefact
