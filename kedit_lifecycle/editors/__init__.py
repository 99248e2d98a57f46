"""The editors' registry. A method registers its class here; others arrive by entry point."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from kedit_lifecycle.editors.alphaedit import AlphaEdit
from kedit_lifecycle.editors.base import Editor, EditorConfig
from kedit_lifecycle.editors.emmet import Emmet
from kedit_lifecycle.editors.fine_tuning import ConstrainedFineTuning, FineTuning
from kedit_lifecycle.editors.knowledge_editor import KnowledgeEditor
from kedit_lifecycle.editors.memit import Memit
from kedit_lifecycle.editors.mend import Mend
from kedit_lifecycle.editors.past_keys import PastKeys
from kedit_lifecycle.editors.rome import Rome
from kedit_lifecycle.errors import UsageError

ENTRY_POINT_GROUP = "kedit.editors"

__all__ = ["Editor", "EditorConfig", "PastKeys", "editor_names", "get_editor", "register"]

_REGISTRY: dict[str, type[Editor[Any]]] = {}


def register(editor: type[Editor[Any]]) -> None:
    """Add a method under its name.

    Raises:
        ValueError: if something every editor declares is missing, or the name is taken by another class.
    """
    for attribute in ("name", "pretty_name", "reference_url", "config_class"):
        if not getattr(editor, attribute, None):
            raise ValueError(f"{editor.__name__} declares no {attribute}")
    if _REGISTRY.setdefault(editor.name, editor) is not editor:
        raise ValueError(f"the editor name {editor.name!r} is taken by {_REGISTRY[editor.name].__name__}")


def _load_supplied() -> None:
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        register(entry.load())


def editor_names() -> list[str]:
    """Names of all methods, built in and supplied."""
    _load_supplied()
    return sorted(_REGISTRY)


def get_editor(name: str) -> Editor[Any]:
    """A method by name.

    Raises:
        UsageError: naming those that exist.
    """
    if name not in _REGISTRY:
        _load_supplied()
    if name not in _REGISTRY:
        raise UsageError(f"no editor {name!r}; there are: {', '.join(editor_names())}")
    return _REGISTRY[name]()


for _built_in in (Rome, Memit, AlphaEdit, Emmet, FineTuning, ConstrainedFineTuning, Mend, KnowledgeEditor):
    register(_built_in)
