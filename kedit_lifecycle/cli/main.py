"""`kedit`: the program. Commands are imported when they are called; errors become one line and a code."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from kedit_lifecycle.cli.catalogue import COMMANDS, PROGRAM, SECTIONS
from kedit_lifecycle.cli.output import narrate
from kedit_lifecycle.cli.session import DEFAULT_STORE, HeldByEngineError, Session, shared_options, take_shared
from kedit_lifecycle.errors import KeditError

SUMMARY = """Version control for what a language model believes.

Edit facts in a language model, measure what each edit did, and take any of them back, bit for bit.
A REF is HEAD, HEAD~N, a branch, a tag, a version number or the start of an id (`kedit help refs`).
"""


class LazyGroup(click.Group):
    """A group that knows its commands from the catalogue and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, as in the catalogue."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"kedit_lifecycle.cli.{entry.module}")
        found = getattr(module, f"{cmd_name}_command")
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, without importing any."""
        for section in SECTIONS:
            with formatter.section(section):
                formatter.write_dl(
                    [(name, entry.summary) for name, entry in COMMANDS.items() if entry.section == section]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Put the options before the command into the session."""
        take_shared(ctx)
        return super().invoke(ctx)


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"{PROGRAM} {version('kedit-lifecycle')}")
        except PackageNotFoundError:
            click.echo(f"{PROGRAM} (not installed)")
        ctx.exit()


cli = LazyGroup(
    PROGRAM,
    help=SUMMARY,
    callback=lambda: None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    params=[
        *shared_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_print_version,
            help="Print the version and stop.",
        ),
    ],
)


_CANNOT_TAKE_MORE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Of a stream (the store's files have names, and errors of their own)."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    _no_stream_closed()
    _same_bytes_everywhere()
    given = list(sys.argv[1:] if arguments is None else arguments)
    session = Session(store=Path(os.environ.get("KEDIT_STORE") or DEFAULT_STORE), arguments=given)
    sys.exit(carry_out(given, session, []))


def carry_out(arguments: list[str], session: Session, seen: list[click.Context]) -> int:
    """Run a command line in this process, or in the engine that holds the store; its exit code.

    Errors are said on stderr.
    """
    try:
        return _carried_out(arguments, session, seen)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except BrokenPipeError:
        return _reader_gone()
    except (KeyboardInterrupt, click.Abort):
        return _interrupted(seen[0].obj if seen else session)
    except KeditError as error:
        return _explain(str(error), error.hint, error.exit_code)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        return _explain(error.format_message(), f"{path} --help", 2)
    except click.ClickException as error:
        return _explain(error.format_message(), "", 2)
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _CANNOT_TAKE_MORE:
            _write_no_more()
            return _explain(f"the output cannot be written: {error.strerror}", "another place for it", 2)
        import traceback

        traceback.print_exc()
        return _explain("an error in kedit itself; the lines above say where", "report it with them", 70)


def _carried_out(arguments: list[str], session: Session, seen: list[click.Context]) -> int:
    try:
        with cli.make_context(PROGRAM, arguments, obj=session) as ctx:
            seen.append(ctx)
            cli.invoke(ctx)
            sys.stdout.flush()
        return 0
    except HeldByEngineError:
        from kedit_lifecycle.cli.relay import relay

        return relay(arguments, seen[0].obj if seen else session)


def _explain(problem: str, hint: str, code: int) -> int:
    """What is wrong, and the next thing to try."""
    narrate(f"{PROGRAM}: {problem}")
    if hint:
        narrate(f"  try: {hint}")
    return code


def _interrupted(session: Session) -> int:
    """Say what is committed and how to go on."""
    from kedit_lifecycle.cli.interruption import what_stands

    narrate("")
    return _explain(f"interrupted. {what_stands(session.store)}", session.resume, 130)


def _reader_gone() -> int:
    """The program that read our output has ended: say nothing more, here or at exit."""
    _write_no_more()
    return 141


def _write_no_more() -> None:
    """What is still to be written to stdout, by us or at exit, goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _no_stream_closed() -> None:
    """Put nothing's device where a standard stream is closed: else the ledger's file would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            found = os.open(os.devnull, os.O_RDWR)
            if found != number:
                os.dup2(found, number)
                os.close(found)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def _same_bytes_everywhere() -> None:
    """UTF-8 and the same line ends on any terminal and in any pipe."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


if __name__ == "__main__":
    main()
