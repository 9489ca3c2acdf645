"""The sink keeps the contract of sinks, against a server that misbehaves."""
# ruff: noqa: ARG002, PLR2004  # hooks of the contract have arguments

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from stockifyd_webhook import Webhook

from stockifyd.api import Drift, Receipt, Retry, Row, StockifydError, Unavailable
from stockifyd.testing import SinkContract, make, make_batch

TOKEN = "token-that-nobody-may-see"
REFUSED = 999_999


class Receiver:
    """A web server in a thread, that remembers keys and answers as it is told."""

    def __init__(self) -> None:
        self.posts: dict[str, list[Row]] = {}
        self.requests: list[str] = []
        self.answers: list[int | str] = []
        self.always = 200
        self.ending = asyncio.Event()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.runner = asyncio.run_coroutine_threadsafe(self.start(), self.loop).result(30)
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}/rows"

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/rows", self.take)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    async def take(self, request: web.Request) -> web.Response:
        key, rows = (
            request.headers["Idempotency-Key"],
            [(row["number"], row["text"]) for row in json.loads(await request.read())["rows"]],
        )
        self.requests.append(key)
        answer = self.answers.pop(0) if self.answers else self.always
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return web.Response(status=401)
        if answer == "hang":
            await self.ending.wait()
        if answer == "drop":
            request.transport.abort()  # type: ignore[union-attr]
        if any(number == REFUSED for number, _ in rows):
            return web.Response(status=422)
        if answer in {200, "store and drop"}:
            self.posts.setdefault(key, rows)
        if answer == "store and drop":
            request.transport.abort()  # type: ignore[union-attr]
        return web.Response(status=answer if isinstance(answer, int) else 200, headers={"Location": "/"})

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.ending.set)
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


class TestWebhook(SinkContract[Webhook]):
    sink = Webhook
    receiver: Receiver

    @pytest.fixture(autouse=True)
    def a_receiver(self, receiver: Receiver) -> None:
        self.receiver = receiver

    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {"url": self.receiver.url, "token": TOKEN}

    def stored(self, sink: Webhook) -> list[Row]:
        return [row for rows in self.receiver.posts.values() for row in rows]

    def bad_row(self) -> Row:
        return REFUSED, "too many"

    def break_it(self, component: Webhook) -> None:
        self.receiver.always = 503

    def mend_it(self, component: Webhook) -> None:
        self.receiver.always = 200


async def write(receiver: Receiver, *, token: str = TOKEN, writes: int = 1, timeout_ms: int = 10_000) -> Receipt:
    sink = make(Webhook, url=receiver.url, token=token, timeout_ms=timeout_ms)
    try:
        await sink.open()
        for _ in range(writes - 1):
            with pytest.raises((Retry, Unavailable)):
                await sink.write(make_batch(3))
        return await sink.write(make_batch(3))
    finally:
        await sink.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(429, Retry), (408, Retry), (500, Unavailable), (503, Unavailable), ("drop", Unavailable), (404, Drift), (302, Drift)],
)
def test_what_an_answer_means(receiver: Receiver, answer: int | str, expected: type[StockifydError]) -> None:
    """Slow down is Retry, sick is Unavailable, a wrong address is Drift."""
    receiver.answers = [200, answer]
    with pytest.raises(expected):
        asyncio.run(write(receiver))
    assert len(receiver.posts) == 1


def test_no_answer_in_time(receiver: Receiver) -> None:
    """A server that hangs is Unavailable."""
    receiver.answers = ["hang"]
    with pytest.raises(Unavailable, match="no answer"):
        asyncio.run(write(receiver, timeout_ms=50))


def test_a_wrong_token_is_not_told(receiver: Receiver) -> None:
    """A refused token is Drift, and is not in the error."""
    with pytest.raises(Drift) as caught:
        asyncio.run(write(receiver, token="wrong-token"))
    assert "wrong-token" not in f"{caught.value} {caught.value.hint}"


def test_a_refused_message_is_rejected_alone(receiver: Receiver) -> None:
    """A 400 is the message's fault: the others go on."""
    receiver.answers = [200, 400, 200]
    receipt = asyncio.run(write(receiver))
    assert (receipt.rows, receipt.rejected) == (2, {1: "127.0.0.1 answered 400"})


def test_a_lost_answer_doubles_nothing(receiver: Receiver) -> None:
    """Stored, but the answer lost: the same key comes again, and the receiver knows it."""
    receiver.answers = [200, "store and drop"]
    asyncio.run(write(receiver, writes=2))
    assert [row for rows in receiver.posts.values() for row in rows] == [(n, f"row {n}") for n in range(3)]
    assert len(receiver.requests) == 5
