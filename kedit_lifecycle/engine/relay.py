"""Command lines and jobs: what a job would be as a command line, and a command line as a job."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

PROGRAM = "kedit"
_POSITIONAL = {"rollback": "ref", "switch": "ref", "branch": "name", "tag": "name", "ask": "prompt"}
_COMMANDS = {"evaluate": "eval", "peek": "ask", "route": "memory search"}


def command_line(kind: str, arguments: Mapping[str, Any]) -> str:
    """The command line that does what a job does, as the audit chain keeps it."""
    words = [PROGRAM, *_COMMANDS.get(kind, kind).split()]
    rest = dict(arguments)
    first = rest.pop(_POSITIONAL.get(kind, ""), None)
    if first is not None:
        words.append(str(first))
    for name, value in rest.items():
        words += _option(name, value)
    text = shlex.join(words)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _option(name: str, value: Any) -> list[str]:
    """One argument as options; what is empty says nothing."""
    flag = f"--{name.removesuffix('s') if isinstance(value, list) else name}".replace("_", "-")
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
