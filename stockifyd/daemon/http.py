"""Health, metrics, status and the status page over HTTP: loopback by default, a token elsewhere."""

from __future__ import annotations

import hmac
import ipaddress
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from stockifyd.api import Drift
from stockifyd.daemon.metrics import Metrics
from stockifyd.daemon.status import PipelineStatus

Statuses = Callable[[], list[PipelineStatus]]

PAGE = Path(__file__).with_name("page.html")
OPEN = ("/healthz", "/readyz")
NOT_READY = ("starting", "halted", "failed")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
    "X-Content-Type-Options": "nosniff",
}

log = logging.getLogger("stockifyd.http")


class Http:
    """A small server beside the pipelines."""

    def __init__(self, statuses: Statuses, metrics: Metrics, *, token: str = "") -> None:
        self._statuses = statuses
        self._metrics = metrics
        self._token = token
        self._runner: web.AppRunner | None = None

    async def start(self, listen: str) -> str:
        """Listen on `HOST:PORT` (port 0: a free one); answers with the address. Drift where that may not or cannot be."""
        try:
            host, port = parsed(listen)
        except ValueError as error:
            raise Drift(str(error), hint="--listen HOST:PORT, or STOCKIFYD_LISTEN") from error
        if not is_loopback(host) and not self._token:
            raise Drift(
                f"--listen {listen} is reachable from outside and there is no token",
                hint="set STOCKIFYD_TOKEN, or listen on 127.0.0.1",
            )
        app = web.Application(middlewares=[self._guard(is_open=is_loopback(host))])
        app.add_routes([
            web.get("/", self._page),
            web.get("/healthz", self._health),
            web.get("/readyz", self._ready),
            web.get("/status", self._status),
            web.get("/metrics", self._metrics_text),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, host, port)
            await site.start()
        except OSError as error:
            raise Drift(f"cannot listen on {listen}: {error.strerror}", hint="is another daemon using the port?") from error
        bound: tuple[str, int] = self._runner.addresses[0][:2]
        return f"http://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}/"

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    def _guard(self, *, is_open: bool) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not is_open and request.path not in OPEN and not self._is_allowed(request):
                raise web.HTTPUnauthorized(text="a token is needed: Authorization: Bearer ...\n")
            response = await handler(request)
            response.headers.update(HEADERS)
            return response

        return guard

    def _is_allowed(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._token.encode())

    async def _page(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.Response(text=PAGE.read_text(encoding="utf-8"), content_type="text/html")

    async def _health(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:  # noqa: ARG002
        held = [f"{s.name}: {s.state} {s.reason}".strip() for s in self._statuses() if s.state in NOT_READY]
        return web.Response(text="\n".join(held or ["ready"]) + "\n", status=503 if held else 200)

    async def _status(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.Response(body=msgspec.json.encode(self._statuses()), content_type="application/json")

    async def _metrics_text(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.Response(body=self._metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def parsed(listen: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; ValueError says what is allowed."""
    host, _, port = listen.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004
        raise ValueError(f"{listen!r} is not HOST:PORT, such as 127.0.0.1:8080")
    return host.strip("[]") or "127.0.0.1", int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
