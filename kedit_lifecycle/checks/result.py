"""What a check finds: one measurement with a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["pass", "warn", "fail"]
VERDICTS: tuple[Verdict, ...] = ("pass", "warn", "fail")
"""From best to worst."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One measurement with a verdict.

    `value` is what was measured and `warn`, `fail` the limits it was held to (None where there is none);
    `message` is one sentence for a person, without the check's name; `detail` holds JSON values.
    """

    check: str
    verdict: Verdict
    message: str
    value: float | None = None
    warn: float | None = None
    fail: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def worst(results: Iterable[CheckResult]) -> Verdict:
    """The worst verdict of all; `pass` of none."""
    return max((result.verdict for result in results), key=VERDICTS.index, default="pass")


def judged(value: float, warn: float | None, fail: float | None, *, higher_is_worse: bool = True) -> Verdict:
    """The verdict of a value beside two limits; a value that is not finite fails.

    A value at a limit is within it.
    """
    if value != value or value in (float("inf"), float("-inf")):
        return "fail"
    sign = 1.0 if higher_is_worse else -1.0
    if fail is not None and sign * value > sign * fail:
        return "fail"
    return "warn" if warn is not None and sign * value > sign * warn else "pass"
