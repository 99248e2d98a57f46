"""Reading a query's parameters; whatever stands in them, the answer is a value or a `UsageError`."""

from __future__ import annotations

from collections.abc import Mapping

from kedit_lifecycle.errors import UsageError

LONGEST_TEXT = 10_000  # characters; a filter, a prompt or a name is shorter
LONGEST_REF = 300  # a name has 200 at most, and what follows it says how far up
LARGEST = 2**53 - 1
SHOWN = 40  # characters of a wrong value in the message


def whole(
    parameters: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int = LARGEST
) -> int:
    """A whole number; one above `most` is brought down to it.

    Raises:
        UsageError: it is none, or less than `least`.
    """
    given = parameters.get(name, "").strip()
    if not given:
        return default
    if not (given.isascii() and given.removeprefix("-").isdigit() and len(given) <= 17):
        raise UsageError(f"{name} must be a whole number, not {given[:SHOWN]!a}")
    value = int(given)
    if value < least:
        raise UsageError(f"{name} must be at least {least}, not {value}")
    return min(value, most)


def optional_whole(parameters: Mapping[str, str], name: str, *, least: int = 0) -> int | None:
    """A whole number, None where it is left out.

    Raises:
        UsageError: as for `whole`.
    """
    return whole(parameters, name, 0, least=least) if parameters.get(name, "").strip() else None


def text(parameters: Mapping[str, str], name: str, default: str = "") -> str:
    """A text as it was given.

    Raises:
        UsageError: it is longer than 10,000 characters, or no text that can be stored.
    """
    given = parameters.get(name, default)
    if len(given) > LONGEST_TEXT:
        raise UsageError(f"{name} has {len(given)} characters; it may have {LONGEST_TEXT}")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in given):
        raise UsageError(f"{name} holds a character that no text in a ledger has")
    return given


def ref(parameters: Mapping[str, str], name: str = "ref", default: str = "HEAD") -> str:
    """A ref, HEAD where it is left out.

    Raises:
        UsageError: as for `text`, or it is longer than any ref.
    """
    given = text(parameters, name, default).strip() or default
    if len(given) > LONGEST_REF:
        raise UsageError(f"{name} has {len(given)} characters, which no ref has", hint="kedit log")
    return given
