"""Drafts as the sealed rows of ledger.db."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kedit_lifecycle.errors import UsageError
from kedit_lifecycle.ledger import columns
from kedit_lifecycle.ledger.canonical import Cell, canonical, row_json, row_seal, update_json, version_id
from kedit_lifecycle.ledger.records import (
    AnswerDraft,
    CheckDraft,
    MetricDraft,
    RequestDraft,
    TensorState,
    UpdateDraft,
    VersionDraft,
)

Row = dict[str, Cell]

BIGGEST_INTEGER = 2**53 - 1  # RFC 8785 numbers are IEEE doubles


@dataclass
class SealedRows:
    """The rows that one event writes, table by table in ledger order, with their JSON for the digest."""

    event: int
    rows: dict[str, list[Row]] = field(default_factory=lambda: {t.name: [] for t in columns.SEALED_TABLES})
    lines: dict[str, list[str]] = field(default_factory=lambda: {t.name: [] for t in columns.SEALED_TABLES})

    def add(self, table: columns.Table, **cells: Any) -> None:
        """Seal a row and keep it; rows of a table come in the order of its key.

        Raises:
            UsageError: a value is not of its column's type.
        """
        cells["event"] = self.event
        values = [_cell(table, column, cells[column.name]) for column in table.columns[:-1]]
        values.append(row_seal(table.name, values))
        self.rows[table.name].append(dict(zip(table.names, values, strict=True)))
        self.lines[table.name].append(row_json(values))


def _cell(table: columns.Table, column: columns.Column, value: Any) -> Cell:
    where = f"{table.name}.{column.name}"
    if value is None:
        if column.nullable:
            return None
        raise UsageError(f"{where} is missing")
    if column.kind == "TEXT":
        if isinstance(value, str):
            return value
    elif column.kind == "INTEGER":
        if isinstance(value, int) and abs(value) <= BIGGEST_INTEGER:
            return int(value)
    else:
        number = float(value)
        return None if math.isnan(number) else number + 0.0  # -0.0 would be stored as 0.0
    raise UsageError(f"{where} cannot hold {value!r}")


def tensors_json(tensors: Mapping[str, TensorState]) -> str:
    """The tensors' fingerprints as canonical JSON."""
    states = {name: {"master": state.master, "served": state.served} for name, state in tensors.items()}
    return canonical(states, "tensors")


def draft_id(draft: VersionDraft) -> str:
    """The id that the version will have."""
    return version_id(
        parent=draft.parent or None,
        operation=draft.operation,
        editor=draft.editor,
        config=canonical(draft.config, "config"),
        seed=draft.seed,
        requests=[request.digest for request in draft.requests],
        updates=[
            update_json(u.tensor, u.operation, u.left, u.right, u.keys, u.after.master, u.after.served)
            for u in draft.updates
        ],
        tensors=tensors_json(draft.tensors),
        memory=draft.memory,
        run=_run_json(draft),
        message=draft.message,
    )


def _run_json(draft: VersionDraft) -> str | None:
    return None if draft.run is None else canonical(draft.run, "run")


def add_version(rows: SealedRows, draft: VersionDraft, identity: str, number: int, depth: int) -> None:
    """The version's own row and those of its requests, updates and checkpoint."""
    run_id = None if draft.run is None else draft.run.get("id")
    rows.add(
        columns.VERSION,
        number=number,
        id=identity,
        parent=draft.parent or None,
        depth=depth,
        operation=draft.operation,
        editor=draft.editor,
        message=draft.message,
        seed=draft.seed,
        config=canonical(draft.config, "config"),
        tensors=tensors_json(draft.tensors),
        memory=draft.memory,
        run=_run_json(draft),
        run_id=None if run_id is None else str(run_id),
        diagnostics=canonical(draft.diagnostics, "diagnostics", keep_going=True),
    )
    for position, request in enumerate(draft.requests):
        _add_request(rows, request, number, position)
    for position, update in enumerate(draft.updates):
        _add_update(rows, update, number, position)
    for tensor in sorted(draft.checkpoint):
        rows.add(columns.CHECKPOINT, version=number, tensor=tensor, blob=draft.checkpoint[tensor])
    for position, check in enumerate(draft.checks):
        _add_check(rows, check, number, position)
    order = ("position", "earlier_version", "earlier_position")
    for one in sorted(draft.supersedes, key=lambda one: [getattr(one, name) for name in order]):
        rows.add(columns.SUPERSEDED, version=number, **{name: getattr(one, name) for name in order})


def _add_check(rows: SealedRows, check: CheckDraft, version: int, position: int) -> None:
    rows.add(
        columns.CHECK_RESULT,
        version=version,
        position=position,
        check_id=check.check,
        verdict=check.verdict,
        message=check.message,
        value=check.value,
        warn=check.warn,
        fail=check.fail,
        detail=canonical(check.detail, f"check {check.check}", keep_going=True),
    )


def _add_request(rows: SealedRows, request: RequestDraft, version: int, position: int) -> None:
    rows.add(
        columns.EDIT_REQUEST,
        version=version,
        position=position,
        digest=request.digest,
        subject=request.subject,
        relation=request.relation,
        prompt=request.prompt,
        target_new=request.target_new,
        target_true=request.target_true,
        payload=canonical(request.payload, f"request {position}"),
    )


def _add_update(rows: SealedRows, update: UpdateDraft, version: int, position: int) -> None:
    rows.add(
        columns.TENSOR_UPDATE,
        version=version,
        position=position,
        tensor=update.tensor,
        operation=update.operation,
        left=update.left,
        right=update.right,
        keys=update.keys,
        before_master=update.before.master,
        before_served=update.before.served,
        after_master=update.after.master,
        after_served=update.after.served,
        rank=update.rank,
        norm=update.norm,
    )


def add_measurements(
    rows: SealedRows,
    version: int,
    metrics: Sequence[MetricDraft],
    answers: Sequence[AnswerDraft],
    *,
    first_metric: int,
    first_answer: int,
) -> None:
    """Rows of metrics and answers, numbered from the numbers given; `evaluated` None is `version`."""
    for number, metric in enumerate(metrics, start=first_metric):
        rows.add(
            columns.METRIC,
            number=number,
            version=version,
            request=metric.request,
            evaluated=version if metric.evaluated is None else metric.evaluated,
            metric=metric.metric,
            protocol=metric.protocol,
            scorer=metric.scorer,
            value=metric.value,
            count=metric.count,
        )
    for number, answer in enumerate(answers, start=first_answer):
        rows.add(
            columns.ANSWER,
            number=number,
            version=version,
            request=answer.request,
            evaluated=version if answer.evaluated is None else answer.evaluated,
            prompt=answer.prompt,
            completion=answer.completion,
            target_probability=answer.target_probability,
        )
