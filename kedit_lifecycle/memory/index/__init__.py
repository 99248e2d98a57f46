"""Which entries are near a query: FAISS, exact while small, inverted lists when large, a cache on disk."""

from kedit_lifecycle.memory.index.memory_index import Hit, MemoryIndex
from kedit_lifecycle.memory.index.opening import OpenedIndex, open_or_rebuild
from kedit_lifecycle.memory.index.saved import save_index
from kedit_lifecycle.memory.index.tiers import VectorIndex

__all__ = ["Hit", "MemoryIndex", "OpenedIndex", "VectorIndex", "open_or_rebuild", "save_index"]
