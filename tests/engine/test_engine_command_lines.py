"""A job as a command line: what the audit chain keeps can be typed."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from command_lines import parsed
from engine_process import fact

from kedit_lifecycle.engine.jobs import KINDS, checked
from kedit_lifecycle.engine.relay import command_line
from kedit_lifecycle.tui.happened import LOOKING, PASSING

pytestmark = pytest.mark.engine

ORDERS: dict[str, dict[str, Any]] = {
    "edit": fact(0, message="why", supersede=True, dry_run=True, reason="a 'reason'", seed=3),
    "advise": {"subject": "France", "prompt": "{} is", "target": "-1", "target_true": "x y"},
    "apply": {"file": "facts of mine.jsonl", "limit": 3, "batch": 2, "resume": True, "policy": "observe"},
    "consolidate": {"versions": [3, 4], "method": "memit", "config": {"layers": [1, 2]}},
    "rollback": {"ref": "HEAD~2", "message": "back"},
    "undo": {},
    "redo": {},
    "switch": {"ref": "main"},
    "branch": {"name": "other", "at": "HEAD~1"},
    "tag": {"name": "first", "at": "1"},
    "ask": {"prompt": "Paris is in", "refs": ["HEAD", "base", "3"], "tokens": 7, "top": 2},
    "peek": {"prompt": "Paris is in", "target": "Rome", "ref": "HEAD", "tokens": 4},
    "route": {"prompt": "Where is Paris?", "ref": "HEAD~1"},
    "evaluate": {"ref": "HEAD"},
    "check": {"ref": "HEAD", "policy": "strict"},
    "ripple": {"ref": "4"},
    "verify": {"quick": True},
}


def test_every_kind_has_an_order_here() -> None:
    assert set(ORDERS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_job_s_command_line_can_be_typed(kind: str) -> None:
    arguments = ORDERS[kind]
    checked(kind, arguments)
    program, *words = shlex.split(command_line(kind, arguments))
    assert program == "kedit"
    found = parsed(words)
    for name in ("ref", "prompt", "subject", "target", "name", "file", "policy", "message", "limit", "seed"):
        if name in arguments and name in found:
            assert str(found[name]) == str(arguments[name]), name


def test_screens_know_which_kinds_leave_the_store_as_it_is() -> None:
    assert {kind for kind, known in KINDS.items() if not known.writes} == LOOKING
    assert PASSING < LOOKING


def test_what_was_asked_of_two_versions_is_compared() -> None:
    found = parsed(shlex.split(command_line("ask", ORDERS["ask"]))[1:])
    assert (found["at"], found["compare"], found["max_tokens"], found["top"]) == ("HEAD", "0", 7, 2)
