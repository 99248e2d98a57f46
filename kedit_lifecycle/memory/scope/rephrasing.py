"""The same question in other forms that prompts take: appositions, relative clauses, possessives, stubs."""

from __future__ import annotations

import re
from collections.abc import Iterator

_IS = re.compile(r"\{\} (is|was) (?!the |it\b)(.+)")
_VERB = re.compile(r"\{\} (?!is |was |has |got )(\w+s|\w+ed) (.+)")
_OF = re.compile(r"The ([\w ]+?) of \{\} is(.*)")
_STUB = re.compile(r"\{\} .*\b(in|from|for|by|at|as|on|of|to|with)")
_PEOPLE = frozenset({"person"})


def rephrased(wording: str, kind: str) -> Iterator[str]:
    """Other forms of a wording (`{}` for the subject) about a subject of this kind; none for a question."""
    who = "who" if kind in _PEOPLE else "which"
    if match := _IS.fullmatch(wording):
        yield f"{{}}, {match[2]}"
        yield f"{{}}, {who} {match[1]} {match[2]}"
    elif match := _VERB.fullmatch(wording):
        yield f"{{}}, {who} {match[1]} {match[2]}"
    elif match := _OF.fullmatch(wording):
        yield f"{{}}'s {match[1]} is{match[2]}"
        yield f"{{}} {match[1]}:{match[2]}"
    if match := _STUB.fullmatch(wording):
        yield f"{{}}, {match[1]}"
