"""What the ledger recorded, and what a new request clashes with, as plain frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from kedit_lifecycle.facts.request import SUBJECT_SLOT, EditRequest

ConflictKind = Literal[
    "duplicate", "overwrite", "contradiction", "reverse", "composite", "similar", "many-valued"
]
Severity = Literal["note", "warn", "refuse"]
SEVERITIES: tuple[Severity, ...] = ("note", "warn", "refuse")
"""From harmless to worst."""


class Statement(Protocol):
    """What is compared: an `EditRequest` is one, and so is a `RecordedEdit`."""

    @property
    def subject(self) -> str:
        """What the fact is about."""

    @property
    def prompt(self) -> str:
        """The prompt with `{}` for the subject."""

    @property
    def target_new(self) -> str:
        """What it should say after the edit."""

    @property
    def target_true(self) -> str | None:
        """What it said before, where that is known."""

    @property
    def relation(self) -> str | None:
        """The relation's id or name, where one is given."""


@dataclass(frozen=True, slots=True)
class RecordedEdit:
    """One committed edit: the version that made it, its position (from 0) in it, and what it says."""

    version: int
    position: int
    subject: str
    prompt: str
    target_new: str
    target_true: str | None = None
    relation: str | None = None

    @classmethod
    def of(cls, version: int, position: int, request: EditRequest) -> RecordedEdit:
        """What a conflict needs of a request."""
        return cls(
            version,
            position,
            request.subject,
            request.prompt,
            request.target_new,
            request.target_true,
            request.relation,
        )

    @property
    def where(self) -> tuple[int, int]:
        """(version, position): its place in the ledger, which orders edits in time."""
        return (self.version, self.position)

    @property
    def label(self) -> str:
        """Its name for a person: `v12`, or `v12#3` for the third edit of a batch and so on."""
        return f"v{self.version}" if self.position == 0 else f"v{self.version}#{self.position + 1}"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A clash of a request with an edit on record.

    `message` is one sentence that names the earlier edit; `also` is the second edit of a composite.
    """

    kind: ConflictKind
    severity: Severity
    with_: RecordedEdit
    message: str
    also: RecordedEdit | None = None

    @property
    def hint(self) -> str:
        """The ways on, for a conflict that is refused."""
        if self.severity != "refuse":
            return ""
        edit = self.with_
        return f"--supersede marks {edit.label} superseded; kedit show {edit.version} has its details"


def said(edit: RecordedEdit) -> str:
    """`v12 said: The capital of France is -> Rome`."""
    return f"{edit.label} said: {statement_text(edit)}"


def statement_text(statement: Statement) -> str:
    """`The capital of France is -> Rome`."""
    return f"{question_of(statement)} -> {statement.target_new.strip()}"


def question_of(statement: Statement) -> str:
    """The prompt with the subject in place."""
    return statement.prompt.replace(SUBJECT_SLOT, statement.subject)
