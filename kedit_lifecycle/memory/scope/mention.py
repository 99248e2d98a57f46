"""Where a query names an edit's subject, which part of the query asks, and that part without the name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

PLACEHOLDER = "something"  # stands for the subject where a text is embedded without it
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")
_LEAST_WORDS = 2  # a shorter end of a query asks nothing by itself
# nor does one that says of whom it speaks by a pronoun: "What is the twin city of Oslo? It is"
_LEANS = re.compile(r"(?:it|its|they|their|he|his|she|her|this|that|these|those)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text: its spelling without case and accents, and where it stands."""

    key: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Asking:
    """What a query asks, seen from one edit's subject.

    `focus` is its last sentence, `masked` the same with the subject replaced by a placeholder (as it is
    where the subject is not named). `in_focus` and `in_query`: whether the subject is named there.
    `share`: of the subject's words, how many the focus has. `extended`: the name in the focus is part of
    a longer one (Victoria, Lake Victoria). `other_names`: capitalised names in the focus beside it.
    """

    focus: str
    masked: str
    in_focus: bool
    in_query: bool
    share: float
    extended: bool
    other_names: int


@lru_cache(maxsize=65536)
def folded(word: str) -> str:
    """Without case and accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))


def words_of(text: str) -> list[Word]:
    """The words of a text in order."""
    return [Word(folded(match[0]), match.start(), match.end()) for match in _WORD.finditer(text)]


def mentions(words: Sequence[Word], name: str) -> list[tuple[int, int]]:
    """Every place where a name's words stand in a row, as (first, past the last) positions of `words`."""
    wanted = [word.key for word in words_of(name)]
    if not wanted:
        return []
    count = len(wanted)
    starts = (i for i in range(len(words) - count + 1) if words[i].key == wanted[0])
    return [(i, i + count) for i in starts if [word.key for word in words[i : i + count]] == wanted]


def focus_start(query: str, named: Iterable[tuple[int, int]] = ()) -> int:
    """Where the last sentence begins, or the last that needs none before it to be understood.

    A full stop inside a name (St. Louis) ends no sentence.

    Args:
        query: the whole text.
        named: character spans of the names in it.
    """
    spans = list(named)
    begin = 0
    for end in _SENTENCE_END.finditer(query.rstrip()):
        inside = any(start < end.end() and end.start() < stop for start, stop in spans)
        whole = len(_WORD.findall(query, end.end())) >= _LEAST_WORDS
        if whole and not inside and not _LEANS.match(query, end.end()):
            begin = end.end()
    return begin


def last_sentence(query: str) -> str:
    """The part of a query that asks: an unrelated text often stands before it."""
    return query[focus_start(query) :].strip()


def asking(query: str, subject: str, aliases: Sequence[str] = ()) -> Asking:
    """Read a query from the view of an edit of `subject`, which `aliases` name too."""
    words = words_of(query)
    found = [span for name in (subject, *aliases) for span in mentions(words, name)]
    spans = _widest([(words[first].start, words[past - 1].end) for first, past in found])
    begin = focus_start(query, spans)
    inside = [(start, stop) for start, stop in spans if start >= begin]
    focus = query[begin:].strip()
    return Asking(
        focus=focus,
        masked=_masked(query, begin, inside),
        in_focus=bool(inside),
        in_query=bool(spans),
        share=1.0 if inside else _share(words_of(focus), subject),
        extended=bool(inside) and all(_is_part(query, begin, *span) for span in inside),
        other_names=_other_names(query, begin, inside),
    )


def _widest(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, without those that overlap an earlier or longer one."""
    kept: list[tuple[int, int]] = []
    for start, stop in sorted(set(spans), key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, stop))
    return kept


def _masked(query: str, begin: int, spans: Sequence[tuple[int, int]]) -> str:
    parts, at = [], begin
    for start, stop in spans:
        parts += [query[at:start], PLACEHOLDER]
        at = stop
    return "".join([*parts, query[at:]]).strip()


def _share(words: Sequence[Word], subject: str) -> float:
    wanted = {word.key for word in words_of(subject)}
    return len(wanted & {word.key for word in words}) / len(wanted) if wanted else 0.0


def _is_part(query: str, begin: int, start: int, stop: int) -> bool:
    """Whether a capitalised word or a number touches the name: it is then another thing's name."""
    after = re.match(r"[ \-](?:[A-Z0-9]\w*)", query[stop:])
    before = re.search(r"([A-Z]\w*)(?: of)?[ \-]$", query[begin:start])
    leads = before is not None and before.start() > 0  # the focus's first word is capitalised anyway
    return bool(after) or leads


def _other_names(query: str, begin: int, spans: Sequence[tuple[int, int]]) -> int:
    """Runs of capitalised words in the focus, but for its first word and the subject."""
    rest = _masked(query, begin, spans)
    runs = re.finditer(r"(?:[A-Z]\w*)(?:[ \-](?:[A-Z]\w*))*", rest)
    return sum(1 for run in runs if run.start() > 0 or " " in run[0])
