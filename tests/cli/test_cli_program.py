"""The program as a whole: help, options, errors and their exit codes, interruptions, pipes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click
import pytest

from kedit_lifecycle import errors
from kedit_lifecycle.cli import main as program
from kedit_lifecycle.cli.catalogue import COMMANDS, SECTIONS
from kedit_lifecycle.cli.main import cli
from kedit_lifecycle.cli.reference import reference, root_context
from kedit_lifecycle.errors import EXIT_CODES, KeditError, ModelError, RefusedError, StoreError

if TYPE_CHECKING:
    from cli.conftest import Kedit

ROOT = Path(__file__).parents[2]


def _leaves() -> list[tuple[str, click.Command]]:
    """Every command that can be run, by its whole name."""
    found: list[tuple[str, click.Command]] = []
    root = root_context()
    for name in COMMANDS:
        one = cli.get_command(root, name)
        assert one is not None, name
        if isinstance(one, click.Group):
            found += [(f"{name} {child}", command) for child, command in one.commands.items()]
        else:
            found.append((name, one))
    return found


# --- help ---------------------------------------------------------------------------------------


def test_every_command_is_in_the_help(kedit: Kedit) -> None:
    shown = kedit("--help")
    assert shown.code == 0
    for name, entry in COMMANDS.items():
        assert f"  {name} " in shown.out
        assert entry.summary in shown.out
        assert entry.section in SECTIONS


@pytest.mark.parametrize(("name", "command"), _leaves())
def test_every_command_explains_itself_and_its_options(name: str, command: click.Command) -> None:
    assert command.help
    context = click.Context(command, info_name=name, parent=root_context())
    assert all(len(text) <= 80 for text in command.get_help(context).splitlines())
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "temperature":
            assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.parametrize(("name", "command"), _leaves())
def test_every_command_takes_store_json_and_readonly(name: str, command: click.Command) -> None:
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--store", "--json", "--readonly"}.issubset(options)


def test_a_commands_own_line_is_the_one_in_the_catalogue() -> None:
    root = root_context()
    for name, entry in COMMANDS.items():
        command = cli.get_command(root, name)
        assert command is not None
        assert command.short_help == entry.summary


def test_the_reference_is_the_one_in_the_documentation() -> None:
    written = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert written == reference(), "docs/cli.md is stale: make docs"


def test_the_reference_has_every_command_and_exit_code() -> None:
    text = reference()
    for name, _ in _leaves():
        assert f"### kedit {name}\n" in text
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in text


def test_help_on_topics(kedit: Kedit) -> None:
    codes = kedit("help", "exit-codes")
    assert all(meaning in codes.out for meaning in EXIT_CODES.values())
    assert kedit("help", "exit-codes", "--json").json == {
        str(code): text for code, text in EXIT_CODES.items()
    }
    assert "HEAD" in kedit("help", "refs").out
    assert kedit("help", "log").out == kedit("log", "--help").out
    assert kedit("help").out == kedit("--help").out
    assert kedit("help", "nonsense").code == 2


def test_the_version(kedit: Kedit) -> None:
    assert kedit("--version").out.startswith("kedit ")


# --- options ------------------------------------------------------------------------------------


def test_the_store_is_named_before_or_after_the_command_or_by_the_environment(
    kedit: Kedit, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = kedit("log", "--store", store).out
    assert "Peru" in wanted
    assert kedit("--store", store, "log").out == wanted
    assert kedit("--store", "elsewhere", "log", "--store", store).out == wanted
    monkeypatch.setenv("KEDIT_STORE", str(store))
    assert kedit("log").out == wanted
    assert kedit("log", "--store", "elsewhere").code == 2
    monkeypatch.delenv("KEDIT_STORE")
    os.rename(store, "store")
    assert kedit("log").out == wanted


def test_json_before_or_after_the_command(kedit: Kedit, store: Path) -> None:
    assert (
        kedit("--json", "status", "--store", store).json == kedit("status", "--json", "--store", store).json
    )


@pytest.mark.parametrize(
    "command",
    [
        ["undo"],
        ["redo"],
        ["rollback", "1"],
        ["switch", "1"],
        ["tag", "x"],
        ["branch", "x"],
        ["init"],
        ["demo"],
        ["stats", "build"],
        ["edit", "--subject", "a", "--prompt", "{}", "--target", "b"],
    ],
)
def test_nothing_is_written_with_readonly(kedit: Kedit, store: Path, command: list[str]) -> None:
    before = (store / "ledger.db").read_bytes()
    refused = kedit(*command, "--readonly", "--store", store)
    assert refused.code == 1
    assert "--readonly" in refused.err
    assert (store / "ledger.db").read_bytes() == before


# --- errors -------------------------------------------------------------------------------------


def _every_error() -> list[type[KeditError]]:
    return [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, KeditError)]


def _command_that_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `kedit status` raise."""

    def fail(_self: Any) -> None:
        raise error

    monkeypatch.setattr("kedit_lifecycle.cli.session.Session.reader", fail)


