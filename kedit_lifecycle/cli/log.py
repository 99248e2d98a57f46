"""`log`: the history as a list, without torch and without SQLModel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.output import Column, clipped, emit_json, line, number, print_table
from kedit_lifecycle.cli.session import Session, command, pass_session

if TYPE_CHECKING:
    from kedit_lifecycle.ledger.reader import LedgerReader
    from kedit_lifecycle.ledger.records import CheckDraft, EventRow, RequestDraft, VersionRow

HASH_SHOWN = 12
ATTEMPT = "attempt"
MOST_ATTEMPTS = 1000
VERDICTS = ("pass", "warn", "fail")
SIGNS = {"pass": "✓", "warn": "!", "fail": "✗"}
SHOWN = ("efficacy", "paraphrase", "neighborhood")


@command("log")
@click.argument("ref", default="HEAD")
@click.option(
    "-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most."
)
@click.option(
    "--before-depth", type=click.IntRange(0), help="Only versions less deep than this: the next page."
)
@click.option("--measures", is_flag=True, help="ES, PS, NS and perplexity instead of when and id.")
@click.option("--attempts", is_flag=True, help="What the gate took back instead, and why, newest first.")
@click.option("--events", is_flag=True, help="The audit chain instead: every event, with author and command.")
@pass_session
def log_command(
    session: Session,
    ref: str,
    limit: int,
    before_depth: int | None,
    measures: bool,
    attempts: bool,
    events: bool,
) -> None:
    """List versions, newest first, from REF (default HEAD) towards the unedited model.

    ✓ every check passed, ! one warns, ✗ one fails. Above a version stand the edits that the gate took back
    there. With --measures, "ES now" is the last evaluation of the edit, by `kedit eval` or a later check.
    """
    with session.reader() as reader:
        if events:
            _log_events(session, reader, limit)
        elif attempts:
            _log_attempts(session, reader, limit)
        else:
            _log_versions(session, reader, ref, limit, before_depth, measures)


def _log_versions(
    session: Session, reader: LedgerReader, ref: str, limit: int, before_depth: int | None, measures: bool
) -> None:
    from kedit_lifecycle.cli.shapes import ref_names, version_json

    names = ref_names(reader)
    found = [(version, reader.requests(version.number)) for version in reader.log(ref, limit, before_depth)]
    if session.json:
        emit_json([version_json(one, requests, names.get(one.id, ())) for one, requests in found])
        return
    if measures:
        _print_measured(reader, found, names)
    else:
        _print_versions(reader, found, names)
    if found and found[-1][0].depth > 0:
        line(f"… more: kedit log {ref} --before-depth {found[-1][0].depth}")


Found = list[tuple["VersionRow", "list[RequestDraft]"]]


def _print_versions(reader: LedgerReader, found: Found, names: dict[str, list[str]]) -> None:
    from kedit_lifecycle.cli.shapes import when

    columns = [
        Column("v", "right"),
        Column("id"),
        Column("when (UTC)"),
        Column("editor"),
        Column(""),
        Column("what", elastic=True),
    ]
    taken_back: dict[str, list[EventRow]] = {}
    for event in reader.events(limit=MOST_ATTEMPTS, kind=ATTEMPT):
        taken_back.setdefault(str(event.payload.get("parent")), []).append(event)
    rows: list[tuple[Any, ...]] = []
    for one, requests in found:
        rows += [_attempt_row(event) for event in taken_back.get(one.id, ())]
        what = _with_names(one, requests, names)
        rows.append(
            (one.number, one.short, when(one.time), one.editor or "-", sign(reader.checks(one.number)), what)
        )
    print_table(columns, rows)


def _attempt_row(event: EventRow) -> tuple[Any, ...]:
    from kedit_lifecycle.cli.shapes import when

    return ("", "taken back", when(event.time), event.payload.get("editor") or "-", "✗", attempt_line(event))


def attempt_line(event: EventRow) -> str:
    """`Japan: → Madrid · conflict: v3 said …`."""
    requests = event.payload.get("requests") or [{}]
    fact = f"{requests[0].get('subject', '?')}: → {requests[0].get('target_new', '?')}"
    more = f" (+{len(requests) - 1} more)" if len(requests) > 1 else ""
    reasons = event.payload.get("reasons") or ["?"]
    return f"{fact}{more} · {reasons[0]}"


def sign(checks: list[CheckDraft]) -> str:
    """The worst verdict as a sign; nothing where nothing was checked."""
    worst = max((one.verdict for one in checks), key=VERDICTS.index, default="")
    return SIGNS.get(worst, "")


def _with_names(version: VersionRow, requests: list[RequestDraft], names: dict[str, list[str]]) -> str:
    from kedit_lifecycle.cli.shapes import version_line

    here = names.get(version.id)
    return (f"[{', '.join(here)}] " if here else "") + version_line(version, requests)


def _print_measured(reader: LedgerReader, found: Found, names: dict[str, list[str]]) -> None:
    from kedit_lifecycle.cli.shapes import measured

    columns = [
        Column("v", "right"),
        Column("editor"),
        *(Column(name, "right") for name in ("ES", "PS", "NS", "ES now", "PPL")),
        Column(""),
        Column("what", elastic=True),
    ]
    rows: list[tuple[Any, ...]] = []
    for one, requests in found:
        metrics = measured(reader.metrics(one.number), one.number)
        made = {m.metric: m.value for m in metrics if m.evaluated == one.number}
        later = [m for m in metrics if m.evaluated > one.number and m.metric == "efficacy"]
        now = max(later, key=lambda m: m.evaluated).value if later else None
        scores = [number(made.get(name), 2) for name in SHOWN]
        rows.append(
            (
                one.number,
                one.editor or "-",
                *scores,
                number(now, 2),
                number(made.get("perplexity"), 2),
                sign(reader.checks(one.number)),
                _with_names(one, requests, names),
            )
        )
    print_table(columns, rows)


def _log_attempts(session: Session, reader: LedgerReader, limit: int) -> None:
    from kedit_lifecycle.cli.shapes import when

    events = reader.events(limit=limit, kind=ATTEMPT)
    if session.json:
        emit_json(events)
        return
    if not events:
        line("nothing was taken back")
        return
    columns = [
        Column("event", "right"),
        Column("when (UTC)"),
        Column("on v", "right"),
        Column("editor"),
        Column("gate"),
        Column("what, and why", elastic=True),
    ]
    rows = [
        (
            one.seq,
            when(one.time),
            one.payload.get("number", "?"),
            one.payload.get("editor", "?"),
            one.payload.get("decision", "?"),
            attempt_line(one),
        )
        for one in events
    ]
    print_table(columns, rows)


def _log_events(session: Session, reader: LedgerReader, limit: int) -> None:
    from kedit_lifecycle.cli.shapes import when

    events = reader.events(limit=limit)
    if session.json:
        emit_json(events)
        return
    columns = [
        Column("event", "right"),
        Column("hash"),
        Column("when (UTC)"),
        Column("kind"),
        Column("author"),
        Column("command", elastic=True),
    ]
    rows = [
        (one.seq, one.hash[:HASH_SHOWN], when(one.time), one.kind, clipped(one.author, 14), one.command)
        for one in events
    ]
    print_table(columns, rows)
