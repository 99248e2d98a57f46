"""Command lines and jobs: what a job would be as a command line, and a command line as a job."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROGRAM = "kedit"


@dataclass(frozen=True)
class _Line:
    """How a kind of job is written as a command: its name, what stands without an option, other names."""

    command: str
    positional: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    unsaid: tuple[str, ...] = ()


_PROMPT = {"ref": "--at", "tokens": "--max-tokens"}
_LINES: Mapping[str, _Line] = {
    "edit": _Line("edit"),
    "advise": _Line("edit --dry-run --method auto"),
    "apply": _Line("apply", ("file",), unsaid=("requests",)),
    "consolidate": _Line("consolidate", ("versions",)),
    "rollback": _Line("rollback", ("ref",)),
    "undo": _Line("undo"),
    "redo": _Line("redo"),
    "switch": _Line("switch", ("ref",)),
    "branch": _Line("branch", ("name", "at")),
    "tag": _Line("tag", ("name", "at")),
    "ask": _Line("ask", ("prompt",), _PROMPT),
    "peek": _Line("ask", ("prompt",), _PROMPT, unsaid=("target",)),
    "route": _Line("memory search", ("prompt",), _PROMPT),
    "evaluate": _Line("eval"),
    "check": _Line("check", ("ref",)),
    "ripple": _Line("ripple", ("ref",)),
    "verify": _Line("verify"),
}
"""Of every kind in `jobs.KINDS`. `unsaid` is what no command has an option for."""


def command_line(kind: str, arguments: Mapping[str, Any]) -> str:
    """The command line that does what a job does, as the audit chain keeps it."""
    line = _LINES[kind] if kind in _LINES else _Line(kind)
    rest = {name: value for name, value in arguments.items() if name not in line.unsaid}
    words = [PROGRAM, *line.command.split()]
    for name in line.positional:
        found = rest.pop(name, None)
        words += [_text(one) for one in (found if isinstance(found, list) else [found]) if one is not None]
    for option, ref in zip(("--at", "--compare"), rest.pop("refs", None) or (), strict=False):
        words += [option, "0" if ref == "base" else _text(ref)]
    for name, value in rest.items():
        words += _option(line.options.get(name, _flag(name, value)), value)
    text = shlex.join(words)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _flag(name: str, value: Any) -> str:
    return f"--{name.removesuffix('s') if isinstance(value, list) else name}".replace("_", "-")


def _option(flag: str, value: Any) -> list[str]:
    """One argument as options; what is empty says nothing."""
    if value is None or value is False or value in ("", [], {}):
        return []
    if value is True:
        return [flag]
    if isinstance(value, Mapping):
        return [part for key, one in value.items() for part in ("--set", f"{key}={_text(one)}")]
    if isinstance(value, list):
        return [part for one in value for part in (flag, _text(one))]
    return [flag, _text(value)]


def _text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
