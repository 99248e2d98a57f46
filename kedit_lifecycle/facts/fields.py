"""Reading the fields of a record, each error naming its field."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from kedit_lifecycle.errors import BadRecordError

Record = Mapping[str, Any]


def required_text(record: Record, name: str, where: str = "") -> str:
    """A string that must be there; `where` is the path in front of the name, for the message."""
    if name not in record:
        raise BadRecordError(f"{where}{name}: missing")
    text = record[name]
    if not isinstance(text, str):
        raise BadRecordError(f"{where}{name}: must be a string, not {_kind(text)}")
    return text


def optional_text(record: Record, name: str, where: str = "") -> str | None:
    """A string that may be absent or null."""
    return None if record.get(name) is None else required_text(record, name, where)


def texts(record: Record, name: str, where: str = "") -> tuple[str, ...]:
    """A list of strings; absent or null is the empty list."""
    found = record.get(name)
    if found is None:
        return ()
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise BadRecordError(f"{where}{name}: must be a list of strings, not {_kind(found)}")
    for position, text in enumerate(found):
        if not isinstance(text, str):
            raise BadRecordError(f"{where}{name}.{position}: must be a string, not {_kind(text)}")
    return tuple(found)


def one_or_more(record: Record, name: str, where: str = "") -> tuple[str, ...]:
    """A string, a list of strings, or nothing, as a tuple."""
    found = record.get(name)
    return (found,) if isinstance(found, str) else texts(record, name, where)


def answer_texts(record: Record, name: str, where: str = "") -> tuple[str, ...]:
    """A string, a list of strings, or a list of lists of them (an answer's spellings), as one tuple.

    White space around a text goes, and so does an empty text and one that was there before.
    """
    found = record.get(name)
    if isinstance(found, Sequence) and not isinstance(found, str):
        nested = {str(position): item for position, item in enumerate(found)}
        found = [text for position in nested for text in one_or_more(nested, position, f"{where}{name}.")]
    return without_repeats(one_or_more({name: found}, name, where))


def without_repeats(found: Iterable[str]) -> tuple[str, ...]:
    """The texts without white space around them, empty ones and later repeats left out."""
    return tuple(dict.fromkeys(text.strip() for text in found if text.strip()))


def required_object(record: Record, name: str, where: str = "") -> Record:
    """An object that must be there."""
    if name not in record:
        raise BadRecordError(f"{where}{name}: missing")
    found = record[name]
    if not isinstance(found, Mapping):
        raise BadRecordError(f"{where}{name}: must be an object, not {_kind(found)}")
    return found


def objects(record: Record, name: str, where: str = "") -> tuple[Record, ...]:
    """A list of objects; absent or null is the empty list."""
    found = record.get(name)
    if found is None:
        return ()
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise BadRecordError(f"{where}{name}: must be a list of objects, not {_kind(found)}")
    for position, item in enumerate(found):
        if not isinstance(item, Mapping):
            raise BadRecordError(f"{where}{name}.{position}: must be an object, not {_kind(item)}")
    return tuple(found)


def source_of(dataset: str, record: Record, name: str) -> str:
    """Where a request comes from: the data set, with the record's own number if it has one."""
    number = record.get(name)
    if number is None:
        return dataset
    if isinstance(number, bool) or not isinstance(number, int | str):
        raise BadRecordError(f"{name}: must be a number or a string")
    return f"{dataset}:{number}"


def reject_unknown(record: Record, known: Collection[str]) -> None:
    """Refuse a field nobody would read, so that a misspelt one is not lost in silence."""
    for name in record:
        if name not in known:
            close = get_close_matches(str(name), sorted(known), n=1)
            guess = f"; did you mean {close[0]}?" if close else ""
            raise BadRecordError(
                f"{name}: no such field{guess}", hint=f"the fields are {', '.join(sorted(known))}"
            )


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "an object" if isinstance(value, Mapping) else "a list")
