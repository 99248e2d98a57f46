"""docs/cli.md, written from the commands themselves: `python -m kedit_lifecycle.cli.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from kedit_lifecycle.cli.catalogue import COMMANDS, PROGRAM, SECTIONS
from kedit_lifecycle.cli.help import REFS
from kedit_lifecycle.cli.main import cli
from kedit_lifecycle.errors import EXIT_CODES

FOREWORD = f"""\
# The command line

Made by `make docs` from the commands themselves; do not edit.

stdout is data, stderr is narration. Every command takes `--store PATH` (or `KEDIT_STORE`, else
`./store`), `--json` and `--readonly`, before the command's name or after it. `KEDIT_AUTHOR` is the name
in the audit chain, `KEDIT_DEVICE` the device, `NO_COLOR` turns colours off. Nothing is asked off a terminal.

## Versions

```
{REFS}
```

## Exit codes

| code | meaning |
|---|---|
"""


def reference() -> str:
    """The whole of docs/cli.md."""
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    return "\n\n".join([FOREWORD + codes, *_sections()]) + "\n"


def root_context() -> click.Context:
    """The context in which commands explain themselves, 80 columns wide."""
    return click.Context(cli, info_name=PROGRAM, terminal_width=80, **cli.context_settings)


def _sections() -> Iterator[str]:
    root = root_context()
    for section in SECTIONS:
        yield f"## {section}"
        for name in (name for name, entry in COMMANDS.items() if entry.section == section):
            found = cli.get_command(root, name)
            assert found is not None
            yield from _command(found, root, name)


def _command(found: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = click.Context(found, info_name=name, parent=parent)
    yield f"### {context.command_path}\n\n```\n{found.get_help(context)}\n```"
    if isinstance(found, click.Group):
        for child in found.list_commands(context):
            grandchild = found.get_command(context, child)
            assert grandchild is not None
            yield from _command(grandchild, context, child)


if __name__ == "__main__":
    sys.stdout.write(reference())
