"""An engine on TCP: whoever bears the token is let in, and nobody else."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from engine_process import CopyStore, done, engine_on, kedit, spawn

from kedit_lifecycle.engine.client import AsyncEngineClient, EngineClient
from kedit_lifecycle.engine.place import read_note
from kedit_lifecycle.engine.queries import ROUTES
from kedit_lifecycle.errors import EngineAccessError, EngineGoneError, RefusedError, UsageError

pytestmark = pytest.mark.engine

WRONG = ("", "x", "Bearer", "ä" * 43, "0" * 43, "\x00", "a b c")
PATHS = ("/engine", "/jobs", "/jobs/1", "/events", "/nothing", *ROUTES)
POSTS = ("/jobs", "/stop", "/jobs/1/cancel")


@dataclass(frozen=True)
class Served:
    """Where an engine listens, and what it lets in."""

    store: Path
    url: str
    token: str
    token_file: Path


@pytest.fixture(scope="module")
def served(copy_store: CopyStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An engine that listens on TCP too."""
    with engine_on(copy_store(tmp_path_factory.mktemp("tcp") / "store"), "--listen", "127.0.0.1:0") as engine:
        note = read_note(engine.store)
        assert note is not None
        assert note.url is not None
        assert note.token_file is not None
        path = Path(note.token_file)
        yield Served(engine.store, note.url, path.read_text("utf-8").strip(), path)


def test_the_token_lets_in_and_is_ours_alone(served: Served) -> None:
    assert len(served.token) >= 32
    assert stat.S_IMODE(served.token_file.stat().st_mode) == 0o600
    assert served.token not in (served.store / "engine.json").read_text("utf-8")
    with EngineClient.connect(served.url, served.token) as client:
        assert client.overview().head == 2
        assert done(client, "ask", prompt="City A0 is in", tokens=1, top=1)[0]["version"] == 2


@pytest.mark.parametrize("token", [None, *WRONG])
def test_another_or_none_does_not(served: Served, token: str | None) -> None:
    if token is not None and (not token.isascii() or "\x00" in token):
        raw = f"GET /overview HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        host, _, port = served.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as plain:
            plain.sendall(raw)
            assert plain.recv(4096).split(b" ")[1] in (b"400", b"401")
        return
    with pytest.raises(EngineAccessError, match="token") as refused:
        EngineClient.connect(served.url, token)
    assert refused.value.exit_code not in (0, 70)


def test_no_path_and_no_order_is_answered_without_it(served: Served) -> None:
    order: dict[str, Any] = {"kind": "undo", "arguments": {}}
    with httpx.Client(base_url=served.url, trust_env=False) as bare:
        found = [bare.get(path.replace("{", "").replace("}", "")) for path in PATHS]
        found += [bare.post(path, json=order) for path in POSTS]
    assert {one.status_code for one in found} == {401}
    assert not any("City" in one.text or str(served.store) in one.text for one in found)
    with EngineClient.connect(served.store) as client:
        assert client.overview().head == 2
        assert not client.info().stopping


async def test_a_stream_of_events_asks_for_it_too(served: Served) -> None:
    from kedit_lifecycle.engine.transport import Address

    client = AsyncEngineClient(Address.of(served.url, "wrong"))
    with pytest.raises(EngineAccessError, match="token"):
        await anext(client.events(0))
    await client.close()


def test_a_command_line_is_for_this_machine_only(served: Served) -> None:
    with EngineClient.connect(served.url, served.token) as client:
        with pytest.raises((UsageError, RefusedError), match="this machine"):
            client.submit("command", arguments=["undo"], folder="/")
        assert client.overview().head == 2


def test_the_command_line_names_what_is_missing(served: Served, tmp_path: Path) -> None:
    ran = kedit(
        *("tui", "--connect", served.url, "--token-file", tmp_path / "none"), TEXTUAL_DRIVER="as a terminal"
    )
    assert ran.code == 2
    assert str(tmp_path / "none") in ran.err


@pytest.mark.parametrize(("listen", "begins"), [("0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:")])
def test_a_port_alone_is_this_machines_and_nobody_elses(store: Path, listen: str, begins: str) -> None:
    with engine_on(store, "--listen", listen) as engine:
        note = read_note(engine.store)
        assert note is not None
        assert (note.url or "").startswith(begins)
        token = Path(note.token_file or "").read_text("utf-8").strip()
        with EngineClient.connect(str(note.url), token) as client:
            assert client.overview().head == 2


@pytest.mark.parametrize("listen", ["port", "127.0.0.1:port", "127.0.0.1:99999", "no.such.host.invalid:8700"])
def test_where_it_cannot_listen_it_says_so_and_leaves_the_store_alone(
    copy_store: CopyStore, tmp_path: Path, listen: str
) -> None:
    store = copy_store(tmp_path / "store")
    engine = spawn(store, "--listen", listen)
    assert engine.process.wait(120) not in (0, 70)
    said = (tmp_path / "store.engine-out").read_text("utf-8")
    assert listen.rpartition(":")[0] in said or listen in said
    assert "Traceback" not in said
    assert read_note(store) is None
    with pytest.raises(EngineGoneError):
        EngineClient.connect(store)
