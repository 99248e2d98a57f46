"""Where the keys behind a second moment come from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.models.editable import EditableModel
from kedit_lifecycle.models.tokens import encode

_WINDOW = 256
_LINE_BATCH = 1 << 16  # characters read at a time


class Corpus(Protocol):
    """A source of token sequences, and the recipe that names it."""

    def recipe(self) -> dict[str, Any]:
        """What the statistic's name depends on."""

    def sequences(self, model: EditableModel) -> Iterator[list[int]]:
        """Token sequences, each a text of its own."""


@dataclass(frozen=True)
class TextCorpus:
    """A UTF-8 text file."""

    path: Path

    def recipe(self) -> dict[str, Any]:
        """The text's digest: a changed file is another statistic."""
        try:
            return {"kind": "text", "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest()}
        except OSError as error:
            raise UsageError(f"cannot read the text {self.path}: {error.strerror}") from error

    def sequences(self, model: EditableModel) -> Iterator[list[int]]:
        """The text cut into windows."""
        with self.path.open(encoding="utf-8", errors="replace") as file:
            while chunk := file.readlines(_LINE_BATCH):
                yield from _windows(model, "".join(chunk))


@dataclass(frozen=True)
class DatasetCorpus:
    """A Hugging Face dataset, streamed; needs the extra `datasets`."""

    name: str
    configuration: str | None = None
    split: str = "train"
    column: str = "text"

    def recipe(self) -> dict[str, Any]:
        """The dataset's name, configuration, split and column."""
        return {"kind": "dataset", "name": self.name, "configuration": self.configuration,
                "split": self.split, "column": self.column}  # fmt: skip

    def sequences(self, model: EditableModel) -> Iterator[list[int]]:
        """One record after another, cut into windows."""
        try:
            from datasets import load_dataset
        except ImportError as error:
            raise UsageError(
                "a dataset needs the package datasets", hint="pip install 'kedit-lifecycle[datasets]'"
            ) from error
        for record in load_dataset(self.name, self.configuration, split=self.split, streaming=True):
            if self.column not in record:
                raise UsageError(f"the dataset has no column {self.column!r}; it has {sorted(record)}")
            yield from _windows(model, record[self.column])


def _windows(model: EditableModel, text: str) -> Iterator[list[int]]:
    ids = encode(model.tokenizer, text)
    yield from (ids[start : start + _WINDOW] for start in range(0, len(ids), _WINDOW))
