"""JSON values, with what is wrong with them said in terms of the record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kedit_lifecycle.errors import BadRecordError


@dataclass(frozen=True, slots=True)
class DecodedValue:
    """One JSON value, where it ended, and what makes it unusable although it is JSON."""

    value: object
    end: int
    fault: BadRecordError | None


def decode_value(text: str, start: int = 0) -> DecodedValue:
    """The value that begins at `start`; a field given twice is its fault.

    Raises:
        BadRecordError: the text is not JSON; the cause is the `JSONDecodeError`.
    """
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(name for name in found if names.count(name) > 1)
        return found

    try:
        value, end = json.JSONDecoder(object_pairs_hook=unique).raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise BadRecordError(f"not valid JSON: {error.msg}") from error
    except RecursionError as error:
        raise BadRecordError("not usable: nested too deeply") from error
    except ValueError as error:  # a number of more than 4,300 digits
        raise BadRecordError(f"not usable: {error}") from error
    return DecodedValue(value, end, BadRecordError(f"{repeated[0]}: given twice") if repeated else None)


def parse_json(text: str) -> object:
    """The one value a line holds.

    Raises:
        BadRecordError: it is not JSON (the column is named), or not usable.
    """
    line = text.strip()
    try:
        decoded = decode_value(line)
    except BadRecordError as error:
        if isinstance(error.__cause__, json.JSONDecodeError):
            raise BadRecordError(f"{error} at column {error.__cause__.colno}") from error
        raise
    if decoded.end != len(line):
        raise BadRecordError(f"not valid JSON: more after the value, at column {decoded.end + 1}")
    if decoded.fault:
        raise decoded.fault
    return decoded.value
