"""AlphaEdit: null-space constrained editing."""

from kedit_lifecycle.editors.alphaedit.config import AlphaEditConfig
from kedit_lifecycle.editors.alphaedit.editor import AlphaEdit

__all__ = ["AlphaEdit", "AlphaEditConfig"]
