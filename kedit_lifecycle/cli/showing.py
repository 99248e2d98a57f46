"""One version in full, for `kedit show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kedit_lifecycle.cli.checking import print_checks
from kedit_lifecycle.cli.output import Column, line, number, plain, print_table
from kedit_lifecycle.cli.shapes import (
    Measured,
    fact_line,
    measured,
    metric_title,
    ref_names,
    version_json,
    when,
)

if TYPE_CHECKING:
    from kedit_lifecycle.ledger.reader import LedgerReader
    from kedit_lifecycle.ledger.records import VersionRow

LISTED = 20  # facts and answers shown; --json has all


def as_json(reader: LedgerReader, version: VersionRow) -> Any:
    """All that the ledger knows of a version."""
    shown = version_json(version, reader.requests(version.number), ref_names(reader).get(version.id, ()))
    shown["updates"] = plain(reader.updates(version.number))
    shown["metrics"] = plain(reader.metrics(version.number))
    shown["answers"] = plain(reader.answers(version.number))
    shown["checks"] = plain(reader.checks(version.number))
    shown["supersedes"] = plain(reader.supersedes(version.number))
    shown["checkpoint"] = reader.checkpoint(version.number)
    shown["children"] = [child.number for child in reader.children(version.id)]
    return shown


def as_text(reader: LedgerReader, version: VersionRow) -> None:
    """The same for people, in 80 columns."""
    _head(reader, version)
    _facts(reader, version)
    _answers(reader, version)
    _measures(reader, version)
    _checks(reader, version)
    _tensors(reader, version)


def _head(reader: LedgerReader, version: VersionRow) -> None:
    names = ref_names(reader).get(version.id)
    line(f"version {version.number}" + (f" [{', '.join(names)}]" if names else ""))
    line(f"id      {version.id}")
    if version.parent:
        line(f"parent  {version.parent[:10]}")
    line(f"when    {when(version.time)} UTC, by {version.author or '?'}")
    if version.editor:
        line(f"how     {version.operation} with {version.editor}, seed {version.seed}")
    if version.message:
        line(f"why     {version.message}")
    if version.run:
        index, total = version.run.get("index"), version.run.get("total")
        place = f"{index + 1} of {total}" if isinstance(index, int) else "?"
        line(f"run     {version.run.get('id')}, {place}")
    gate = version.diagnostics.get("gate")
    if gate:
        line(f"gate    {gate.get('decision', '?')}, by the policy {gate.get('policy', '?')}")
    for one in reader.supersedes(version.number):
        line(
            f"in the place of version {one.earlier_version}"
            + (f", fact {one.earlier_position + 1}" if one.earlier_position else "")
        )
    for warning in version.diagnostics.get("warnings") or ():
        line(f"warning {warning}")


def _facts(reader: LedgerReader, version: VersionRow) -> None:
    requests = reader.requests(version.number)
    if requests:
        line()
        line("facts")
    for request in requests[:LISTED]:
        line(f"  {fact_line(request)}   “{request.prompt.replace('{}', request.subject)}”")
    _say_more(len(requests))


def _answers(reader: LedgerReader, version: VersionRow) -> None:
    answers = reader.answers(version.number)
    if not answers:
        return
    line()
    columns = [
        Column("at", "right"),
        Column("prompt", elastic=True),
        Column("the model said", elastic=True),
        Column("P(new)", "right"),
    ]
    ordered = sorted(answers, key=lambda one: (one.request, _at(one.evaluated, version)))
    rows = [
        (_at(one.evaluated, version), one.prompt, one.completion.strip(), number(one.target_probability))
        for one in ordered[: 2 * LISTED]
    ]
    print_table(columns, rows)
    _say_more(len(answers), 2 * LISTED)


def _at(evaluated: int | None, version: VersionRow) -> int:
    return version.number if evaluated is None else evaluated


def _measures(reader: LedgerReader, version: VersionRow) -> None:
    found = measured(reader.metrics(version.number), version.number)
    if not found:
        return
    line()
    by_kind: dict[tuple[str, str, str], dict[int, Measured]] = {}
    for one in found:
        by_kind.setdefault((one.metric, one.protocol, one.scorer), {})[one.evaluated] = one
    later = sorted({one.evaluated for one in found} - {0, version.number})
    columns = [
        Column("measure"),
        Column("unedited", "right"),
        Column("here", "right"),
        *(Column(f"at {at}", "right") for at in later[-3:]),
        Column("protocol", elastic=True),
    ]
    rows = [
        (
            metric_title(metric),
            *(_value(values.get(at)) for at in (0, version.number, *later[-3:])),
            protocol,
        )
        for (metric, protocol, _), values in by_kind.items()
    ]
    print_table(columns, rows)


def _value(one: Measured | None) -> str:
    return number(one.value if one else None)


def _checks(reader: LedgerReader, version: VersionRow) -> None:
    checks = reader.checks(version.number)
    if not checks:
        return
    line()
    print_checks(checks)


def _tensors(reader: LedgerReader, version: VersionRow) -> None:
    updates = reader.updates(version.number)
    if not updates:
        return
    line()
    columns = [
        Column("tensor", elastic=True),
        Column("update"),
        Column("norm", "right"),
        Column("before"),
        Column("after"),
    ]
    print_table(
        columns,
        [
            (
                one.tensor,
                f"rank {one.rank}" if one.operation == "rank" else one.operation,
                number(one.norm, 4),
                one.before.served[:10],
                one.after.served[:10],
            )
            for one in updates
        ],
    )


def _say_more(count: int, listed: int = LISTED) -> None:
    if count > listed:
        line(f"  … and {count - listed} more: --json shows all")
