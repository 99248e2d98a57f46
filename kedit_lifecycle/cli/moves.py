"""`rollback`, `undo`, `redo`, `switch`: moving along the history. Nothing is ever deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kedit_lifecycle.cli.options import DEVICE, MESSAGE
from kedit_lifecycle.cli.output import emit_json, line, narrate
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, command, pass_session

if TYPE_CHECKING:
    from kedit_lifecycle.ledger.records import VersionRow

YES = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@command("rollback")
@click.argument("ref")
@MESSAGE
@click.option("--dry-run", is_flag=True, help="Say what would be taken back, and change nothing.")
@click.option("--no-check", is_flag=True, help="Do not rebuild the version first; takes no time.")
@YES
@DEVICE
@pass_session
def rollback_command(
    session: Session, ref: str, message: str, dry_run: bool, no_check: bool, yes: bool, device: str
) -> None:
    """Take the branch back (or anywhere else) to version REF.

    The version's tensors are rebuilt and their fingerprints compared before HEAD goes there. The
    versions left behind stay in the ledger; `kedit undo` brings the branch back to them.
    """
    from kedit_lifecycle.cli.shapes import common_ancestor

    with session.reader() as reader:
        target, head = reader.resolve(ref), reader.head()
        left = reader.path_between(common_ancestor(reader, target, head).id, head.id)
    if dry_run:
        _say(session, target, f"would go to version {target.number} ({target.short})", left)
        return
    session.must_write()
    session.confirm(
        f"Go from version {head.number} to version {target.number}, leaving {len(left)} versions?", yes=yes
    )
    if no_check:
        with session.open_store() as store:
            store.move(
                target.id, kind="rollback", author=session.author, command=session.command, message=message
            )
    else:
        _checked_rollback(session, target, message, device)
    _say(session, target, f"HEAD is at version {target.number} ({target.short})", left)


def _checked_rollback(session: Session, target: VersionRow, message: str, device: str) -> None:
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        workbench.rollback(target.id, message=message)
        notes = list(workbench.notes)
    for text in notes:
        narrate(f"warning: {text}")
    narrate(f"rebuilt: {len(target.tensors)} edited tensors have the bytes they were committed with")


@command("undo")
@pass_session
def undo_command(session: Session) -> None:
    """Take back the last edit, rollback or switch. Again for the one before."""
    session.must_write()
    with session.open_store() as store:
        version = store.undo(author=session.author, command=session.command)
    _say(session, version, f"HEAD is at version {version.number} ({version.short})")
    narrate("kedit redo takes this back")


@command("redo")
@pass_session
def redo_command(session: Session) -> None:
    """Take back the last undo."""
    session.must_write()
    with session.open_store() as store:
        version = store.redo(author=session.author, command=session.command)
    _say(session, version, f"HEAD is at version {version.number} ({version.short})")


@command("switch")
@click.argument("ref")
@pass_session
def switch_command(session: Session, ref: str) -> None:
    """Put HEAD on the branch REF; if REF is no branch, on that version, detached."""
    session.must_write()
    with session.open_store() as store:
        version = store.move(ref, kind="switch", author=session.author, command=session.command)
        branch, _ = store.reader.head_ref()
    where = f"on {branch}" if branch else "on no branch"
    _say(session, version, f"HEAD is at version {version.number} ({version.short}), {where}")


def _say(session: Session, version: VersionRow, text: str, left: list[VersionRow] | None = None) -> None:
    if session.json:
        shown = {"number": version.number, "id": version.id, "depth": version.depth}
        emit_json(shown if left is None else {**shown, "left_behind": [one.number for one in left]})
        return
    line(text)
    if left:
        numbers = ", ".join(str(one.number) for one in left[-12:])
        line(f"left behind: {len(left)} versions ({'… ' if len(left) > 12 else ''}{numbers})")
