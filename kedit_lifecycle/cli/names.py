"""`branch` and `tag`: naming versions."""

from __future__ import annotations

from typing import Literal

import click

from kedit_lifecycle.cli.output import Column, emit_json, line, print_table
from kedit_lifecycle.cli.session import Session, command, pass_session


@command("branch")
@click.argument("name", required=False)
@click.argument("ref", default="HEAD")
@pass_session
def branch_command(session: Session, name: str | None, ref: str) -> None:
    """List branches; or make the branch NAME at REF (default HEAD), without going there."""
    _list(session, "branch") if name is None else _make(session, "branch", name, ref)


@command("tag")
@click.argument("name", required=False)
@click.argument("ref", default="HEAD")
@pass_session
def tag_command(session: Session, name: str | None, ref: str) -> None:
    """List tags; or make the tag NAME at REF (default HEAD)."""
    _list(session, "tag") if name is None else _make(session, "tag", name, ref)


def _make(session: Session, kind: Literal["branch", "tag"], name: str, ref: str) -> None:
    session.must_write()
    with session.open_store() as store:
        make = store.branch if kind == "branch" else store.tag
        made = make(name, ref, author=session.author, command=session.command)
        version = store.reader.by_id(made.target)
    if session.json:
        emit_json({"kind": kind, "name": made.name, "number": version.number, "id": version.id})
    else:
        line(f"{kind} {made.name} is at version {version.number} ({version.short})")


def _list(session: Session, kind: str) -> None:
    with session.reader() as reader:
        here, _ = reader.head_ref()
        found = [(ref, reader.by_id(ref.target)) for ref in reader.refs() if ref.kind == kind]
    if session.json:
        emit_json(
            [
                {"name": ref.name, "number": version.number, "id": version.id, "head": ref.name == here}
                for ref, version in found
            ]
        )
        return
    columns = [Column(""), Column(kind, elastic=True), Column("version", "right"), Column("id")]
    rows = [
        ("*" if ref.name == here else "", ref.name, version.number, version.short) for ref, version in found
    ]
    if rows:
        print_table(columns, rows)
