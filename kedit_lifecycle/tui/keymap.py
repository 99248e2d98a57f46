"""Which keys do what: the actions' own, or those of the user's `keys.toml`.

[keys]
"ledger.undo" = ["u", "ctrl+z"]
"app.quit" = "ctrl+c"
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.binding import Binding, InvalidBinding
from textual.keys import format_key

from kedit_lifecycle.tui.actions import Action


def keys_file() -> Path:
    """Where the user's key map is: `$XDG_CONFIG_HOME/kedit/keys.toml`."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "kedit" / "keys.toml"


@dataclass(frozen=True, slots=True)
class Keymap:
    """`chosen` are the user's keys by action id; `problems` what could not be read, for the user."""

    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Keymap:
        """The user's file; an empty map where there is none. Nothing in it stops the program."""
        try:
            found = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            return cls(problems=(f"{path}: {error}",))
        return cls._of(found.get("keys", {}))

    @classmethod
    def _of(cls, table: Any) -> Keymap:
        if not isinstance(table, dict):
            return cls(problems=("keys.toml: [keys] is not a table",))
        chosen: dict[str, tuple[str, ...]] = {}
        problems = []
        for name, given in table.items():
            listed = [given] if isinstance(given, str) else given
            try:
                chosen[name] = tuple(key for one in listed for key in names_of(one))
            except (InvalidBinding, TypeError, ValueError, AttributeError):
                problems.append(f"keys.toml: {name} = {given!r} names no keys")
        return cls(chosen, tuple(problems))

    def keys(self, action: Action) -> tuple[str, ...]:
        """The keys of an action, as Textual names them."""
        return self.chosen.get(action.id) or names_of(action.keys)

    def find(self, key: str, actions: Iterable[Action]) -> Action | None:
        """The first action that has this key."""
        return next((action for action in actions if key in self.keys(action)), None)

    def shown(self, action: Action) -> str:
        """The first key of an action as a person reads it; empty where it has none."""
        keys = self.keys(action)
        return key_name(keys[0]) if keys else ""

    def unknown(self, actions: Iterable[Action]) -> list[str]:
        """Ids in the user's map that are no action's."""
        return sorted(set(self.chosen).difference(action.id for action in actions))


def names_of(keys: str) -> tuple[str, ...]:
    """Textual's names of keys separated by commas; a single character may stand for itself."""
    if keys == ",":
        return ("comma",)
    if not keys.strip():
        return ()
    return tuple(binding.key for binding in Binding.make_bindings([Binding(keys, "")]))


def key_name(key: str) -> str:
    """A key as a person reads it: `?` for question_mark, `^o` for ctrl+o."""
    return {"escape": "esc", "enter": "⏎", "space": "space"}.get(key) or format_key(key)
