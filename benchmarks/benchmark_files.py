"""Where the benchmarks look for their data."""

from __future__ import annotations

import os
from pathlib import Path


def shared_file(name: str) -> Path:
    """`name` in the folder of samples: KEDIT_BENCH_DATA, else ../shared/data beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("KEDIT_BENCH_DATA", beside)) / name
