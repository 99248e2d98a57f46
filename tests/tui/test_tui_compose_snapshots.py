"""What Compose and Ask look like, as pictures that a person has looked at; on a server of queries.

The server has no model, so what only a model can say is given to the screens as an engine would say it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from tui_pilot import BROAD, NARROW, app_of, clock, settled
from tui_store import HOSTILE

from kedit_lifecycle.engine.messages import AnswerView, Job, JobError, Peek, TopToken
from kedit_lifecycle.tui.app import KeditApp
from kedit_lifecycle.tui.screens.ask import AskScreen
from kedit_lifecycle.tui.screens.compose import ComposeScreen
from kedit_lifecycle.tui.screens.compose.draft import Draft
from kedit_lifecycle.tui.screens.compose.run import Run

pytestmark = pytest.mark.tui

Compare = Callable[..., bool]
SIZES = pytest.mark.parametrize("size", [NARROW, BROAD], ids=["80x24", "160x48"])
THEMES = pytest.mark.parametrize("theme", ["kedit-dark", "kedit-light"])

FACT: dict[str, Any] = {
    "subject": "Lyon",
    "prompt": "{} is in the country of",
    "target": "Japan",
    "target_true": "France",
}
CHECKS = [
    {"check": "conflict", "verdict": "pass", "message": "none", "value": None},
    {"check": "efficacy", "verdict": "pass", "message": "1 of 1 hold; P(target) .97", "value": 0.0},
    {"check": "neighborhood", "verdict": "warn", "message": "9 of 10 the same", "value": 0.1},
    {"check": "perplexity", "verdict": "fail", "message": "1.38 × the unedited model's", "value": 1.38},
]
LOSSES = [6.0 * 0.75**step for step in range(18)]


def ended(action: str, version: int | None, state: str, error: JobError | None = None) -> Run:
    """A run that came to this."""
    run = Run(Draft(**FACT), "kedit edit --subject Lyon", job=1, losses=list(LOSSES), searches=1)
    fact = FACT | {"target_new": "Japan", "before": " France", "before_probability": 0.01, "after": " Japan"}
    result: dict[str, Any] = {
        "version": version, "action": action, "checks": CHECKS if version is None else CHECKS[:3],
        "reasons": ["perplexity: 1.38 × the unedited model's"] if version is None else [],
        "facts": [fact | {"after_probability": 0.97}], "losses": LOSSES, "warnings": [],
    }  # fmt: skip
    run.ended(
        Job.model_validate(
            {"id": 1, "kind": "edit", "arguments": {}, "author": "", "command": "", "created": "",
             "state": state,
             "result": result, "error": error}
        )
    )  # fmt: skip
    return run


def composing(run: Run | None = None, **fields: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """These in the fields, and this run."""

    async def before(pilot: Pilot[None]) -> None:
        await settled(pilot)
        screen = app_of(pilot).query_one(ComposeScreen)
        for field in screen.form.query("FactInput"):
            field.cursor_blink = False  # type: ignore[attr-defined]
        screen.form.fill(**fields)
        await pilot.pause(0.6)
        await settled(pilot)
        screen.live.trouble = ""
        screen.live.peek = Peek(
            version=7, answer=" France", answer_probability=0.41, target_probability=4e-4, route="weights"
        )
        screen.run = run
        if run is not None:
            screen.watch_pane.focus()
        screen.show_findings()
        app_of(pilot).show_state()
        app_of(pilot).clear_notifications()
        await pilot.pause(0.2)

    return before


def compose_app(where: str, theme: str = "kedit-dark") -> KeditApp:
    return KeditApp(where, clock=clock, theme=theme, first="compose")


@SIZES
@THEMES
def test_composing(snap_compare: Compare, story: str, size: tuple[int, int], theme: str) -> None:
    assert snap_compare(compose_app(story, theme), terminal_size=size, run_before=composing(**FACT))


@SIZES
def test_a_conflict(snap_compare: Compare, story: str, size: tuple[int, int]) -> None:
    fact: dict[str, Any] = {"subject": "Lyon", "prompt": "The capital of {} is", "target": "Kyoto"}
    assert snap_compare(compose_app(story), terminal_size=size, run_before=composing(**fact))


@SIZES
def test_accepted(snap_compare: Compare, story: str, size: tuple[int, int]) -> None:
    run = ended("warn", 8, "done")
    assert snap_compare(compose_app(story), terminal_size=size, run_before=composing(run, **FACT))


@SIZES
@THEMES
def test_rejected(snap_compare: Compare, story: str, size: tuple[int, int], theme: str) -> None:
    error = JobError(message="taken back", hint="kedit edit --policy observe commits it all the same")
    run = ended("reject", None, "refused", error)
    assert snap_compare(compose_app(story, theme), terminal_size=size, run_before=composing(run, **FACT))


def test_hostile_fields(snap_compare: Compare, story: str) -> None:
    names = ("subject", "target", "target_true", "relation", "settings", "method", "policy", "message")
    fields: dict[str, Any] = dict(zip(names, HOSTILE, strict=False)) | {"prompt": HOSTILE[1]}
    assert snap_compare(compose_app(story), terminal_size=BROAD, run_before=composing(**fields))


def answers() -> tuple[AnswerView, ...]:
    top = [TopToken(text=text, probability=chance) for text, chance in ((" Oslo", 0.81), (" Paris", 0.06))]
    kept = {"by_version": 5, "by_fact": "Lyon is in the country of → Oslo", "score": 0.93, "threshold": 0.5}
    return (
        AnswerView(version=7, label="HEAD", text=" Oslo, which is", top=tuple(top), route="memory",
                   why="a fact in memory is about this", **kept),  # type: ignore[arg-type]
        AnswerView(version=0, label="base", text=" France.", top=tuple(reversed(top)), route="base",
                   why="its memory is empty"),
    )  # fmt: skip


@SIZES
@THEMES
def test_answers(snap_compare: Compare, story: str, size: tuple[int, int], theme: str) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await settled(pilot)
        screen = app_of(pilot).query_one(AskScreen)
        screen.line.cursor_blink = False
        screen.line.value = screen._asked = "Lyon is in the country of"
        await screen._answered([one.model_dump() for one in answers()])
        screen.pane.focus()
        await pilot.pause(0.2)

    app = KeditApp(story, clock=clock, theme=theme, first="ask")
    assert snap_compare(app, terminal_size=size, run_before=before)
