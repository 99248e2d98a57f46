"""Which recorded subjects a new subject may be: by an alias, written otherwise, or near in meaning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from kedit_lifecycle.checks.conflict.meaning import NearestTexts, may_be_one_thing
from kedit_lifecycle.checks.conflict.names import (
    acronym_written,
    acronyms,
    name_key,
    name_parts,
    same_name,
)

NEAR_SUBJECT = 0.86
"""Cosine similarity from which two names that share no word mean one thing (Burma, Myanmar)."""
LONGEST_MENTION = 6  # words of a subject looked for within a prompt


class SubjectIndex:
    """The subjects on record, by every spelling they may be found under."""

    def __init__(self, aliases: Mapping[str, Sequence[str]], nearest: NearestTexts | None) -> None:
        self._aliases = {
            name_key(other): name_key(name) for name, others in aliases.items() for other in others
        }
        self._nearest = nearest
        self._keys: dict[str, str] = {}  # subject as written -> key
        self._known: set[str] = set()  # every key
        self._loose: defaultdict[str, dict[str, None]] = defaultdict(dict)  # looser spelling -> subjects

    def key(self, name: str) -> str:
        """The key of a name: its spelling for comparison, through the aliases given."""
        plain = name_key(name)
        return self._aliases.get(plain, plain)

    def add(self, subject: str) -> None:
        """File a subject; it stays on file when its edits go, for it may come back."""
        if subject in self._keys:
            return
        self._keys[subject] = self.key(subject)
        self._known.add(self._keys[subject])
        for loose in _loose_keys(subject):
            self._loose[loose][subject] = None
        if self._nearest is not None:
            self._nearest.add(subject)

    def alike(self, subject: str) -> dict[str, str]:
        """Other recorded subjects that may be this one: key -> why, in words."""
        own = self.key(subject)
        found: dict[str, str] = {}
        for loose in _looked_up(subject):
            for other in self._loose.get(loose, ()):
                if self._keys[other] != own and same_name(subject, other):
                    found.setdefault(self._keys[other], f"{subject} may be {other}")
        for other, similarity in self._nearest.nearest(subject) if self._nearest is not None else ():
            if similarity < NEAR_SUBJECT:
                break
            if self._keys[other] != own and may_be_one_thing(subject, other):
                why = f"{subject} may mean {other}, similarity {similarity:.2f}"
                found.setdefault(self._keys[other], why)
        return found

    def mentioned(self, question: str, subject: str) -> dict[str, str]:
        """Recorded subjects in a question, outside the place of its own: text there -> key."""
        words = question.split()
        begin = question.find(subject)
        own = len(question[:begin].split()), len(question[: begin + len(subject)].split())
        found: dict[str, str] = {}
        for first in range(len(words)):
            for last in range(first + 1, min(first + LONGEST_MENTION, len(words)) + 1):
                text = _bare(" ".join(words[first:last]))
                key = self.key(text)
                if key in self._known and not (own[0] <= first and last <= own[1]):
                    found[text] = key
        return found


def _bare(text: str) -> str:
    """Words without the marks around them and the genitive after them."""
    return text.strip(",;:.?!()\"'").removesuffix("'s").removesuffix("’s")


def _loose_keys(subject: str) -> Iterator[str]:
    """The looser spellings that a name is filed under."""
    parts = name_parts(subject)
    yield f"words {parts.bag}"
    if parts.initials:
        yield f"initials {parts.initials}"
    written = acronym_written(subject)
    if written:
        yield f"written short {written}"
    for acronym in acronyms(subject):
        yield f"short for {acronym}"


def _looked_up(subject: str) -> Iterator[str]:
    """Where the other spellings of a name are filed: an acronym's under what it is short for, and back."""
    for key in _loose_keys(subject):
        if key.startswith("written short "):
            yield key.replace("written short ", "short for ", 1)
        elif key.startswith("short for "):
            yield key.replace("short for ", "written short ", 1)
        else:
            yield key
