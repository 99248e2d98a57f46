"""Version control for what a language model believes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedit_lifecycle.facts.request import EditRequest
    from kedit_lifecycle.workbench import Workbench

__all__ = ["EditRequest", "Workbench", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the heavy names when they are asked for."""
    if name == "Workbench":
        from kedit_lifecycle.workbench import Workbench

        return Workbench
    if name == "EditRequest":
        from kedit_lifecycle.facts.request import EditRequest

        return EditRequest
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
