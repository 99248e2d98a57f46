"""`BlobStore`: tensors in a folder, each in a file named by its fingerprint."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kedit_lifecycle.blobs.canonical_file import file_prefix, read_tensor
from kedit_lifecycle.blobs.tensor import CanonicalTensor
from kedit_lifecycle.errors import BlobDamagedError, BlobMissingError, StoreUnwritableError, UsageError

SUFFIX = ".safetensors"
STALE_AFTER = 3600.0  # seconds; no put takes this long
CHUNK = 1 << 24  # bytes per write call

_ID = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """Tensors under `root`, written once: `root/ab/cdef….safetensors` holds the tensor `abcdef…`.

    A file is written under `root/tmp`, flushed to disk, and renamed into place, so that a file in place
    is whole. Every read is checked against the name.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.tmp = self.root / "tmp"

    def path(self, blob: str) -> Path:
        """Where the blob's file is, or would be.

        Raises:
            UsageError: `blob` is not 64 hex digits.
        """
        if not _ID.fullmatch(blob):
            raise UsageError(f"not the id of a blob: {blob!r}")
        return self.root / blob[:2] / (blob[2:] + SUFFIX)

    def put(self, tensor: CanonicalTensor) -> str:
        """Keep a tensor; returns its id, the fingerprint. A damaged file of that id is replaced.

        When this returns, the bytes are on disk.

        Raises:
            StoreUnwritableError: a full disk or a read-only folder; nothing is left behind.
        """
        blob = tensor.fingerprint
        path = self.path(blob)
        sound = self.check(blob) is None
        with unwritable(self.root):
            if not sound:
                self._write(path, tensor)
            flush_folder(path.parent)  # also for a file that another process has only just renamed
        return blob

    def get(self, blob: str) -> CanonicalTensor:
        """The tensor of that id, checked.

        Raises:
            BlobMissingError: there is no such file.
            BlobDamagedError: a byte of the file, anywhere, is not what was written.
        """
        path = self.path(blob)
        try:
            with path.open("rb") as file:
                tensor = read_tensor(file)
        except FileNotFoundError:
            raise BlobMissingError(
                f"blob {blob[:10]} is missing: {path}", hint="kedit verify --deep"
            ) from None
        except (OSError, ValueError) as error:
            raise BlobDamagedError(f"{path}: {error}", hint="kedit verify --deep") from error
        if tensor.fingerprint != blob:
            raise BlobDamagedError(
                f"{path}: its content has another fingerprint, {tensor.fingerprint[:10]}…",
                hint="kedit verify --deep",
            )
        return tensor

    def has(self, blob: str) -> bool:
        """Whether there is a file of that id; its content is not looked at."""
        return self.path(blob).is_file()

    def size(self, blob: str) -> int:
        """Bytes of the blob's file.

        Raises:
            BlobMissingError: there is no such file.
        """
        try:
            return self.path(blob).stat().st_size
        except FileNotFoundError:
            raise BlobMissingError(f"blob {blob[:10]} is missing: {self.path(blob)}") from None

    def check(self, blob: str) -> str | None:
        """What is wrong with the blob's file, read in full; None when nothing is."""
        try:
            self.get(blob)
        except BlobMissingError:
            return "missing"
        except BlobDamagedError as error:
            return str(error)
        return None

    def ids(self) -> Iterator[str]:
        """The ids of all files in place, in order."""
        for path in self._files():
            blob = path.parent.name + path.name.removesuffix(SUFFIX)
            if path.name.endswith(SUFFIX) and _ID.fullmatch(blob):
                yield blob

    def strangers(self) -> Iterator[Path]:
        """Files in the blob folders whose names are no blob's; interrupted writes are not among them."""
        for path in self._files():
            blob = path.parent.name + path.name.removesuffix(SUFFIX)
            if not (path.name.endswith(SUFFIX) and _ID.fullmatch(blob)):
                yield path

    def sweep(self, older_than: float = STALE_AFTER) -> int:
        """Remove what interrupted writes left under `tmp`; returns how many files.

        Args:
            older_than: seconds; a younger file may be a write that is still going on.
        """
        removed = 0
        for path in self.tmp.glob("*") if self.tmp.is_dir() else ():
            with suppress(OSError):
                if time.time() - path.stat().st_mtime >= older_than:
                    path.unlink()
                    removed += 1
        return removed

    def _files(self) -> Iterator[Path]:
        if not self.root.is_dir():
            return
        for folder in sorted(self.root.iterdir()):
            if folder.name == "tmp":
                continue
            yield from sorted(folder.iterdir()) if folder.is_dir() else [folder]

    def _write(self, path: Path, tensor: CanonicalTensor) -> None:
        self.tmp.mkdir(parents=True, exist_ok=True)
        unfinished = self.tmp / f"{path.parent.name}{path.name[:8]}-{uuid.uuid4().hex}"
        try:
            _write_through(unfinished, file_prefix(tensor.dtype, tensor.shape), tensor.data)
            if not path.parent.is_dir():
                path.parent.mkdir(exist_ok=True)
                flush_folder(self.root)
            os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise


def _write_through(path: Path, *parts: bytes) -> None:
    """Write a new file and flush it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(descriptor, view[:CHUNK]) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a rename in it outlives a power cut."""
    if os.name == "nt":
        return  # Windows offers no such call, and its renames are journalled
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into StoreUnwritableError."""
    try:
        yield
    except OSError as error:
        raise StoreUnwritableError(
            f"cannot write to {folder}: {error.strerror or error}",
            hint="free some space or make the folder writable, then try again; nothing was changed",
        ) from error
