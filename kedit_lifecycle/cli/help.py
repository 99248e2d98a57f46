"""`help`: commands, exit codes, refs."""

from __future__ import annotations

import click

from kedit_lifecycle.cli.catalogue import COMMANDS, PROGRAM
from kedit_lifecycle.cli.output import emit_json, line
from kedit_lifecycle.cli.session import Session, command, pass_session
from kedit_lifecycle.errors import EXIT_CODES, UsageError

REFS = """\
A REF names a version:
  HEAD, @       where you are
  main          a branch: its newest version
  before-march  a tag
  12, v12       the version of that number; 0 is the unedited model
  3fa91c        the start of an id, four digits or more
  REF~3, REF^   three versions, or one, towards the unedited model\
"""
TOPICS = ("exit-codes", "refs")


@command("help")
@click.argument("topic", required=False)
@pass_session
@click.pass_context
def help_command(ctx: click.Context, session: Session, topic: str | None) -> None:
    """Explain TOPIC: a command, `exit-codes`, or `refs`."""
    root = ctx.find_root()
    if topic is None:
        click.echo(root.get_help())
    elif topic == "exit-codes":
        _exit_codes(session)
    elif topic == "refs":
        for text in REFS.splitlines():
            line(text)
    elif topic in COMMANDS:
        assert isinstance(root.command, click.Group)
        found = root.command.get_command(root, topic)
        assert found is not None
        click.echo(found.get_help(click.Context(found, info_name=topic, parent=root)))
    else:
        raise UsageError(f"there is no command or topic {topic!r}", hint=f"{PROGRAM} help {'|'.join(TOPICS)}")


def _exit_codes(session: Session) -> None:
    if session.json:
        emit_json(EXIT_CODES)
        return
    for code, meaning in EXIT_CODES.items():
        line(f"{code:>3}  {meaning}")
