"""What one can ask an engine, as data: both clients send these and read their answers alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from kedit_lifecycle.engine import messages as m
from kedit_lifecycle.errors import (
    EngineAccessError,
    EngineGoneError,
    KeditError,
    ModelError,
    NoSuchRefError,
    RefusedError,
    StoreError,
    StoreLockedError,
    UsageError,
)

T = TypeVar("T")

START_AGAIN = "kedit engine start"
_CLASSES: Mapping[int, type[KeditError]] = {
    1: RefusedError,
    2: UsageError,
    3: StoreError,
    4: StoreLockedError,
    5: ModelError,
    6: EngineGoneError,
}


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and the type of its answer. `patience`: seconds that the answer may take."""

    answer: Any
    path: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    method: str = "GET"
    body: bytes | None = None
    patience: float = 30.0

    def query(self) -> dict[str, str]:
        """The parameters as text, without those that were left out."""
        return {name: str(value) for name, value in self.parameters.items() if value is not None}

    def read(self, content: bytes, status: int) -> T:
        """The answer.

        Raises:
            KeditError: what the engine says is wrong.
        """
        if status >= 400:
            raise _error(content, status)
        try:
            found: T = _adapter(self.answer).validate_json(content)
        except ValidationError as error:
            raise EngineGoneError(
                f"what answers is not an engine of this release: {error.error_count()} fields are not as "
                "expected",
                hint=START_AGAIN,
            ) from error
        return found


@lru_cache(maxsize=64)
def _adapter(answer: Any) -> TypeAdapter[Any]:
    return TypeAdapter(answer)


def _error(content: bytes, status: int) -> KeditError:
    try:
        said = m.JobError.model_validate_json(content)
    except ValidationError:
        said = m.JobError(message=f"the engine answered with HTTP {status}", exit_code=70)
    if status == 401:
        return EngineAccessError(said.message, hint=said.hint)
    if status == 404:
        return NoSuchRefError(said.message, hint=said.hint)
    return error_of(said)


def error_of(said: m.JobError) -> KeditError:
    """What an engine says went wrong, as the error it would have been in this process."""
    error = _CLASSES.get(said.exit_code, KeditError)(said.message, hint=said.hint)
    error.exit_code = said.exit_code
    return error


def info() -> Call[m.EngineInfo]:
    """Who is there."""
    return Call(m.EngineInfo, "/engine", patience=10.0)


def stop() -> Call[m.EngineInfo]:
    """Ask it to stop: the running job is cancelled at a safe point."""
    return Call(m.EngineInfo, "/stop", method="POST")


def submit(kind: str, /, author: str = "", command: str = "", **arguments: Any) -> Call[m.Job]:
    """Put a job into the queue."""
    order = m.JobOrder(kind=kind, arguments=arguments, author=author, command=command)
    return Call(m.Job, "/jobs", method="POST", body=order.model_dump_json().encode(), patience=120.0)


def jobs(state: str | None = None, limit: int = 100) -> Call[list[m.Job]]:
    """Jobs, newest first, without their results."""
    return Call(list[m.Job], "/jobs", {"state": state, "limit": limit})


def job(identity: int, wait: float | None = None) -> Call[m.Job]:
    """One job with its result; with `wait`, once it has ended or after so many seconds."""
    return Call(m.Job, f"/jobs/{identity}", {"wait": wait}, patience=60.0 + (wait or 0.0))


def cancel(identity: int) -> Call[m.Job]:
    """Cancel a job: at once while it waits, at a safe point when it runs."""
    return Call(m.Job, f"/jobs/{identity}/cancel", method="POST")


def overview() -> Call[m.Overview]:
    """One look at the store."""
    return Call(m.Overview, "/overview")


def history(offset: int = 0, limit: int = 100, filter: str = "") -> Call[m.HistoryPage]:
    """Rows of the history, newest first."""
    return Call(m.HistoryPage, "/history", {"offset": offset, "limit": limit, "filter": filter or None})


def version(ref: str, facts: int | None = None) -> Call[m.VersionView]:
    """Everything about a version."""
    return Call(m.VersionView, f"/versions/{quote(ref, safe='')}", {"facts": facts})


def attempt(event: int, facts: int | None = None) -> Call[m.VersionView]:
    """Everything about what the gate took back."""
    return Call(m.VersionView, f"/attempts/{event}", {"facts": facts})


def compare(a: str, b: str) -> Call[m.Comparison]:
    """What lies between two versions."""
    return Call(m.Comparison, "/compare", {"a": a, "b": b})


def audit(before: int | None = None, limit: int = 100, kind: str | None = None) -> Call[m.AuditPage]:
    """Events of the audit chain, newest first."""
    return Call(m.AuditPage, "/audit", {"before": before, "limit": limit, "kind": kind})


def health(ref: str = "HEAD", points: int | None = None) -> Call[m.HealthView]:
    """The series of a line."""
    return Call(m.HealthView, "/health", {"ref": ref, "points": points})


def retention(ref: str = "HEAD", points: int | None = None) -> Call[m.RetentionView]:
    """Which facts still held when measured again."""
    return Call(m.RetentionView, "/retention", {"ref": ref, "points": points})


def memory(
    ref: str = "HEAD", filter: str = "", offset: int | None = None, limit: int | None = None
) -> Call[m.MemoryView]:
    """The memory of a version."""
    given = {"ref": ref, "filter": filter or None, "offset": offset, "limit": limit}
    return Call(m.MemoryView, "/memory", given)


def suggest(
    subject: str = "", prompt: str = "", relation: str | None = None, limit: int | None = None
) -> Call[m.Suggestion]:
    """What is known that helps to write a request."""
    given = {"subject": subject, "prompt": prompt, "relation": relation, "limit": limit}
    return Call(m.Suggestion, "/suggest", given)


def conflicts(**fact: str | None) -> Call[list[m.ConflictView]]:
    """What a request would meet: subject, prompt, target, target_true, relation, ref."""
    return Call(list[m.ConflictView], "/conflicts", fact)
