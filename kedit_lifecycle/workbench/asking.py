"""Small questions to a version: how probable an answer is, and who would give it."""

from __future__ import annotations

import math

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.evaluation.answering import PlainModel
from kedit_lifecycle.ledger.records import VersionRow
from kedit_lifecycle.memory.routing import Route
from kedit_lifecycle.workbench.workbench import Workbench


def target_probability(workbench: Workbench, prompt: str, target: str, *, ref: str = "HEAD") -> float:
    """P(target) behind a prompt: the geometric mean over the target's tokens, of model and memory together.

    Raises:
        BadRecordError: the target has no tokens.
    """
    version = workbench.store.reader.resolve(ref)
    model = workbench.checkout_model(ref)
    system = workbench.system_at(version) or PlainModel(model)
    return math.exp(-system.scorer().score_targets([(prompt, target)])[0].mean_nll)


def route_of(workbench: Workbench, prompt: str, *, ref: str = "HEAD") -> tuple[VersionRow, Route | None]:
    """Who would answer a prompt at a version, and by how much; None where its memory is empty.

    Raises:
        UsageError: the prompt is empty.
    """
    if not prompt.strip():
        raise UsageError("the prompt is empty")
    version = workbench.store.reader.resolve(ref)
    system = workbench.system_at(version)
    return version, system.routes([prompt])[0] if system else None
