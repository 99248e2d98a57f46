"""Reading a command line as the program would, without carrying it out."""

from __future__ import annotations

from typing import Any

import click

from kedit_lifecycle.cli.main import cli


def parsed(words: list[str]) -> dict[str, Any]:
    """The parameters that click reads from a command line; it is not carried out."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command = found
    return command.make_context("kedit", words, parent=context).params
