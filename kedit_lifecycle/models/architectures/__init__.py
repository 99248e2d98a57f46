"""One small file per model family; `architecture_of` finds the one for a model."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from kedit_lifecycle.errors import UnknownArchitectureError
from kedit_lifecycle.models.architectures.base import Architecture
from kedit_lifecycle.models.architectures.gpt2 import GPT2
from kedit_lifecycle.models.architectures.gpt_neox import GPT_NEOX
from kedit_lifecycle.models.architectures.gptj import GPTJ
from kedit_lifecycle.models.architectures.llama import LLAMA

ENTRY_POINT_GROUP = "kedit.architectures"
BUILT_IN = (LLAMA, GPT2, GPTJ, GPT_NEOX)

__all__ = ["BUILT_IN", "Architecture", "architecture_of", "architectures"]


def architectures() -> tuple[Architecture, ...]:
    """The built-in families and those that installed packages supply by entry point."""
    supplied = tuple(entry.load() for entry in entry_points(group=ENTRY_POINT_GROUP))
    return (*supplied, *BUILT_IN)


def architecture_of(config: Any) -> Architecture:
    """The adapter for a Hugging Face config.

    Raises:
        UnknownArchitectureError: naming the family and listing those supported.
    """
    known = architectures()
    for architecture in known:
        if config.model_type in architecture.model_types:
            return architecture
    supported = ", ".join(sorted(kind for a in known for kind in a.model_types))
    raise UnknownArchitectureError(
        f"no adapter for the architecture {config.model_type!r}; supported: {supported}",
        hint=f"supply an Architecture by the entry point group {ENTRY_POINT_GROUP!r} (see CONTRIBUTING.md)",
    )
