"""Edits as the ledger remembers them, and later measurements of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from kedit_lifecycle.evaluation.scores import MetricValue
from kedit_lifecycle.facts.request import EditRequest
from kedit_lifecycle.ledger.reader import LedgerReader
from kedit_lifecycle.ledger.records import MetricDraft, VersionRow
from kedit_lifecycle.ledger.store import Store
from kedit_lifecycle.workbench.outcomes import Evaluation


def live_requests(reader: LedgerReader, version: VersionRow) -> list[tuple[VersionRow, int, EditRequest]]:
    """(version, position in it, request) of every edit in the history of `version`, oldest first."""
    line = reversed(reader.log(version.id, limit=version.depth + 1))
    return [
        (one, position, EditRequest.model_validate(draft.payload))
        for one in line
        for position, draft in enumerate(reader.requests(one.number))
    ]


def record_evaluation(
    store: Store, evaluation: Evaluation, positions: Sequence[int], author: str, command: str
) -> None:
    """Add what was measured at `evaluation.version` to each version whose edits it measured."""
    evaluated = evaluation.version.number
    by_version: dict[int, list[MetricDraft]] = defaultdict(list)
    for number, position, one in zip(evaluation.versions, positions, evaluation.per_request, strict=True):
        values = [replace(value, request=position) for value in one.metrics()]
        by_version[number] += [metric_draft(value, evaluated) for value in values]
    with store.writing():
        for number, metrics in by_version.items():
            store.add_metrics(number, metrics, author=author, command=command)


def metric_draft(value: MetricValue, evaluated: int | None) -> MetricDraft:
    """A metric as a ledger row; `evaluated` None is the version being committed."""
    return MetricDraft(
        value.metric, value.protocol, value.scorer, value.value, value.count, value.request, evaluated
    )
