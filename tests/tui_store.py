"""A store with a story for the screens to show, made without a model and always the same."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from query_store import attempt, commit, new_store, remember, score
from small_store import WHO, request

from kedit_lifecycle.ledger.records import AnswerDraft, CheckDraft, Supersession, VersionRow
from kedit_lifecycle.ledger.store import Store

BEGAN = datetime(2026, 3, 1, 9, 0)

CITIES = (
    ("Lyon", "Manila"), ("Toko Yasuda", "piano"), ("Mount Etna", "Norway"), ("Danielle Darrieux", "English"),
    ("Edwin of Northumbria", "Islam"), ("Autonomous University of Madrid", "Sweden"), ("Nice", "Kyoto"),
)  # fmt: skip

HOSTILE = (
    "[bold red]not markup[/] [@click=app.quit]x[/]",
    "\x1b[2J\x1b]52;c;aGk=\x07\x1b[31mred",
    "one\ntwo\r\nthree\ttab",
    "\u202egnp.exe\u2066 abc",
    "שלום עולם مرحبا",
    "👩‍👩‍👧‍👦 ❤️ 🏳️‍🌈 日本語",
    "Z\u0351\u036b\u0343\u0336a\u0489l\u0310g\u0321o\u0328\u0334\u0301\u0323",
    "x" * 10_000,
    "\x00\x7f\x85\u2028\ufeff\ud7ff",
)
"""What a fact may hold that a terminal must never be given as it is."""


def _plain_hash(**event: Any) -> str:
    return hashlib.sha256(str(event["seq"]).encode()).hexdigest()


@contextmanager
def always_the_same() -> Iterator[None]:
    """Events a minute apart from `BEGAN` on, with hashes of their numbers alone: a schema may change."""
    ticks = itertools.count()

    def now() -> str:
        return f"{(BEGAN + timedelta(minutes=next(ticks))).isoformat()}.000000Z"

    with ExitStack() as stack:
        for place in ("writer", "chain"):
            stack.enter_context(patch(f"kedit_lifecycle.ledger.{place}.utc_now", now))
        stack.enter_context(patch("kedit_lifecycle.ledger.chain.event_hash", _plain_hash))
        yield


def checks(ratio: float, lost: int = 0, state: str = "healthy") -> list[CheckDraft]:
    """What a gate found, with numbers that move."""
    verdict = {"healthy": "pass", "degrading": "warn", "collapsed": "fail"}[state]
    found = [{"version": 1, "position": 0}] * lost
    detail = {"state": state, "since": None, "reasons": [f"perplexity {ratio:.2f} ×"]}
    return [
        CheckDraft("efficacy", "pass", "1 of 1 hold", 0.0, 0.0, 0.5, {"held": [True]}),
        CheckDraft(
            "neighborhood", "warn" if lost else "pass", f"{10 - lost} of 10 the same", lost / 10, 0.1, 0.5
        ),
        CheckDraft("perplexity", "pass", f"{ratio:.3f} × the unedited", ratio, 1.1, 1.5),
        CheckDraft("retention", "pass", f"{lost} of 4 hold no more", lost / 4, 0.34, 0.67, {"lost": found}),
        CheckDraft("weight_change", "pass", "small", ratio / 20, 0.5, 1.0),
        CheckDraft("collapse", verdict, state, None, None, None, detail),
    ]


def tell(store: Store, place: int, subject: str, target: str, **changes: Any) -> VersionRow:
    """One edit with answers, scores, checks, losses and a gate's decision."""
    ratio = 1 + 0.004 * place
    losses = [4.0 * 0.7**step for step in range(20)]
    fields: dict[str, Any] = {
        "metrics": [
            score("efficacy", 1.0),
            score("paraphrase", 0.9),
            score("neighborhood", 0.8),
            score("efficacy", 0.1, 0, evaluated=0),
        ],
        "answers": [AnswerDraft(0, f"The capital of {subject} is", f" {target}", 0.97)],
        "checks": checks(ratio, lost=int(place % 3 == 2)),
        "diagnostics": {
            "gate": {
                "decision": "warn" if place % 3 == 2 else "commit",
                "reasons": ["as the policy guarded says"],
            },
            "losses": [losses],
        },
    }
    return commit(store, subject, target, **fields | changes)


def make_story(path: Path) -> Path:
    """Edits, a fact in the memory, what the gate took back, a branch, a tag, a rollback; closed."""
    with always_the_same(), new_store(path) as store:
        for place, (subject, target) in enumerate(CITIES[:4]):
            tell(store, place, subject, target)
        attempt(store, "Toko Yasuda")
        store.tag("good", "v3", **WHO)
        store.branch("aside", "v2", **WHO)
        store.move("aside", kind="switch", **WHO)
        tell(store, 4, *CITIES[6])
        store.move("main", kind="switch", **WHO)
        remember(store, request(*CITIES[4]), checks=checks(1.02))
        tell(store, 5, "Lyon", "Oslo", supersedes=[Supersession(0, 1, 0)], editor="memit")
        tell(store, 6, *CITIES[5])
        store.undo(**WHO)
    return path


def make_hostile(path: Path) -> Path:
    """Every hostile text in every field that takes one."""
    with always_the_same(), new_store(path) as store:
        for text in HOSTILE:
            tell(store, 1, text, text, message=text, answers=[AnswerDraft(0, text, text, 0.5)])
            store.record(
                "attempt",
                {
                    "decision": text,
                    "reasons": [text],
                    "requests": [{"subject": text, "prompt": text, "target_new": text}],
                },
                author=text[:200],
                command=text,
            )
    return path


def make_many(path: Path, count: int) -> Path:
    """A long line of plain edits."""
    with always_the_same(), new_store(path) as store:
        for place in range(count):
            commit(store, f"City {place + 1}", "Rome")
    return path
