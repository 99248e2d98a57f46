"""`tui`: the terminal UI."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from kedit_lifecycle.cli.session import Session, command, pass_session
from kedit_lifecycle.errors import NoStoreError, UsageError

TOKEN = "KEDIT_TOKEN"


@command("tui")
@click.option("--connect", metavar="URL", help="An engine on TCP, as `kedit engine start --listen` says.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help=f"What holds the engine's token (or {TOKEN}).",
)
@click.option("--screen", default="ledger", show_default=True, help="The screen to begin with.")
@click.option(
    "--theme", envvar="KEDIT_THEME", default="kedit-dark", show_default=True, metavar="NAME",
    help="kedit-dark, kedit-light, ansi or high-contrast.",
)  # fmt: skip
@click.option("--serve", is_flag=True, help="In a browser on this machine, read-only unless --allow-writes.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="For --serve.")
@click.option("--allow-writes", is_flag=True, help="With --serve: edits can be made from the browser.")
@pass_session
def tui_command(
    session: Session,
    connect: str | None,
    token_file: Path | None,
    screen: str,
    theme: str,
    serve: bool,
    port: int,
    allow_writes: bool,
) -> None:
    """Show the history, make edits, watch them being checked, and take them back, in the terminal.

    It talks to the store's engine, and starts one if none runs; leaving it stops neither the engine nor its
    jobs. With --readonly, whatever writes is turned off.
    """
    if serve:
        given = [
            ("--connect", connect),
            ("--token-file", token_file),
            ("--screen", screen),
            ("--theme", theme),
        ]
        _serve(session, given, port, readonly=session.readonly or not allow_writes)
        return
    _must_be_terminal()
    from kedit_lifecycle.tui.app import KeditApp
    from kedit_lifecycle.tui.keymap import Keymap, keys_file

    app = KeditApp(
        connect or _store(session),
        token=_token(token_file),
        readonly=session.readonly,
        first=screen,
        keymap=Keymap.load(keys_file()),
        theme=theme,
    )
    app.run()


def _serve(session: Session, given: Sequence[tuple[str, object]], port: int, *, readonly: bool) -> None:
    """Serve this command, drawn for each visitor."""
    from kedit_lifecycle.tui.serve import serve

    words = [str(part) for option, value in given if value is not None for part in (option, value)]
    store = _store(session) if "--connect" not in words else session.store
    words += ["--store", str(store.resolve())]
    serve(["tui", *words, *(["--readonly"] if readonly else [])], port)


def _must_be_terminal() -> None:
    """Refuse to draw into a file or a pipe; a driver of Textual's that is named may do as it likes.

    Raises:
        UsageError: stdin, stdout or stderr (which Textual draws on) is no terminal.
    """
    drawn = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    if not drawn and not os.environ.get("TEXTUAL_DRIVER"):
        raise UsageError("the terminal UI needs a terminal", hint="kedit log, kedit show; or kedit help")


def _store(session: Session) -> Path:
    """The store's folder.

    Raises:
        NoStoreError: there is no store.
    """
    if not (session.store / "ledger.db").is_file():
        raise NoStoreError(f"there is no store at {session.store}", hint="kedit init, or --store PATH")
    return session.store


def _token(file: Path | None) -> str | None:
    """The token of an engine on TCP.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    if file is None:
        return os.environ.get(TOKEN)
    try:
        token = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token in {file}: {error}") from error
    if not token:
        raise UsageError(f"{file} holds no token", hint="kedit engine status")
    return token
