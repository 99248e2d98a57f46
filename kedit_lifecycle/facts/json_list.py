"""A JSON list of records, read record by record: the file is never in memory whole."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts.json_value import decode_value
from kedit_lifecycle.facts.lines import LONGEST_RECORD, Parsed

CHUNK = 64 * 1024  # bytes read at a time
WHITESPACE = " \t\r\n"
CUT_SHORT = 16  # an error this close to the end of what was read may only mean that more is to come


def read_json_list(stream: BinaryIO, chunk: int = CHUNK) -> Iterator[Parsed]:
    """The records of a list, or of a file that is one single record.

    Where the JSON itself is broken nothing after that point can be told apart, so the record with
    the error is the last one.
    """
    text = _Text(stream, chunk)
    try:
        yield from _values(text)
    except BadRecordError as error:
        yield Parsed(text.line, error=error)


def _values(text: _Text) -> Iterator[Parsed]:
    if text.next_character() != "[":
        yield from _single(text)
        return
    text.skip(1)
    if text.next_character() == "]":
        text.skip(1)
        _nothing_after(text)
        return
    while True:
        yield text.take_record()
        separator = text.next_character()
        if separator not in {",", "]"}:
            raise BadRecordError(
                "the list ends without its ]" if not separator else f"expected , or ] but found {separator!r}"
            )
        text.skip(1)
        if separator == "]":
            break
    _nothing_after(text)


def _single(text: _Text) -> Iterator[Parsed]:
    if text.next_character():
        yield text.take_record()
        _nothing_after(text)


def _nothing_after(text: _Text) -> None:
    if left := text.next_character():
        raise BadRecordError(f"expected the end of the file but found {left!r}")


class _Text:
    """The file as text, of which only what is not yet consumed is held. `line` is where it stands."""

    def __init__(self, stream: BinaryIO, chunk: int) -> None:
        self.line = 1
        self._stream = stream
        self._chunk = chunk
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")
        self._text = ""
        self._start = 0  # what is before it has been consumed
        self._ended = False
        self._undecodable: BadRecordError | None = None

    def next_character(self) -> str:
        """Pass over whitespace; the character that stands there, or "" at the end."""
        while True:
            while self._start < len(self._text):
                if self._text[self._start] not in WHITESPACE:
                    return self._text[self._start]
                self.skip(1)
            if not self._read():
                return ""

    def skip(self, count: int) -> None:
        """Consume characters."""
        self.line += self._text.count("\n", self._start, self._start + count)
        self._start += count

    def take_record(self) -> Parsed:
        """Consume one JSON value, past whitespace."""
        self.next_character()
        while True:
            try:
                found = decode_value(self._text, self._start)
            except BadRecordError as error:
                if self._may_be_cut(error.__cause__) and self._read():
                    continue
                self._stand_at(error.__cause__)
                raise
            if found.end < len(self._text) or not self._read():  # a number could go on in the next chunk
                line = self.line
                self.skip(found.end - self._start)
                return Parsed(line, error=found.fault) if found.fault else Parsed(line, record=found.value)

    def _may_be_cut(self, error: BaseException | None) -> bool:
        if not isinstance(error, json.JSONDecodeError):
            return False
        if len(self._text) - self._start > LONGEST_RECORD:
            raise BadRecordError(f"longer than {LONGEST_RECORD // 2**20} MiB, or not valid JSON") from error
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - CUT_SHORT

    def _stand_at(self, error: BaseException | None) -> None:
        """Move to where the JSON is broken, so that `line` says so."""
        if isinstance(error, json.JSONDecodeError):
            self.skip(error.pos - self._start)

    def _read(self) -> bool:
        """Take in another chunk, a larger one while one record goes on; False at the end."""
        if self._undecodable:
            self.skip(len(self._text) - self._start)
            raise self._undecodable
        if self._ended:
            return False
        chunk = self._stream.read(max(self._chunk, len(self._text) - self._start))
        self._ended = not chunk
        self._text = self._text[self._start :] + self._decode(chunk)
        self._start = 0
        return True

    def _decode(self, chunk: bytes) -> str:
        """The chunk as text; up to the first byte that is not UTF-8, which the next read then reports."""
        try:
            return self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            self._undecodable = BadRecordError(
                f"not UTF-8: byte 0x{error.object[error.start]:02x}", hint="save the file as UTF-8"
            )
            return error.object[: error.start].decode("utf-8")
