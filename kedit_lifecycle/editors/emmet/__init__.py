"""EMMET: equality-constrained mass model editing."""

from kedit_lifecycle.editors.emmet.config import EmmetConfig
from kedit_lifecycle.editors.emmet.editor import Emmet

__all__ = ["Emmet", "EmmetConfig"]
