"""A trained editor: its network's tensors and its recipe, kept in a store by content."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedit_lifecycle.blobs.folder import unwritable
from kedit_lifecycle.blobs.whole_file import replace_file
from kedit_lifecycle.errors import ModelError, StoreError, UsageError
from kedit_lifecycle.models.artefact import RECIPE, TrainedArtefact
from kedit_lifecycle.models.editable import EditableModel

LATEST = "latest"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class LearnedArtefact(TrainedArtefact):
    """What a training of MEND or KnowledgeEditor left.

    The recipe names the method, the base model by digest, the edited tensors, every setting, the data by
    digest, the curve, and the scores on the facts held out for validation.
    """

    kind = "trained editor"
    required = ("format", "method", "base", "tensors", "settings")
    made_by = "kedit train"


class TrainedShelf:
    """The trained editors of one store, in `<store>/trained/<digest>/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, artefact: LearnedArtefact) -> Path:
        """Keep an artefact; it is its method's latest from now on."""
        place = artefact.save(self.folder)
        with unwritable(place):
            replace_file(self._note(artefact.recipe["method"]), json.dumps(artefact.digest).encode())
        return place

    def has_latest(self, method: str) -> bool:
        """Whether the store has a trained editor of the method."""
        return self._note(method).exists()

    def digest_of(self, method: str, name: str) -> str:
        """The full digest of `latest`, or of the one whose digest begins so.

        Raises:
            UsageError: none, or several.
        """
        if name == LATEST:
            return self._latest(method)
        digests = [one.name for one in sorted(self.folder.glob("*")) if _DIGEST.fullmatch(one.name)]
        found = [digest for digest in digests if name and digest.startswith(name)]
        if len(found) != 1:
            many = "several trained editors begin" if found else "no trained editor begins"
            raise UsageError(f"{many} with {name!r} in this store", hint=f"kedit train {method}")
        return found[0]

    def _latest(self, method: str) -> str:
        try:
            return str(json.loads(self._note(method).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{method} edits with a trained network, and this store has none",
                hint=f"kedit train {method} --data FILE",
            ) from error

    def _note(self, method: str) -> Path:
        return self.folder / f"{method}.latest.json"


def load_for(folder: Path, method: str, digest: str, model: EditableModel) -> LearnedArtefact:
    """The artefact of a digest in a folder of some, checked byte for byte, for edits of a model.

    Raises:
        StoreError: it is missing, damaged, or of another method.
        ModelError: it was trained for another base model.
    """
    artefact = LearnedArtefact.load(folder / digest, digest)
    if artefact.recipe["method"] != method:
        raise StoreError(f"the trained editor {digest[:12]} is of {artefact.recipe['method']}")
    refuse_other_base(artefact.recipe, digest, model)
    return artefact


def packaged_for(folder: Path, model: EditableModel) -> str | None:
    """The digest of the artefact in a folder of some that was trained for this base model; None: none was."""
    for recipe in sorted(folder.glob(f"*/{RECIPE}")):
        if json.loads(recipe.read_text(encoding="utf-8"))["base"] == model.base_digest:
            return recipe.parent.name
    return None


def refuse_other_base(recipe: Mapping[str, Any], digest: str, model: EditableModel) -> None:
    """A network knows the gradients of one model.

    Raises:
        ModelError: it is another than this.
    """
    if recipe["base"] != model.base_digest:
        raise ModelError(
            f"the trained editor {digest[:12]} belongs to {recipe.get('model', 'another model')} "
            f"(base {recipe['base'][:12]}), not to {model.name} (base {model.base_digest[:12]})",
            hint=f"kedit train {recipe['method']} --data FILE, with this store",
        )
