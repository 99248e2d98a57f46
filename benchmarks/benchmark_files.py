"""What the benchmarks are told: where their data are, and other settings than the defaults."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from kedit_lifecycle.cli.options import editor_config
from kedit_lifecycle.errors import UsageError

_NOT_THERE = "is not there (KEDIT_BENCH_DATA names the folder of samples)"


def shared_path(name: str) -> Path:
    """Where `name` of the samples belongs: in KEDIT_BENCH_DATA, else ../shared/data beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("KEDIT_BENCH_DATA", beside)) / name


def shared_file(name: str) -> Path:
    """The same, of a file that has to be there.

    Raises:
        SystemExit: it is not; says where it was looked for.
    """
    path = shared_path(name)
    if not path.exists():
        raise SystemExit(f"{path} {_NOT_THERE}")
    return path


def add_data_file(parser: argparse.ArgumentParser, flag: str, name: str) -> None:
    """An option that takes a file of the user's own, and `name` of the samples without it."""

    def existing(text: str) -> Path:
        if not Path(text).exists():
            raise argparse.ArgumentTypeError(f"{text} {_NOT_THERE}")
        return Path(text)

    parser.add_argument(
        flag, type=existing, default=str(shared_path(name)), metavar="FILE", help=f"else {name}"
    )


def setting(text: str) -> tuple[str, Any]:
    """FIELD=VALUE of `--set`, as `kedit edit --set` reads it."""
    try:
        ((name, value),) = editor_config([text], None).items()
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name, value
