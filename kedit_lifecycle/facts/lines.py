"""Files of lines, read as bytes so that one bad line is named and the rest still read: JSON Lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts.json_value import parse_json

LONGEST_RECORD = 16 * 1024 * 1024  # bytes; a longer one is a mistake, and would be read into memory whole


@dataclass(frozen=True, slots=True)
class Parsed:
    """One record of a file before it is a request: its values, or what is wrong with it."""

    line: int
    record: object = None
    error: BadRecordError | None = None


def without_bom(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The lines, a UTF-8 byte order mark taken off the first."""
    first = next(lines, b"")
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from lines


def raw_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines with their ends; one longer than `LONGEST_RECORD` is cut just past it, its rest skipped."""
    while line := stream.readline(LONGEST_RECORD + 1):
        if len(line) > LONGEST_RECORD and not line.endswith(b"\n"):
            _skip_line(stream)
        yield line


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(LONGEST_RECORD)) and not rest.endswith(b"\n"):
        pass


def decoded(line: bytes) -> str:
    """A line as text.

    Raises:
        BadRecordError: it is too long, holds a NUL byte, or is not UTF-8.
    """
    if len(line) > LONGEST_RECORD:
        raise BadRecordError(f"longer than {LONGEST_RECORD // 2**20} MiB")
    if b"\0" in line:
        raise BadRecordError(f"holds a NUL byte at column {line.index(0) + 1}")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRecordError(
            f"not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1}",
            hint="save the file as UTF-8",
        ) from error


def read_json_lines(stream: BinaryIO) -> Iterator[Parsed]:
    """One JSON value a line; blank lines are passed over."""
    for number, line in enumerate(without_bom(raw_lines(stream)), start=1):
        if not line.strip():
            continue
        try:
            yield Parsed(number, record=parse_json(decoded(line)))
        except BadRecordError as error:
            yield Parsed(number, error=error)
