"""What the benchmarks are told: where their data are, and other settings than the defaults."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from kedit_lifecycle.cli.options import editor_config
from kedit_lifecycle.errors import UsageError


def shared_file(name: str) -> Path:
    """`name` in the folder of samples: KEDIT_BENCH_DATA, else ../shared/data beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("KEDIT_BENCH_DATA", beside)) / name


def setting(text: str) -> tuple[str, Any]:
    """FIELD=VALUE of `--set`, as `kedit edit --set` reads it."""
    try:
        ((name, value),) = editor_config([text], None).items()
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name, value
