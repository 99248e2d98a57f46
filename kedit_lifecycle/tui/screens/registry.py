"""Which screens there are, and in which order.

The built-in ones are listed here by name, so that one is imported only when it is shown. Other packages add
theirs with `register`, or by an entry point of the group `kedit.screens` that names a `KeditScreen`; its
`TITLE` and `ORDER` say where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from kedit_lifecycle.errors import UsageError

if TYPE_CHECKING:
    from kedit_lifecycle.tui.screens.base import KeditScreen

GROUP = "kedit.screens"
Factory = Callable[[], "KeditScreen"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A screen: its name in ids and key maps, its title, its place, and how it is made."""

    name: str
    title: str
    order: int
    factory: Factory | str  # "module:Class"

    def make(self) -> KeditScreen:
        """The screen itself, imported now if it was not."""
        factory = _resolved(self.factory) if isinstance(self.factory, str) else self.factory
        screen = factory()
        screen.id = widget_id(self.name)
        return screen


_ENTRIES: dict[str, Entry] = {}


def widget_id(name: str) -> str:
    """The DOM id of a screen."""
    return f"screen-{name}"


def _resolved(place: str) -> Factory:
    module, _, attribute = place.partition(":")
    return cast(Factory, getattr(import_module(module), attribute))


def register(name: str, title: str, order: int, factory: Factory | str) -> None:
    """Add a screen.

    Args:
        name: letters, digits and hyphens.
        title: what its tab says.
        order: tabs stand from the lowest; the built-in ones are at 10, 20, ... 60.
        factory: a `KeditScreen` class, a function that makes one, or "module:Class".

    Raises:
        UsageError: the name is taken, or is no name.
    """
    if name in _ENTRIES:
        raise UsageError(f"there is a screen {name!r} already")
    if not name or not all(part.isalnum() for part in name.split("-")):
        raise UsageError(f"{name!r} cannot be the name of a screen: letters, digits and hyphens")
    _ENTRIES[name] = Entry(name, title, order, factory)


def unregister(name: str) -> None:
    """Take a screen out again."""
    _ENTRIES.pop(name, None)


def screens() -> list[Entry]:
    """All screens in the order of their tabs."""
    return sorted(_ENTRIES.values(), key=lambda one: (one.order, one.name))


def discover() -> list[str]:
    """Register the screens of installed packages; what is wrong with some, for the user.

    Entry points are read from disk, so this is for after the first paint. A plug-in that is broken is named
    and left out.
    """
    from importlib.metadata import entry_points

    problems = []
    for point in entry_points(group=GROUP):
        if point.name in _ENTRIES:
            continue
        try:
            screen = point.load()
            register(point.name, str(screen.TITLE), int(screen.ORDER), screen)
        except Exception as error:  # a plug-in may raise anything
            problems.append(f"screen {point.name} ({point.value}): {error}")
    return problems


_HERE = "kedit_lifecycle.tui.screens"
register("ledger", "Ledger", 10, f"{_HERE}.ledger:LedgerScreen")
register("compose", "Compose", 20, f"{_HERE}.compose:ComposeScreen")
register("ask", "Ask", 30, f"{_HERE}.ask:AskScreen")
register("health", "Health", 40, f"{_HERE}.health:HealthScreen")
register("memory", "Memory", 50, f"{_HERE}.memory:MemoryScreen")
register("audit", "Audit", 60, f"{_HERE}.audit:AuditScreen")
