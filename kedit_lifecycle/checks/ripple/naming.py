"""The names of things: which spellings are one, what else a thing is called, and how a sentence says it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence


def folded(name: str) -> str:
    """What two spellings of one name share: white space collapsed, case folded."""
    return " ".join(name.split()).casefold()


class Names:
    """Aliases by name, and the names that a sentence gives an article ("the Netherlands").

    A name stands for a thing if it is the alias of that one only and is not a thing's `own` name.
    """

    def __init__(
        self, aliases: Mapping[str, Sequence[str]], own: Iterable[str], articles: Collection[str]
    ) -> None:
        self._aliases = {folded(name): (name, *others) for name, others in aliases.items()}
        self._articles = {folded(name) for name in articles}
        taken = {folded(name) for name in own} | set(self._aliases)
        owners: dict[str, set[str]] = {}
        for key, (_, *others) in self._aliases.items():
            for alias in map(folded, others):
                owners.setdefault(alias, set()).add(key)
        self._owner = {
            alias: keys.pop() for alias, keys in owners.items() if len(keys) == 1 and alias not in taken
        }

    def key(self, name: str) -> str:
        """What all names of one thing share."""
        return self._owner.get(folded(name), folded(name))

    def of(self, key: str, *first: str) -> tuple[str, ...]:
        """These names of a thing and its others, each spelling once."""
        names: dict[str, str] = {}
        for name in (*first, *self._aliases.get(key, ())):
            names.setdefault(folded(name), name)
        return tuple(names.values())

    def spoken(self, name: str) -> str:
        """The name as it stands inside a sentence."""
        return f"the {name}" if folded(name) in self._articles else name
