"""When two names mean one thing: one spelling for comparison, and the ways a name is written otherwise."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

_DROPPED = re.compile(r"[.'’‘`´ʻʼ]")  # of U.S.A. and O'Neill: what is left belongs together
_SEPARATORS = re.compile(r"[^\w+#]+|_")  # + and # tell C, C++ and C# apart
_PARENTHESES = re.compile(r"\s*\(([^()]*)\)")
_INITIAL = re.compile(r"\b(\w)\.")
_ROMAN = re.compile(r"x{0,3}(ix|iv|v?i{0,3})")


def _word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TITLES = _word_set(
    "mr mrs ms miss dr sir dame lord lady prof professor president king queen prince princess emperor "
    "empress pope cardinal archbishop bishop reverend rev father brother sister general gen colonel col "
    "captain capt major maj admiral sergeant senator governor judge justice hon duke duchess count "
    "countess baron baroness earl chancellor minister"
)
_FORMS = _word_set(
    "jr sr esq phd md inc incorporated corp corporation co company ltd limited llc plc gmbh ag sa"
)
_POLITIES = _word_set(
    "republic kingdom state commonwealth principality duchy sultanate emirate federation territory "
    "province city town municipality"
)
_LINKS = _word_set("of the and for in on at de la le el der den von van du da do di")
_SPELLINGS = {"st": "saint", "mt": "mount", "ft": "fort"}
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})
SHORTEST_FAMILY_NAME = 3  # letters


@lru_cache(maxsize=65536)
def name_key(text: str) -> str:
    """One spelling of a name or value: NFKC, casefolded, without punctuation or a leading "the".

    Single letters in a row join, so that "J. R. R. Tolkien" is "JRR Tolkien". A name of punctuation
    alone stays itself.
    """
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    words = _SEPARATORS.sub(" ", _DROPPED.sub("", plain)).split()
    if len(words) > 1 and words[0] == "the":
        words = words[1:]
    return " ".join(_join_letters(words)) or plain


def _join_letters(words: Sequence[str]) -> Iterator[str]:
    run = ""
    for word in words:
        if len(word) == 1 and word.isalpha():
            run += word
            continue
        if run:
            yield run
        run = ""
        yield word
    if run:
        yield run


@dataclass(frozen=True, slots=True)
class NameParts:
    """A name taken apart: the words that identify it, in order, and what may be left out.

    `additions` are its titles, legal forms and the like; `qualifier` what stands in parentheses.
    """

    core: tuple[str, ...]
    additions: frozenset[str]
    qualifier: str

    @property
    def bag(self) -> str:
        """The identifying words in alphabetical order."""
        return " ".join(sorted(self.core))

    @property
    def initials(self) -> str | None:
        """First letter and last word: what two spellings of a person's name share."""
        return f"{self.core[0][0]} {self.core[-1]}" if len(self.core) > 1 else None


@lru_cache(maxsize=65536)
def name_parts(text: str) -> NameParts:
    """Take a name apart: "Kennedy, John F." is "john f kennedy", "Kingdom of Norway" is "norway"."""
    found: list[str] = _PARENTHESES.findall(text)
    words: list[str] = []
    additions: set[str] = set()
    for piece in map(_words, _turned(_PARENTHESES.sub("", text).strip() or text)):
        additions |= _strip_titles(piece)
        words += piece
    additions |= _strip_titles(words)
    while len(words) > 1 and words[-1] in _FORMS:
        additions.add(words.pop())
    if len(words) > 2 and words[0] in _POLITIES and words[1] == "of":
        additions.add(words[0])
        words = words[2:]
    core = [word for word in words if word not in _LINKS] or words
    return NameParts(tuple(core), frozenset(additions), name_key(" ".join(found)) if found else "")


def _strip_titles(words: list[str]) -> set[str]:
    """Take the titles off the front of a name, as long as something is left; returns them."""
    titles: set[str] = set()
    while len(words) > 1 and words[0] in _TITLES:
        titles.add(words.pop(0))
    return titles


def _turned(name: str) -> tuple[str, ...]:
    """A name's pieces, the one before a comma last, as in "Kennedy, John"; a legal form stays put."""
    first, comma, rest = name.partition(", ")
    is_form = rest.rstrip(" .").casefold() in _FORMS
    return (rest, first) if comma and not is_form and ", " not in rest else (name,)


def _words(name: str) -> list[str]:
    decomposed = unicodedata.normalize("NFKD", _INITIAL.sub(r"\1 ", name).casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_LETTERS)
    words = _SEPARATORS.sub(" ", _DROPPED.sub("", plain)).split()
    words = words[1:] if len(words) > 1 and words[0] == "the" else words
    return [_SPELLINGS.get(word, word) for word in words] or [name_key(name)]


def acronyms(text: str) -> set[str]:
    """The acronyms of a name of several words, with and without its small words."""
    words = _words(text)
    content = [word for word in words if word not in _LINKS]
    return {"".join(word[0] for word in some) for some in (words, content) if len(some) > 1}


def acronym_written(text: str) -> str | None:
    """The acronym that a name is, as "U.S.A." or "NATO" are, in small letters; else None."""
    letters = text.replace(".", "").strip()
    return letters.casefold() if letters.isalpha() and letters.isupper() and 2 <= len(letters) <= 6 else None


def same_name(one: str, other: str) -> bool:
    """Whether two names are ways to write one: titles, initials, word order, diacritics, acronym.

    Numbers, ordinals and qualifiers must agree: Gregory IX is not Gregory X, Mercury (planet) is not
    Mercury (element).
    """
    if name_key(one) == name_key(other):
        return True
    first, second = name_parts(one), name_parts(other)
    if first.qualifier and second.qualifier and first.qualifier != second.qualifier:
        return False
    if first.additions and second.additions and not first.additions & second.additions:
        return False
    short, long = sorted((first.core, second.core), key=len)
    return sorted(short) == sorted(long) or _is_acronym(one, other) or _initials_match(short, long)


def _is_acronym(one: str, other: str) -> bool:
    short, long = acronym_written(one), acronym_written(other)
    return (short is not None and short in acronyms(other)) or (long is not None and long in acronyms(one))


def _initials_match(short: Sequence[str], long: Sequence[str]) -> bool:
    """One family name, and given names that are each other's initials; one middle name may be missing."""
    if len(short) < 2 or short[-1] != long[-1] or len(short[-1]) < SHORTEST_FAMILY_NAME:
        return False
    given, longer = _apart(short[:-1]), _apart(long[:-1])
    if len(given) > len(longer):
        given, longer = longer, given
    if any(is_ordinal(word) for word in (*given, *longer)) or len(longer) > len(given) + 1:
        return False
    following = iter(longer[1:])
    return _abbreviates(given[0], longer[0]) and all(
        any(_abbreviates(name, candidate) for candidate in following) for name in given[1:]
    )


def _apart(names: Sequence[str]) -> list[str]:
    """Initials written as one word, "JRR" or "JF", letter by letter."""
    written = [
        list(name) if len(name) in (2, 3) and not set(name) & set("aeiouy") else [name] for name in names
    ]
    return [letter for letters in written for letter in letters]


def _abbreviates(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return one == other or (len(short) == 1 and long.startswith(short))


def is_ordinal(word: str) -> bool:
    """Whether a word is a number or a Roman numeral of more than one letter."""
    return any(c.isdigit() for c in word) or (len(word) > 1 and _ROMAN.fullmatch(word) is not None)
