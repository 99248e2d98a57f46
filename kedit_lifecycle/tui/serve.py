"""The terminal UI in a browser on this machine: textual-serve, with a secret, and closed to other pages.

A server on loopback can be reached by every user of the machine, and by scripts of any page that a browser
here has open. So the first visit brings a secret in its address, which a cookie keeps; the web socket is
opened only to pages of this server, and only under its own name, which stops a page that has its own name
point to this address.
"""

from __future__ import annotations

import hmac
import secrets
import shlex
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from textual_serve.server import Server

HOST = "127.0.0.1"
PORT = 8000
_COOKIE = "kedit"
_YEAR = 365 * 24 * 3600


class TuiServer(Server):
    """Serves a command line that draws a Textual app.

    Args:
        arguments: of `kedit tui`, which each visitor gets a process of.
        port: on loopback.
        secret: what the first visit's address must hold; default a new one.
    """

    def __init__(self, arguments: Sequence[str], port: int = PORT, secret: str | None = None) -> None:
        command = shlex.join([sys.executable, "-m", "kedit_lifecycle", *arguments])
        super().__init__(command, host=HOST, port=port, title="kedit")
        self.secret = secret or secrets.token_urlsafe(24)

    @property
    def address(self) -> str:
        """Where a browser begins."""
        return f"{self.public_url}/?secret={self.secret}"

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard())
        return app

    async def on_startup(self, app: web.Application) -> None:
        """Say where it is."""
        self.console.print(f"kedit tui on {self.address}", markup=False, highlight=False, soft_wrap=True)
        self.console.print("Ctrl+C ends it; the engine goes on", markup=False, highlight=False)

    def _guard(self) -> Middleware:
        own = {f"{host}:{self.port}" for host in (HOST, "localhost")}

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            origin = request.headers.get("Origin")
            if request.host not in own or (origin is not None and urlsplit(origin).netloc not in own):
                raise web.HTTPForbidden(text="this page is served to this machine only")
            if request.path == "/" and self._is_secret(request.query.get("secret", "")):
                return self._let_in()
            if not self._is_secret(request.cookies.get(self._cookie, "")):
                raise web.HTTPForbidden(text="begin with the address that kedit tui --serve printed")
            return await handler(request)

        return guard

    @property
    def _cookie(self) -> str:
        """Cookies are of a host, whatever the port: each server has its own."""
        return f"{_COOKIE}-{self.port}"

    def _is_secret(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.secret.encode())

    def _let_in(self) -> web.Response:
        """Keep the secret in a cookie, and take it out of the address."""
        found = web.HTTPFound("/")
        answer = web.Response(status=found.status, headers={"Location": "/"})
        answer.set_cookie(self._cookie, self.secret, max_age=_YEAR, httponly=True, samesite="Strict")
        return answer


def serve(arguments: Sequence[str], port: int = PORT) -> None:
    """Serve `kedit tui` with these arguments until Ctrl+C."""
    TuiServer(arguments, port).serve()