@pytest.mark.parametrize("kind", _every_error())
def test_every_error_is_a_line_a_hint_and_its_code(
    kedit: Kedit, monkeypatch: pytest.MonkeyPatch, kind: type[KeditError]
) -> None:
    _command_that_raises(monkeypatch, kind("it is \x1b[31mwrong", hint="kedit log"))
    ran = kedit("status")
    assert ran.code == kind.exit_code
    assert ran.code in EXIT_CODES
    assert ran.out == ""
    assert ran.err == "kedit: it is \\x1b[31mwrong\n  try: kedit log\n"


def test_no_hint_no_line(kedit: Kedit, monkeypatch: pytest.MonkeyPatch) -> None:
    _command_that_raises(monkeypatch, RefusedError("no"))
    assert kedit("status").err == "kedit: no\n"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["log", "--nonsense"], ["rollback"], ["log", "-n", "0"], ["ask"], ["models", "nonsense"]],
)
def test_a_call_that_is_wrong_says_where_its_help_is(kedit: Kedit, arguments: list[str]) -> None:
    ran = kedit(*arguments)
    assert ran.code == 2
    assert ran.err.startswith("kedit: ")
    assert "--help" in ran.err.splitlines()[-1]
    assert ran.out == ""


def test_a_store_that_is_not_there(kedit: Kedit, tmp_path: Path) -> None:
    for command in ("log", "status", "undo", "verify", "tag"):
        ran = kedit(command, "--store", tmp_path / "none")
        assert ran.code == 2
        assert "kedit init" in ran.err


def test_an_error_in_kedit_itself_shows_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _command_that_raises(monkeypatch, ZeroDivisionError("oops"))
    with pytest.raises(SystemExit) as stop:
        program.main(["status"])
    assert stop.value.code == 70
    assert "ZeroDivisionError: oops" in capsys.readouterr().err


def test_an_interruption_says_what_stands_and_how_to_go_on(
    kedit: Kedit, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(session: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kedit_lifecycle.cli.session.Session.workbench", interrupt)
    Path("facts.jsonl").write_text('{"subject": "a", "prompt": "{} is", "target_new": "b"}\n')
    ran = kedit("apply", "facts.jsonl", "--store", store)
    assert ran.code == 130
    assert "version 3" in ran.err
    assert ran.err.endswith(f"  try: kedit apply facts.jsonl --store {store} --resume\n")
    again = kedit("apply", "facts.jsonl", "--store", store, "--resume")
    assert again.err.count("--resume") == 1


def test_an_interruption_without_a_store(kedit: Kedit, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_session: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kedit_lifecycle.cli.session.Session.reader", interrupt)
    ran = kedit("status")
    assert ran.code == 130
    assert "Nothing was written" in ran.err


# --- a terminal and a pipe ----------------------------------------------------------------------


def _outside(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "kedit_lifecycle", *arguments],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def test_the_same_bytes_on_a_terminal_and_in_a_pipe(store: Path) -> None:
    piped = _outside("log", "--store", str(store), LC_ALL="C", PYTHONUTF8="0")
    assert piped.returncode == 0, piped.stderr
    assert "→".encode() in piped.stdout
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "kedit_lifecycle", "log", "--store", str(store)],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "FORCE_COLOR": "1"},
    ) as process:
        assert process.wait() == 0
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    assert shown.replace(b"\r\n", b"\n") == piped.stdout


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_a_reader_that_goes_away_is_no_error(store: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "kedit_lifecycle", "log", "--store", str(store)],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == b""


def test_arguments_that_are_not_text_are_named(store: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kedit_lifecycle", "tag", b"\xff\xfe", "--store", str(store)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2, done.stderr


def test_all_exit_codes_of_errors_are_listed() -> None:
    assert {one.exit_code for one in _every_error()}.issubset(EXIT_CODES)
    assert {StoreError.exit_code, ModelError.exit_code} == {3, 5}
    assert isinstance(program, ModuleType)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_under_the_output_is_said(rich_store: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kedit_lifecycle", "log", "--store", str(rich_store)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("kedit: the output cannot be written: No space left on device\n  try: ")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="closes streams as a POSIX shell does")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_no_error_and_harms_no_store(rich_store: Path, closed: str) -> None:
    def run(command: str, streams: str = "") -> subprocess.CompletedProcess[bytes]:
        words = [sys.executable, "-m", "kedit_lifecycle", *command.split(), "--store", str(rich_store)]
        return subprocess.run(
            ["sh", "-c", f"{shlex.join(words)} {streams}"], capture_output=True, check=False
        )

    for command in ("log", "tag here"):
        assert run(command, closed).returncode == 0
    shown = run("verify --deep")
    assert shown.returncode == 0, shown.stdout
