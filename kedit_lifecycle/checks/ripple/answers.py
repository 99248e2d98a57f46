"""Whether a generated text gives one of the answers that are right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

ANSWER_TOKENS = 20  # part of "kedit/probe-contains@1"
SHORT_ANSWER = 3  # characters; part of "kedit/probe-contains@1"


def answer_given(text: str, answers: Sequence[str]) -> bool:
    """Is any of `answers` in the text?

    As RippleEdits' code, any alias will do; unlike there, the text is the continuation without its prompt,
    and an answer counts only at word boundaries, whatever its case. An answer of up to three characters
    is often a common word too (AT for Austria, `it` for Italian), so it must begin the text, in its own
    case or with a capital.
    """
    said = _plain(text)
    return any(_given(said, _plain(answer)) for answer in answers)


def mentions(text: str, name: str) -> bool:
    """Does a name of any length stand anywhere in the text, at word boundaries and in any case?"""
    return _found(_plain(text), _plain(name))


def _found(said: str, name: str) -> bool:
    return bool(name) and re.search(_at_boundaries(name.casefold()), said.casefold()) is not None


def _given(said: str, answer: str) -> bool:
    if not answer:
        return False
    if len(answer) <= SHORT_ANSWER:
        start = re.sub(r"^[^\w]+", "", said) if answer[0].isalnum() else said
        return any(re.match(_at_boundaries(form), start) for form in (answer, answer.capitalize()))
    return _found(said, answer)


def _at_boundaries(answer: str) -> str:
    before = r"(?<!\w)" if _is_word(answer[0]) else ""
    after = r"(?!\w)" if _is_word(answer[-1]) else ""
    return before + re.escape(answer) + after


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _plain(text: str) -> str:
    """Composed characters, white space collapsed and stripped."""
    return " ".join(unicodedata.normalize("NFC", text).split())
