"""How a client reaches an engine: over its Unix socket, or over TCP with a token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from kedit_lifecycle.engine.calls import START_AGAIN
from kedit_lifecycle.engine.place import socket_of
from kedit_lifecycle.errors import EngineAccessError, EngineGoneError, UsageError

CONNECT_SECONDS = 5.0
HEARTBEAT_SECONDS = 15.0  # the engine says at least so often that it is there
QUIET_SECONDS = 3 * HEARTBEAT_SECONDS  # after so long without a word the stream is opened anew
_ON_SOCKET = "http://engine"


@dataclass(frozen=True)
class Address:
    """Where an engine is: `socket` and a base URL that only names it, or a URL."""

    base: str
    socket: str | None = None
    token: str | None = None

    @classmethod
    def of(cls, where: Path | str, token: str | None = None) -> Address:
        """Of a store's folder, or of a URL.

        Raises:
            UsageError: a URL of another kind than http or https.
        """
        if isinstance(where, Path) or "://" not in where:
            return cls(_ON_SOCKET, str(socket_of(Path(where))), token)
        if not where.startswith(("http://", "https://")):
            raise UsageError(f"no engine can be at {where!r}", hint="http://HOST:PORT, or a store's folder")
        return cls(where.rstrip("/"), None, token)

    @property
    def headers(self) -> dict[str, str]:
        """The token, where there is one."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def __str__(self) -> str:
        return self.socket or self.base

    def client(self) -> httpx.Client:
        """A client for several threads."""
        transport = httpx.HTTPTransport(uds=self.socket) if self.socket else None
        return httpx.Client(
            base_url=self.base,
            headers=self.headers,
            transport=transport,
            timeout=_timeout(30.0),
            trust_env=False,
        )

    def async_client(self) -> httpx.AsyncClient:
        """A client for one event loop."""
        transport = httpx.AsyncHTTPTransport(uds=self.socket) if self.socket else None
        return httpx.AsyncClient(
            base_url=self.base,
            headers=self.headers,
            transport=transport,
            timeout=_timeout(30.0),
            trust_env=False,
        )


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=CONNECT_SECONDS)


def patience(seconds: float) -> httpx.Timeout:
    """How long to wait for an answer; connecting takes no time or fails."""
    return _timeout(seconds)


@contextmanager
def gone_named(address: Address) -> Iterator[None]:
    """Errors of the transport as what they mean.

    Raises:
        EngineGoneError: nobody answers.
        EngineAccessError: the socket is not ours.
    """
    try:
        yield
    except httpx.TimeoutException as error:
        raise EngineGoneError(
            f"the engine at {address} does not answer in time", hint="kedit engine status; kedit engine logs"
        ) from error
    except httpx.TransportError as error:
        if "Permission denied" in str(error):
            raise EngineAccessError(f"the engine at {address} is another user's") from error
        raise EngineGoneError(f"no engine answers at {address}", hint=START_AGAIN) from error
