"""Signs, words and styles of states and verdicts: each is told by its sign and word, colour only helps."""

from __future__ import annotations

from collections.abc import Mapping

STATES: Mapping[str, tuple[str, str]] = {
    "healthy": ("●", "$text-success"),
    "degrading": ("◐", "$text-warning"),
    "collapsed": ("✗", "$text-error"),
    "unknown": ("?", "$text-muted"),
}
"""Of a model: sign and style."""

VERDICTS: Mapping[str, tuple[str, str]] = {
    "pass": ("✓", "$text-success"),
    "warn": ("!", "$text-warning"),
    "fail": ("✗", "$text-error"),
}
"""Of a check: sign and style."""

ROUTES: Mapping[str, str] = {"weights": "w", "memory": "m", "base": " "}
"""Who answers: the letter in lists."""

JOBS: Mapping[str, tuple[str, str]] = {
    "queued": ("…", "$text-muted"),
    "running": ("▸", "$text-accent"),
    "done": ("✓", "$text-success"),
    "refused": ("✗", "$text-warning"),
    "failed": ("✗", "$text-error"),
    "cancelled": ("◌", "$text-muted"),
}
"""Of a job: sign and style."""


def state_sign(state: str) -> tuple[str, str]:
    """Sign and style of a model's state; of one that nobody judged, the unknown one."""
    return STATES.get(state or "unknown", STATES["unknown"])


def verdict_sign(verdict: str) -> tuple[str, str]:
    """Sign and style of a check's verdict."""
    return VERDICTS.get(verdict, ("?", "$text-muted"))
