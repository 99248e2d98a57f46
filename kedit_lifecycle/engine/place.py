"""Where a store's engine is found: its socket, and the note about it in the store. No torch."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from blake3 import blake3
from platformdirs import user_runtime_dir

from kedit_lifecycle.engine.held import NOTE_FILE
from kedit_lifecycle.errors import EngineAccessError

LOG_FILE = "engine.log"
LONGEST_SOCKET = 100  # bytes; the kernel takes 108 on Linux and 104 on macOS, the final zero included
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class EngineNote:
    """Who holds a store: what `store/engine.json` says; `url` and `token_file` where it listens on TCP."""

    pid: int
    socket: str
    started: str
    url: str | None = None
    token_file: str | None = None


def store_key(store: Path) -> str:
    """The name of a store's engine: 16 hex digits of the hash of its real path."""
    return blake3(os.fsencode(os.path.realpath(store))).hexdigest()[:_DIGITS]


def runtime_folder() -> Path:
    """The user's folder for sockets: under XDG_RUNTIME_DIR, or a short one where that is none or too long."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    usual = Path(user_runtime_dir("kedit")) if given or sys.platform != "linux" else None
    if usual and len(os.fsencode(usual)) + 1 + _DIGITS + len(".sock") <= LONGEST_SOCKET:
        return usual
    own = os.getuid() if hasattr(os, "getuid") else "user"
    return Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir()) / f"kedit-{own}"


def socket_path(store: Path) -> Path:
    """Where the engine of a store listens."""
    return runtime_folder() / f"{store_key(store)}.sock"


def token_path(store: Path) -> Path:
    """Where the token of a store's engine is kept while it listens on TCP."""
    return runtime_folder() / f"{store_key(store)}.token"


def log_path(store: Path) -> Path:
    """What the engine writes down: in the store, or beside the socket where the store is read-only."""
    return store / LOG_FILE if os.access(store, os.W_OK) else runtime_folder() / f"{store_key(store)}.log"


def private_folder(folder: Path) -> Path:
    """Make a folder that only we may enter.

    Raises:
        EngineAccessError: it is another user's, a link, or no folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    if not stat.S_ISDIR(found.st_mode) or not ours:
        raise EngineAccessError(
            f"{folder} is not a folder of ours",
            hint="set XDG_RUNTIME_DIR to a folder that only you may enter",
        )
    folder.chmod(0o700)
    return folder


def read_note(store: Path) -> EngineNote | None:
    """The note about a store's engine; None if there is none, or no sense in it."""
    try:
        found = json.loads((store / NOTE_FILE).read_text("utf-8"))
        return EngineNote(
            int(found["pid"]),
            str(found["socket"]),
            str(found["started"]),
            found.get("url"),
            found.get("token_file"),
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


def write_note(store: Path, note: EngineNote) -> None:
    """Put the note into the store, whole or not at all, for our eyes only."""
    write_private(store / NOTE_FILE, json.dumps(asdict(note), indent=2) + "\n")


def remove_note(store: Path, pid: int) -> None:
    """Take the note away, if it is still that process's."""
    note = read_note(store)
    if note is not None and note.pid == pid:
        with suppress(OSError):
            (store / NOTE_FILE).unlink()


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600, whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def socket_of(store: Path) -> Path:
    """Where to knock: where the note says, else where an engine of this user would listen."""
    note = read_note(store)
    return Path(note.socket) if note else socket_path(store)
