"""Checks as a table, from an edit's outcome or from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kedit_lifecycle.cli.output import Column, number, print_table

MARKS = {"pass": "✓", "warn": "!", "fail": "✗"}


class Shown(Protocol):
    """What a check came to: a `CheckResult`, or a row of the ledger."""

    @property
    def check(self) -> str:
        """Its name."""

    @property
    def verdict(self) -> str:
        """pass, warn or fail."""

    @property
    def message(self) -> str:
        """One sentence."""

    @property
    def value(self) -> float | None:
        """What was measured."""

    @property
    def warn(self) -> float | None:
        """The limit above which it warns."""

    @property
    def fail(self) -> float | None:
        """The limit above which it fails."""


def print_checks(checks: Sequence[Shown]) -> None:
    """One line for each check."""
    columns = [
        Column("check"),
        Column(""),
        Column("value", "right"),
        Column("warn", "right"),
        Column("fail", "right"),
        Column("what was found", elastic=True),
    ]
    rows = [
        (one.check, marked(one.verdict), number(one.value), _limit(one.warn), _limit(one.fail), one.message)
        for one in checks
    ]
    if rows:
        print_table(columns, rows)


def marked(verdict: str) -> str:
    """`✓ pass`: a sign and the word."""
    return f"{MARKS.get(verdict, '?')} {verdict}"


def _limit(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
