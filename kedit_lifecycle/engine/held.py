"""Whether an engine holds a store: asked by every command that writes, so it must cost nothing."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path

NOTE_FILE = "engine.json"


def engine_holds(store: Path) -> bool:
    """Whether the store's note names an engine that accepts connections."""
    try:
        path = str(json.loads((store / NOTE_FILE).read_text(encoding="utf-8"))["socket"])
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.settimeout(5)
            probe.connect(path)
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return True
