"""Files of edit requests: the published data sets, plain JSON Lines, a JSON list, CSV; and world-facts."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from kedit_lifecycle.errors import BadRecordError, UsageError
from kedit_lifecycle.facts.csv_table import delimiter_of, read_csv
from kedit_lifecycle.facts.json_list import read_json_list
from kedit_lifecycle.facts.lines import Parsed, read_json_lines
from kedit_lifecycle.facts.records import requests_from
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.facts.world import world_facts, world_facts_seed

FileFormat = Literal["json", "jsonl", "csv"]
FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
EXTENSIONS: dict[str, FileFormat] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
}
READERS: dict[FileFormat, Callable[[BinaryIO], Iterator[Parsed]]] = {
    "json": read_json_list,
    "jsonl": read_json_lines,
    "csv": read_csv,
}


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """One record of a file: its requests, or what is wrong with it. `line` and `number` count from 1."""

    line: int
    number: int
    requests: tuple[EditRequest, ...] = ()
    error: BadRecordError | None = None


@dataclass(frozen=True, slots=True)
class LoadedRequests:
    """The good requests of a file, in order, and the errors of the records that were passed over."""

    requests: tuple[EditRequest, ...]
    skipped: tuple[BadRecordError, ...] = ()


def read_requests(path: Path | str, format: FileFormat | None = None) -> Iterator[ReadRecord]:
    """The records of a file one by one, never more than one in memory; a bad one does not end the file.

    The container (`json`, `jsonl`, `csv`) is told from the first bytes unless given; whose data set a
    record is of, from its fields (`records.py`). In a JSON list whose syntax breaks, the break is the last
    record. `world-facts`, or `world-facts:3` for another seed, where no file has that name, is the
    built-in set.

    Raises:
        UsageError: the file cannot be opened, or its format cannot be told.
    """
    path = Path(path)
    if (seed := world_facts_seed(path)) is not None:
        for number, request in enumerate(world_facts(seed), start=1):
            yield ReadRecord(number, number, requests=(request,))
        return
    try:
        with path.open("rb") as stream:
            chosen = format or _format_of(path, stream)
            for number, parsed in enumerate(READERS[chosen](stream), start=1):
                yield _read(path, number, parsed)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror or error}",
            hint="check the path; `world-facts` is a set of facts that is built in",
        ) from error


def load_requests(
    path: Path | str, format: FileFormat | None = None, *, keep_going: bool = False
) -> LoadedRequests:
    """All requests of a file, or of world-facts, in order.

    Raises:
        BadRecordError: the first malformed record, with file, line, record and field, unless `keep_going`;
            or the file holds no record at all.
        UsageError: the file cannot be opened, or its format cannot be told.
    """
    requests: list[EditRequest] = []
    skipped: list[BadRecordError] = []
    for record in read_requests(path, format):
        if record.error and not keep_going:
            raise record.error
        if record.error:
            skipped.append(record.error)
        requests.extend(record.requests)
    if not requests and not skipped:
        raise BadRecordError(f"{path}: holds no records")
    return LoadedRequests(tuple(requests), tuple(skipped))


def _read(path: Path, number: int, parsed: Parsed) -> ReadRecord:
    try:
        if parsed.error:
            raise parsed.error
        return ReadRecord(parsed.line, number, requests=requests_from(parsed.record))
    except BadRecordError as error:
        placed = BadRecordError(
            f"{path}, line {parsed.line} (record {number}): {error}",
            hint=error.hint or "mend the record, or pass over bad records with --keep-going",
        )
        placed.__cause__ = error
        return ReadRecord(parsed.line, number, error=placed)


def _format_of(path: Path, stream: BufferedReader) -> FileFormat:
    """The container, from the content first: files named .json often hold JSON Lines."""
    named = EXTENSIONS.get(path.suffix.lower())
    start = _peek(stream)
    if named == "csv":
        return "csv"
    if start.startswith("["):
        return "json"
    if start.startswith("{"):
        return "json" if named != "jsonl" and _goes_on_after_first_line(start) else "jsonl"
    if delimiter_of(start.partition("\n")[0]):
        return "csv"
    if named:
        return named
    if not start:
        raise BadRecordError(f"{path}: holds no records")
    raise UsageError(
        f"cannot tell the format of {path}", hint=f"say which it is with --format {'|'.join(FORMATS)}"
    )


def _peek(stream: BufferedReader) -> str:
    """The beginning of the file without consuming it, past a byte order mark and white space."""
    return stream.peek().removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace").lstrip()


def _goes_on_after_first_line(start: str) -> bool:
    """Whether a file that begins with { is one record over several lines."""
    first, newline, _ = start.partition("\n")
    return bool(newline) and not first.rstrip().endswith("}")
