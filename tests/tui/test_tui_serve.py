"""The terminal UI in a browser: only for who has the secret, only from its own page, read-only by default."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from click.testing import CliRunner
from tui_store import make_story

from kedit_lifecycle.cli import tui as command
from kedit_lifecycle.cli.main import cli
from kedit_lifecycle.tui.serve import TuiServer

pytestmark = pytest.mark.tui

Browser = TestClient[Request, Application]


async def browser(port: int) -> Browser:
    server = TuiServer(["tui", "--readonly"], port, secret="s3cret")
    client: Browser = TestClient(TestServer(await server._make_app(), port=port))
    await client.start_server()
    return client


async def test_only_with_the_secret(unused_tcp_port: int) -> None:
    client = await browser(unused_tcp_port)
    try:
        assert (await client.get("/")).status == 403
        assert (await client.get("/?secret=wrong")).status == 403
        assert (await client.get("/ws")).status == 403
        first = await client.get("/?secret=s3cret", allow_redirects=False)
        assert (first.status, first.headers["Location"]) == (302, "/")
        cookie = first.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        name, _, value = cookie.partition(";")[0].partition("=")
        page = await client.get("/", headers={"Cookie": f"{name}={value}"})
        assert page.status == 200
        assert "kedit" in await page.text()
    finally:
        await client.close()


async def test_not_from_another_page_nor_under_another_name(unused_tcp_port: int) -> None:
    client = await browser(unused_tcp_port)
    cookie = {"Cookie": f"kedit-{unused_tcp_port}=s3cret"}
    try:
        assert (await client.get("/", headers=cookie)).status == 200
        for header in (
            {"Origin": "https://evil.example"},
            {"Host": f"evil.example:{unused_tcp_port}"},
            {"Origin": "null"},
        ):
            for path in ("/", "/ws", "/?secret=s3cret"):
                assert (await client.get(path, headers=cookie | header)).status == 403, (header, path)
    finally:
        await client.close()


def test_the_command_serves_read_only_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_story(tmp_path / "store")
    served: list[tuple[list[str], int]] = []
    monkeypatch.setattr("kedit_lifecycle.tui.serve.serve", lambda words, port: served.append((words, port)))
    run = CliRunner()
    for more in (
        [],
        ["--allow-writes"],
        ["--allow-writes", "--readonly"],
        ["--port", "8123", "--screen", "ask"],
    ):
        found = run.invoke(cli, ["tui", "--serve", "--store", str(store), *more])
        assert found.exit_code == 0, found.output
    readonly = ["--readonly" in words for words, _ in served]
    assert readonly == [True, False, True, True]
    assert served[3][1] == 8123
    assert "--screen ask" in shlex.join(served[3][0])
    for words, _ in served:  # each is a command line that `kedit tui` takes
        assert command.tui_command.make_context("tui", words[1:]).params["serve"] is False
