"""What a ref is written like: the names branches and tags may have, and expressions such as `HEAD~3`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kedit_lifecycle.errors import NoSuchRefError, UsageError

SHORTEST_ID = 4  # hex digits

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0~^:?*\[\\\u2028\u2029\ud800-\udfff]")
_SUFFIX = re.compile(r"(?:\^|~[0-9]*)+$")
_STEP = re.compile(r"\^|~([0-9]*)")
_NUMBER = re.compile(r"v?([0-9]{1,15})")
_HEX = re.compile(rf"[0-9a-f]{{{SHORTEST_ID},64}}", re.IGNORECASE)


def check_name(name: str) -> str:
    """The name, if a branch or tag may have it.

    Raises:
        UsageError: saying what is wrong with it.
    """
    problem = _problem(name)
    if problem:
        raise UsageError(f"{name!a} cannot name a branch or tag: {problem}", hint="for example: before-merge")
    return name


def _problem(name: str) -> str:
    if not name or len(name) > 200:
        return "a name has 1 to 200 characters"
    forbidden = _FORBIDDEN.search(name)
    if forbidden:
        return f"it holds {forbidden.group()!a}"
    if not name.isprintable():
        return "it holds a character that does not print"
    if ".." in name or name.startswith(("-", "/", ".")) or name.endswith(("/", ".lock")):
        return "it has '..', starts with '-', '/' or '.', or ends with '/' or '.lock'"
    if name.upper() == "HEAD":
        return "HEAD is taken"
    if version_number(name) is not None or name.isdigit():
        return "it reads as a version's number"
    return "it reads as a version's id" if _HEX.fullmatch(name) else ""


def version_number(text: str) -> int | None:
    """The number in `12` or `v12`; None for anything else."""
    match = _NUMBER.fullmatch(text)
    return int(match.group(1)) if match else None


def is_short_id(text: str) -> bool:
    """Whether the text can be the start of a version's id."""
    return _HEX.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class RefExpression:
    """A ref taken apart: where to start, and how many versions to go up."""

    base: str
    up: int


def parse_ref(text: str) -> RefExpression:
    """Take `BASE`, `BASE~N`, `BASE^` and their sequences apart.

    Raises:
        NoSuchRefError: the text is empty or has no base.
    """
    text = text.strip()
    suffix = _SUFFIX.search(text)
    base = text[: suffix.start()] if suffix else text
    if not base:
        raise NoSuchRefError(f"not a ref: {text!r}", hint="for example: HEAD, HEAD~2, main, 12, 3f9a")
    up = sum(int(step.group(1) or 1) for step in _STEP.finditer(suffix.group())) if suffix else 0
    return RefExpression(base, up)
