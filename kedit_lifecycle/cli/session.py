"""What every command shares: the store, the flags, who is at work; and the options that set them."""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedit_lifecycle.cli.catalogue import COMMANDS, PROGRAM
from kedit_lifecycle.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from kedit_lifecycle.ledger.reader import LedgerReader
    from kedit_lifecycle.ledger.store import Store
    from kedit_lifecycle.workbench import Workbench

DEFAULT_STORE = "store"


@dataclass(frozen=True, slots=True)
class EngineHost:
    """The engine that a command line is carried out in: its workbench, and who gave the command."""

    workbench: Workbench
    author: str
    device: str


class HeldByEngineError(Exception):
    """A command needs the store or its model, and an engine has them: it is to be carried out there."""


@dataclass(slots=True)
class Session:
    """One run of the command line. `resume` is what to type after an interruption.

    `host` is the engine that carries it out, None in a process of its own.
    """

    store: Path = Path(DEFAULT_STORE)
    json: bool = False
    readonly: bool = False
    resume: str = ""
    arguments: list[str] = field(default_factory=list)
    host: EngineHost | None = None

    def reader(self) -> LedgerReader:
        """The ledger, read with the standard library alone.

        Raises:
            NoStoreError: there is no store.
        """
        from kedit_lifecycle.ledger.reader import LedgerReader

        return LedgerReader(self.store)

    def open_store(self) -> AbstractContextManager[Store]:
        """The store, without a model.

        Raises:
            HeldByEngineError: an engine holds it.
        """
        if self.host is not None:
            return nullcontext(self.host.workbench.store)
        self._leave_to_engine()
        from kedit_lifecycle.ledger.store import Store

        return Store.open(self.store, readonly=self.readonly)

    def workbench(self, **options: Any) -> AbstractContextManager[Workbench]:
        """The store with its model; transformers' own progress bars and notices are kept away.

        Raises:
            HeldByEngineError: an engine holds it.
            UsageError: this is an engine, and on another device than was asked for.
        """
        if self.host is not None:
            device = options.get("device", "cpu")
            if device not in ("cpu", self.host.device):
                raise UsageError(
                    f"the engine runs on {self.host.device}, not on {device}", hint="kedit engine stop"
                )
            return nullcontext(self.host.workbench)
        self._leave_to_engine()
        quiet_libraries()
        from kedit_lifecycle.workbench import Workbench

        return Workbench.open(self.store, readonly=self.readonly, command=self.command, **options)

    def _leave_to_engine(self) -> None:
        from kedit_lifecycle.engine.held import engine_holds

        if not self.readonly and engine_holds(self.store):
            raise HeldByEngineError

    def must_write(self) -> None:
        """Refuse a command that writes where `--readonly` was given.

        Raises:
            RefusedError: it was given.
        """
        if self.readonly:
            raise RefusedError("this command writes, and --readonly was given", hint="leave out --readonly")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask on a terminal; off a terminal nothing is asked and the command goes on.

        Raises:
            RefusedError: the answer was no.
        """
        if yes or self.host is not None or not _on_terminal():
            return  # an engine is asked by a command that was confirmed where it was typed
        if not click.confirm(question, default=False, err=True):
            raise RefusedError("nothing was changed", hint="answer y, or give --yes")

    @property
    def command(self) -> str:
        """The command line as the audit chain keeps it."""
        text = shlex.join([PROGRAM, *self.arguments])
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    @property
    def author(self) -> str:
        """Who is at work: KEDIT_AUTHOR, else the user's name."""
        return self.host.author if self.host else author()


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def author() -> str:
    """KEDIT_AUTHOR, else the name of the user."""
    named = os.environ.get("KEDIT_AUTHOR", "").encode("utf-8", "replace").decode("utf-8")
    try:
        return named or getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def quiet_libraries() -> None:
    """Keep the model libraries from writing progress and notices of their own to stderr."""
    for name, value in {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
    }.items():
        os.environ.setdefault(name, value)


class StoreCommand(click.Command):
    """A command of this program: it has `--store`, `--json` and `--readonly`, and gets a `Session`."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params.extend(shared_options())

    def invoke(self, ctx: click.Context) -> Any:
        """Run with the shared options taken out of the parameters and put into the session."""
        take_shared(ctx)
        return super().invoke(ctx)


def shared_options() -> list[click.Parameter]:
    """The options that stand on the program and on every command; a command's own wins."""
    return [
        click.Option(
            ["--store"], metavar="PATH", help="The store's folder (or KEDIT_STORE). Default: ./store"
        ),
        click.Option(["--json"], is_flag=True, help="Print JSON."),
        click.Option(["--readonly"], is_flag=True, help="Write nothing to the store."),
    ]


def take_shared(ctx: click.Context) -> None:
    """Move the shared options from the context's parameters to its session."""
    session = ctx.obj if isinstance(ctx.obj, Session) else Session()
    store = ctx.params.pop("store", None)
    ctx.obj = replace(
        session,
        store=Path(store) if store else session.store,
        json=bool(ctx.params.pop("json", False)) or session.json,
        readonly=bool(ctx.params.pop("readonly", False)) or session.readonly,
    )
    ctx.find_root().obj = ctx.obj


def command(name: str, **settings: Any) -> Callable[[Callable[..., Any]], StoreCommand]:
    """Decorator: a command of this program; its line in the help comes from the catalogue."""
    make = partial(click.command, cls=StoreCommand)
    entry = COMMANDS.get(name)
    if entry:
        settings.setdefault("short_help", entry.summary)
    return make(name, **settings)


pass_session = click.pass_obj
