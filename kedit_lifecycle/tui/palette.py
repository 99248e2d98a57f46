"""The command palette: every action by its name, with its key and its command line."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

if TYPE_CHECKING:
    from kedit_lifecycle.tui.actions import Action
    from kedit_lifecycle.tui.app import KeditApp


class ActionProvider(Provider):
    """The actions of the screen that is seen, and those of every screen."""

    def _actions(self) -> Iterator[tuple[str, str, Action]]:
        app = cast("KeditApp", self.app)
        for action in app.actions():
            if not action.palette:
                continue
            key = app.keymap.shown(action)
            reason = action.reason(app.kedit)
            told = f"not now: {reason}" if reason else action.command(app.kedit)
            yield f"{action.help}  ({key})" if key else action.help, told, action

    async def discover(self) -> Hits:
        """All of them."""
        app = cast("KeditApp", self.app)
        for name, told, action in self._actions():
            yield DiscoveryHit(name, partial(app.perform, action.id), name, told or None)

    async def search(self, query: str) -> Hits:
        """Those whose sentence or id is like the query."""
        app = cast("KeditApp", self.app)
        matcher = self.matcher(query)
        for name, told, action in self._actions():
            score = max(matcher.match(name), matcher.match(action.id) * 0.9)
            if score > 0:
                yield Hit(score, matcher.highlight(name), partial(app.perform, action.id), name, told or None)
