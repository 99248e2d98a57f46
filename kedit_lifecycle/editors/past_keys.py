"""The keys that earlier edits were written at: an editor's state, which belongs to the version."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from torch import Tensor

from kedit_lifecycle.models.delta import TensorUpdate

KeyBlocks = Mapping[str, Sequence[Tensor]]
"""By tensor, one block (n, d_ff) for each update that was written at keys, oldest first."""


class PastKeys:
    """Keys of all edits up to a version; read when an editor first asks, then carried along.

    Sums over past keys are taken block by block in the order of the edits, so that a history read
    anew gives the same bits as one that grew edit by edit.
    """

    def __init__(self, load: Callable[[], KeyBlocks] = dict) -> None:
        self._load = load
        self._blocks: dict[str, list[Tensor]] | None = None
        self._sums: dict[tuple[str, Hashable], tuple[int, Tensor]] = {}

    def blocks(self, tensor: str) -> list[Tensor]:
        """The blocks of one tensor, each (n, d_ff) float32, oldest first."""
        return self._read().get(tensor, [])

    @property
    def loaded(self) -> bool:
        """Whether any editor has asked yet."""
        return self._blocks is not None

    def _read(self) -> dict[str, list[Tensor]]:
        if self._blocks is None:
            self._blocks = {name: list(blocks) for name, blocks in self._load().items()}
        return self._blocks

    def add(self, updates: Sequence[TensorUpdate]) -> None:
        """Another version on top: the keys of its updates."""
        for update in updates:
            if update.keys is not None:
                self._read().setdefault(update.tensor, []).append(update.keys)

    def copy(self) -> PastKeys:
        """The same keys, to be carried on apart."""
        other = PastKeys()
        other._blocks = {name: list(blocks) for name, blocks in self._read().items()}
        other._sums = dict(self._sums)
        return other

    def gram(self, tensor: str, space: Hashable, transform: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Σ k̂ k̂ᵀ over the past keys of a tensor, k̂ = transform(k); None where there are none.

        `space` names the transform, under which the sum is kept and only new blocks are added.
        """
        blocks = self.blocks(tensor)
        done, total = self._sums.get((tensor, space), (0, None))
        for block in blocks[done:]:
            moved = transform(block)  # (n, dimension)
            product = moved.T @ moved
            total = product if total is None else total + product
        if total is not None:
            self._sums[tensor, space] = (len(blocks), total)
        return total
