"""Stores for the health and memory screens: a line that decays, and a tiny model that remembers facts."""

from __future__ import annotations

from pathlib import Path

from query_store import attempt, new_store, remember
from small_store import request
from tiny_workbench import QUICK, requests, tiny_workbench
from tui_store import HOSTILE, always_the_same, checks, tell

from kedit_lifecycle.facts.request import make_request
from kedit_lifecycle.ledger.records import CheckDraft

FACTS = (("France", "Rome"), ("Spain", "Oslo"), ("Peru", "Bonn"))
SETTINGS = " ".join(f"{name}={value}" for name, value in QUICK["memit"].items()).replace(", ", ",")
"""For the dialog of a consolidation: what makes it quick on a tiny model."""


def make_decay(path: Path, count: int = 24) -> Path:
    """Edits after which the model degrades at v13 and collapses at v19; two attempts on v8, one on v15."""
    with always_the_same(), new_store(path) as store:
        for place in range(count):
            state = "healthy" if place < 12 else "degrading" if place < 18 else "collapsed"
            ratio = 1.0 + 0.004 * place + (0.05 * (place - 12) if place > 12 else 0.0)
            drift = CheckDraft("drift", "pass", "of next tokens", 0.01 * place, 0.3, 1.0)
            lost = 0 if place < 12 else min(place - 11, 3)
            tell(store, place, f"City {place}", "Rome", checks=[*checks(ratio, lost, state), drift])
            for _ in range({7: 2, 14: 1}.get(place, 0)):
                attempt(store, "Toko Yasuda")
    return path


def make_remembered(path: Path, count: int = 250) -> Path:
    """A memory of many facts, each of a version of its own, hostile ones first."""
    with always_the_same(), new_store(path) as store:
        remember(store, *(request(text, text) for text in HOSTILE))
        for place in range(count):
            remember(store, request(f"Town {place}", "Oslo"))
    return path


def make_tiny_memory(folder: Path) -> Path:
    """A tiny model with an edit in its weights and three facts in its memory."""
    with tiny_workbench(folder) as workbench:
        workbench.edit(requests(1)[0], config=QUICK["rome"], policy="observe")
        for subject, target in FACTS:
            fact = make_request(
                subject=subject, prompt="The capital of {} is", target_new=target, relation="P36"
            )
            workbench.edit(fact, method="serac", policy="observe")
        return workbench.store.path
