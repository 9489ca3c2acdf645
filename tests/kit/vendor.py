"""A vendor's HTTP API that misbehaves on demand: a real server, in a thread of its own, which notes what it is asked."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web

START_SECS = 20


@dataclass(frozen=True)
class Asked:
    """One request. `number` counts those of the same path and query, from 0; `at` is `time.monotonic`'s."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    number: int
    at: float
    wall: float


@dataclass(frozen=True)
class Reply:
    """What is answered. `delay_secs` before it, `slow_secs` between its bytes; `cut`: the connection dies in the middle of it."""

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay_secs: float = 0.0
    slow_secs: float = 0.0
    cut: bool = False


Behaviour = Callable[[Asked], Reply]


class Vendor:
    """`with Vendor(...)`: the server is up at `url`. `behave` may be replaced at any time; `stop` and `start` take it away."""

    def __init__(self, behave: Behaviour = lambda _: Reply(), *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.behave = behave
        self.asked: list[Asked] = []
        self.port, self._tls = port, tls
        self._counts: dict[tuple[str, str], int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._over = asyncio.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> Self:
        up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(up)), daemon=True)
        self._thread.start()
        assert up.wait(START_SECS), "the vendor's server does not start"
        return self

    def stop(self) -> None:
        if self._thread and self._loop:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(START_SECS)
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    async def _serve(self, up: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self._tls, reuse_address=True)
        await site.start()
        self.port = runner.addresses[0][1]
        up.set()
        await self._over.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        key = request.path, request.query_string
        number = self._counts[key] = self._counts.get(key, -1) + 1
        body = await request.read()
        asked = Asked(
            request.method, request.path, dict(request.query), dict(request.headers), body, number, time.monotonic(), time.time()
        )
        self.asked.append(asked)
        return await self._replied(request, self.behave(asked))

    async def _replied(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        await asyncio.sleep(reply.delay_secs)
        headers = {"Content-Type": reply.content_type, **reply.headers}
        if not (reply.cut or reply.slow_secs):
            return web.Response(body=reply.body, status=reply.status, headers=headers)
        answer = web.StreamResponse(status=reply.status, headers={**headers, "Content-Length": str(len(reply.body))})
        await answer.prepare(request)
        for at in range(0, len(reply.body), step := max(1, len(reply.body) // 4)):
            await answer.write(reply.body[at : at + step])
            if reply.cut:
                assert request.transport is not None
                request.transport.abort()
                break
            await asyncio.sleep(reply.slow_secs)
        return answer
