"""`conflicts`: what contradicts what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.output import Column, clipped, emit_json, line, plain, print_table
from kedit_lifecycle.cli.session import Session, command, pass_session, quiet_libraries
from kedit_lifecycle.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from kedit_lifecycle.facts.request import EditRequest
    from kedit_lifecycle.workbench.checking import FoundConflicts

SIGNS = {"note": "· note", "warn": "! warn", "refuse": "✗ refuse"}


@command("conflicts")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--subject", help="Of a fact that is not made yet.")
@click.option("--prompt", help='With {} for the subject: "The capital of {} is".')
@click.option("--target", help="What the model would say.")
@click.option("--target-true", help="What is true now.")
@click.option("--relation", help="For example a Wikidata property.")
@click.option("--at", default="HEAD", show_default=True, metavar="REF", help="Whose edits.")
@click.option("--all", "show_all", is_flag=True, help="Also what is only worth a note.")
@pass_session
def conflicts_command(
    session: Session, /, file: Path | None, at: str, show_all: bool, **fact: str | None
) -> None:
    """List what contradicts what: within a history, or what new facts would contradict.

    Without FILE and without a fact, every live edit is held against those before it. With FILE (any
    format of `apply`) or --subject, --prompt and --target, the facts are held against the live edits of a
    version. Exit code 1 if one of them would be refused.
    """
    requests = _requests(file, fact)
    quiet_libraries()
    from kedit_lifecycle.workbench.checking import conflicts_with, conflicts_within

    with session.open_store() as store:
        searched = conflicts_within(store, at) if requests is None else conflicts_with(store, at, requests)
        found = [one for one in searched if one.conflicts]
    if session.json:
        emit_json([_as_json(one) for one in found])
    else:
        _print(found, show_all)
    refused = sum(any(c.severity == "refuse" for c in one.conflicts) for one in found)
    if requests is not None and refused:
        raise RefusedError(
            f"{refused} of {len(requests)} facts would be refused",
            hint="kedit edit --supersede takes the place of the earlier edit",
        )


def _requests(file: Path | None, fact: dict[str, str | None]) -> list[EditRequest] | None:
    given = {name: value for name, value in fact.items() if value is not None}
    if file is not None and given:
        raise UsageError("give a file or one fact, not both")
    if file is not None:
        from kedit_lifecycle.facts.readers import load_requests

        return list(load_requests(file).requests)
    if not given:
        return None
    missing = [name for name in ("subject", "prompt", "target") if name not in given]
    if missing:
        raise UsageError(f"a fact needs --{missing[0]} too", hint="--subject, --prompt and --target together")
    from kedit_lifecycle.facts.request import make_request

    return [make_request(target_new=given.pop("target"), **given)]


def _as_json(found: FoundConflicts) -> Any:
    where = None if found.at is None else {"version": found.at.version, "position": found.at.position}
    return {"request": plain(found.request), "at": where, "conflicts": plain(found.conflicts)}


def _print(found: list[FoundConflicts], show_all: bool) -> None:
    rows = [
        (
            one.at.label if one.at else "new",
            clipped(f"{one.request.subject} → {one.request.target_new}", 30),
            SIGNS[conflict.severity],
            conflict.kind,
            conflict.message,
        )
        for one in found
        for conflict in one.conflicts
        if show_all or conflict.severity != "note"
    ]
    if not rows:
        line("no conflicts")
        return
    columns = [Column("edit"), Column("fact"), Column(""), Column("kind"), Column("with", elastic=True)]
    print_table(columns, rows)
