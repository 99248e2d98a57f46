"""MEMIT: mass-editing memory in a transformer."""

from kedit_lifecycle.editors.memit.config import MemitConfig
from kedit_lifecycle.editors.memit.editor import Memit

__all__ = ["Memit", "MemitConfig"]
