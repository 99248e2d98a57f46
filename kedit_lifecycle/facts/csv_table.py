"""CSV: one request a row, the columns named after the fields of `EditRequest`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from kedit_lifecycle.errors import BadRecordError
from kedit_lifecycle.facts.fields import reject_unknown
from kedit_lifecycle.facts.json_value import parse_json
from kedit_lifecycle.facts.lines import Parsed, decoded, raw_lines, without_bom
from kedit_lifecycle.facts.request import EditRequest

LIST_COLUMNS = frozenset({"paraphrases", "neighborhood", "generation_prompts", "probes"})
REQUIRED_COLUMNS = ("subject", "prompt", "target_new")
DELIMITERS = ",;\t"
LIST_SEPARATOR = " | "
JSON_LIST = re.compile(r'\[\s*["\]]')  # and not a text that happens to begin with a bracket


def delimiter_of(header: str) -> str | None:
    """The delimiter that gives a header line the columns a request needs, or None."""
    for delimiter in DELIMITERS:
        if {"subject", "target_new"}.issubset(name.strip('" \r\n') for name in header.split(delimiter)):
            return delimiter
    return None


def read_csv(stream: BinaryIO) -> Iterator[Parsed]:
    """One record a row, blank rows passed over; a list is a JSON array, or texts with ` | ` between them."""
    rows = _Rows(stream)
    names = _columns(rows)
    if isinstance(names, Parsed):
        yield names
        return
    for line, cells in rows:
        if isinstance(cells, BadRecordError):
            yield Parsed(line, error=cells)
            continue
        try:
            yield Parsed(line, record=_record(names, cells))
        except BadRecordError as error:
            yield Parsed(line, error=error)


def _columns(rows: _Rows) -> list[str] | Parsed:
    """The header's names, or what is wrong with it: then no row can be read."""
    line, cells = next(iter(rows), (1, []))
    if isinstance(cells, BadRecordError):
        return Parsed(line, error=cells)
    names = [name.strip() for name in cells]
    try:
        reject_unknown(dict.fromkeys(names), frozenset(EditRequest.model_fields))
        for name in REQUIRED_COLUMNS:
            if name not in names:
                raise BadRecordError(f"{name}: no such column in the header")
        for name in names:
            if names.count(name) > 1:
                raise BadRecordError(f"{name}: two columns of that name")
    except BadRecordError as error:
        return Parsed(line, error=error)
    return names


class _Rows:
    """Rows with the line each begins on; a row that cannot be read is the error instead."""

    def __init__(self, stream: BinaryIO) -> None:
        lines = without_bom(raw_lines(stream))
        header = next(lines, b"")
        self._fault: BadRecordError | None = None
        self._lines = self._decoded(header, lines)
        delimiter = delimiter_of(header.decode("utf-8", "replace")) or ","
        self._reader = csv.reader(self._lines, delimiter=delimiter, strict=True)

    def _decoded(self, header: bytes, lines: Iterator[bytes]) -> Iterator[str]:
        yield self._text(header)
        for line in lines:
            yield self._text(line)

    def _text(self, line: bytes) -> str:
        """The line; where it cannot be decoded the row it belongs to is at fault, and the rest goes on."""
        try:
            return decoded(line)
        except BadRecordError as error:
            self._fault = self._fault or error
            return line[:4096].replace(b"\0", b"?").decode("utf-8", "replace").rstrip("\r\n") + "\n"

    def __iter__(self) -> Iterator[tuple[int, list[str] | BadRecordError]]:
        while True:
            line = self._reader.line_num + 1
            self._fault = None
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, self._fault or BadRecordError(f"not valid CSV: {error}")
                continue
            if self._fault:
                yield line, self._fault
            elif any(cell.strip() for cell in cells):
                yield line, cells


def _record(names: list[str], cells: list[str]) -> Mapping[str, Any]:
    if len(cells) != len(names):
        raise BadRecordError(f"the row has {len(cells)} cells, the header {len(names)} columns")
    stripped = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    return {
        name: _list(name, cell) if name in LIST_COLUMNS else cell
        for name, cell in stripped.items()
        if cell or name in REQUIRED_COLUMNS
    }


def _list(name: str, cell: str) -> object:
    if name != "probes" and not JSON_LIST.match(cell):
        return [text.strip() for text in cell.split(LIST_SEPARATOR)]
    try:
        return parse_json(cell)
    except BadRecordError as error:
        raise BadRecordError(f"{name}: {error}") from error
