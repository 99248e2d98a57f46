"""Every error kedit raises on purpose: what is wrong, and the next thing to try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

EXIT_CODES: dict[int, str] = {
    0: "ok",
    1: "the operation was refused (a gate, a conflict, an edit that failed)",
    2: "usage: bad arguments or bad input",
    3: "the store is damaged",
    4: "the store is locked by another process, or cannot be written",
    5: "a problem with the model",
    6: "the engine is not running, went away, or did not let us in",
    70: "an error in kedit itself; please report it",
    130: "interrupted; what was committed stays",
    141: "the reader of the output went away",
}


class KeditError(Exception):
    """Root of the tree. `exit_code` is the process's exit status, `hint` the next command to try."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class RefusedError(KeditError):
    """The operation was understood and turned down; nothing changed."""


class EditFailedError(RefusedError):
    """An editor could not produce a usable update (for example a NaN while optimising)."""


class GateError(RefusedError):
    """A policy did not let an edit pass: the weights are as before, the attempt is in the ledger.

    `outcome` is what was measured.
    """

    def __init__(self, message: str, *, hint: str = "", outcome: Any = None) -> None:
        super().__init__(message, hint=hint)
        self.outcome = outcome


class UsageError(KeditError):
    """The call itself is wrong."""

    exit_code = 2


class BadRecordError(UsageError):
    """A record of a file, or a request, that is malformed; the message names line and field."""


class NoSuchRefError(UsageError):
    """A ref names no version of this store."""


class StoreError(KeditError):
    """The store is damaged: a blob, a row or the chain is not what was written."""

    exit_code = 3


class BlobMissingError(StoreError):
    """A blob that the ledger names is not in the store."""


class BlobDamagedError(StoreError):
    """A blob's file is not, byte for byte, the tensor it is named for."""


class NoStoreError(UsageError):
    """There is no store at the path given."""


class StoreVersionError(StoreError):
    """The store was made by a newer release than this one."""


class StoreLockedError(KeditError):
    """Another live process is writing to the store."""

    exit_code = 4


class StoreUnwritableError(KeditError):
    """The store's folder is read-only, or its disk is full; the store is as it was."""

    exit_code = 4


class ModelError(KeditError):
    """The model cannot be found, loaded, or is not the one the store was made for."""

    exit_code = 5


class UnknownArchitectureError(ModelError):
    """No adapter knows this model family."""


class EngineGoneError(KeditError):
    """No engine answers for the store: none was started, it was stopped, or it died."""

    exit_code = 6


class EngineAccessError(KeditError):
    """The engine does not let us in: a token is missing or wrong, or its socket is not ours."""

    exit_code = 6


def first_problem(error: ValidationError, whole: str) -> str:
    """The first thing that pydantic found, as `field: what is wrong`; `whole` names what has no one field."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or whole
    return f"{field}: {first['msg'].removeprefix('Value error, ')}"
