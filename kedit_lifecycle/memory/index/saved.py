"""The index in a folder: a cache, written beside and renamed, whole or not there.

`index.json` names the other files with their blake3; it is replaced last, so that it never names a file
that is not whole. The large index is only written when it has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from blake3 import blake3

from kedit_lifecycle.blobs.folder import flush_folder, unwritable
from kedit_lifecycle.blobs.whole_file import replace_file
from kedit_lifecycle.memory.index.memory_index import ROWS, MemoryIndex, Rows
from kedit_lifecycle.memory.index.tiers import Tiers, VectorIndex
from kedit_lifecycle.memory.vectors_of_texts import TextEncoder

FORMAT = "kedit/memory-index@1"
HEADER = "index.json"
_PARTS = ("large", "side", "rows")


class IndexUnusableError(Exception):
    """The files are no index for this memory; the message says why. Never leaves the package."""


def ids_digest(rows: Rows) -> str:
    """sha256 (hex) over the keys and marks, in slot order."""
    both = np.stack([rows["key"].astype("<u8"), rows["mark"]], axis=1)
    return hashlib.sha256(np.ascontiguousarray(both, dtype="<u8").tobytes()).hexdigest()


def save_index(index: MemoryIndex, folder: Path) -> None:
    """Write the index as it is now; a large one that is being built is left for the next time.

    Raises:
        StoreUnwritableError: a full disk or a read-only folder; what was saved before stays.
    """
    tiers, rows = index.vectors.tiers, index.rows.copy()
    side = np.array(faiss.rev_swig_ptr(tiers.side.get_xb(), tiers.side.ntotal * tiers.side.d))
    rows = rows[: tiers.base + len(side) // index.vectors.dimension]
    with unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        large = None if tiers.large is None else _large_file(folder, index, tiers.large)
        files = {
            "large": large,
            "side": _write(folder, "side", lambda path: _write_bytes(path, side.astype("<f4").tobytes())),
            "rows": _write(folder, "rows", lambda path: _write_bytes(path, rows.tobytes())),
        }
        header = {
            "format": FORMAT,
            "encoder": index.encoder.digest,
            "dimension": index.vectors.dimension,
            "count": len(rows),
            "ids": ids_digest(rows),
            "base": tiers.base,
            "clustered": tiers.clustered,
            "files": files,
        }
        flush_folder(folder)
        replace_file(folder / HEADER, json.dumps(header, indent=1).encode() + b"\n")
        flush_folder(folder)
        _sweep(folder, {HEADER, *(entry["name"] for entry in files.values() if entry)})


def read_index(folder: Path, encoder: TextEncoder, vectors: VectorIndex) -> MemoryIndex:
    """Read what was saved into `vectors`, which is empty.

    Raises:
        IndexUnusableError: no index, a damaged one, or one of another encoder or dimension.
    """
    header = _header(folder)
    if header is None:
        raise IndexUnusableError(
            "there is none" if not (folder / HEADER).exists() else "its header is damaged"
        )
    if header.get("format") != FORMAT:
        raise IndexUnusableError(f"it is of another format, {header.get('format')}")
    if header.get("dimension") != encoder.dimension:
        raise IndexUnusableError(
            f"its vectors have {header.get('dimension')} numbers, not {encoder.dimension}"
        )
    if header.get("encoder") != encoder.digest:
        raise IndexUnusableError("its vectors are of another encoder")
    try:
        return _read_parts(folder, header, encoder, vectors)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise IndexUnusableError(f"its files are damaged: {error}") from error


def _read_parts(
    folder: Path, header: dict[str, Any], encoder: TextEncoder, vectors: VectorIndex
) -> MemoryIndex:
    paths = {part: _checked(folder, header["files"][part]) for part in _PARTS}
    if paths["side"] is None or paths["rows"] is None:
        raise ValueError("a part is missing")
    rows = np.frombuffer(paths["rows"].read_bytes(), dtype=ROWS)
    side = faiss.IndexFlatIP(encoder.dimension)
    side.add(np.frombuffer(paths["side"].read_bytes(), dtype="<f4").reshape(-1, encoder.dimension))
    large = None if paths["large"] is None else faiss.read_index(str(paths["large"]))
    base = 0 if large is None else int(large.ntotal)
    if base + side.ntotal != len(rows) or ids_digest(rows) != header["ids"] or base != header["base"]:
        raise ValueError("its parts do not belong together")
    vectors.restore(Tiers(large, int(header["clustered"]), base, side))
    index = MemoryIndex(encoder, vectors)
    index.take_rows(rows)
    index.large_file = None if large is None else (large, header["files"]["large"])
    return index


def _header(folder: Path) -> dict[str, Any] | None:
    try:
        header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return header if isinstance(header, dict) else None


def _large_file(folder: Path, index: MemoryIndex, large: Any) -> dict[str, Any]:
    """The saved file where it is this very index's, else a new one."""
    if index.large_file is not None:
        saved, entry = index.large_file
        if saved is large and (folder / entry["name"]).is_file():
            return entry
    written = _write(folder, "large", lambda path: faiss.write_index(large, str(path)))
    index.large_file = (large, written)
    return written


def _write(folder: Path, part: str, write: Callable[[Path], None]) -> dict[str, Any]:
    """Write a part under a name of its own, flushed to the disk."""
    path = folder / f"{part}-{uuid.uuid4().hex[:12]}.bin"
    try:
        write(path)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        return {"name": path.name, "blake3": _digest(path)}
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, RuntimeError):  # FAISS's own word for a disk that refuses
            raise OSError(str(error)) from error
        raise


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _checked(folder: Path, entry: dict[str, Any] | None) -> Path | None:
    if entry is None:
        return None
    path = folder / Path(entry["name"]).name
    if _digest(path) != entry["blake3"]:
        raise ValueError(f"{path.name} is not what was written")
    return path


def _digest(path: Path) -> str:
    return blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()


def _sweep(folder: Path, kept: set[str]) -> None:
    for part in _PARTS:
        for path in folder.glob(f"{part}-*.bin"):
            if path.name not in kept:
                with contextlib.suppress(OSError):
                    path.unlink()
