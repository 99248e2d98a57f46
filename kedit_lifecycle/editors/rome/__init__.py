"""ROME: rank-one model editing."""

from kedit_lifecycle.editors.rome.config import RomeConfig
from kedit_lifecycle.editors.rome.editor import Rome

__all__ = ["Rome", "RomeConfig"]
