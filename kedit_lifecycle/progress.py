"""How long work reports where it is, and what it finds on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, the steps done and the steps in all. Whatever it raises stops the work there,
which then takes back what it did."""


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


@runtime_checkable
class Watcher(Protocol):
    """A `Progress` that also hears what is found on the way; give one wherever a `progress` is taken."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """A step of a stage is done."""

    def hear(self, kind: str, found: dict[str, Any]) -> None:
        """Something was found: `loss` of a search's step, `check`, `decision` of the gate, `version`."""


def tell(progress: Progress, kind: str, **found: Any) -> None:
    """Pass on what was found to a progress that is a `Watcher`; others do not hear of it."""
    if isinstance(progress, Watcher):
        progress.hear(kind, found)
