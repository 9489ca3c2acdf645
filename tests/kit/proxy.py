"""A TCP proxy on loopback that breaks links on purpose, and one that knows PostgreSQL's protocol."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Self

CHUNK = 64 * 1024
ANSWER_SECS = 1.5
LOOK_SECS = 0.05


@dataclass(eq=False)
class Link:
    """One client's connection and ours to the target, with the tasks that carry bytes between them."""

    client: asyncio.StreamWriter
    target: asyncio.StreamWriter
    answers: asyncio.StreamReader
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def reset(self) -> None:
        """End both sides by RST: what was under way is lost."""
        for writer in (self.client, self.target):
            reset(writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Abort a connection so that its peer sees RST, not an orderly end."""
    if (sock := writer.get_extra_info("socket")) is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class FaultProxy:
    """Carries bytes between clients and a target. Set the attributes at any time; they hold for open links too.

    `latency_secs` delays each chunk, `bandwidth` is bytes a second each way, `swallow` takes bytes and carries none (the
    link stays open), `refuse` resets whoever connects. How one side ends is told to the other, as TCP does: a server that is not
    told of a client's death would keep its transaction for ever.
    """

    host = "127.0.0.1"

    def __init__(self, target_port: int, *, target_host: str = "127.0.0.1") -> None:
        self.target = (target_host, target_port)
        self.port = 0
        self.latency_secs = 0.0
        self.bandwidth = 0
        self.swallow = False
        self.refuse = False
        self.links: set[Link] = set()
        self.ends = 0
        """How many ends of either side were seen, told yet or not."""
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._accept, self.host, port, limit=CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [task for link in self.links for task in link.tasks]
        self.reset_links()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def reset_links(self) -> None:
        """RST to both sides of every open link."""
        for link in tuple(self.links):
            link.reset()

    def half_open(self) -> None:
        """The target's side goes away and the clients are not told."""
        for link in tuple(self.links):
            for task in link.tasks:
                task.cancel()
            reset(link.target)

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self.refuse:
            reset(client)
            return
        try:
            target_reader, target = await asyncio.open_connection(*self.target, limit=CHUNK)
        except OSError:
            reset(client)  # a target that is away looks to the client as it would without us
            return
        link = Link(client, target, target_reader)
        self.links.add(link)
        link.tasks = [
            asyncio.create_task(self._to_its_end(self._to_target(reader, link), target, link)),
            asyncio.create_task(self._to_its_end(self._to_client(target_reader, link), client, link)),
        ]
        await asyncio.wait(link.tasks, return_when=asyncio.ALL_COMPLETED)
        if not any(task.cancelled() for task in link.tasks):  # half open: the client's side stays as it is
            link.reset()
        self.links.discard(link)

    async def _to_its_end(self, carrying: Awaitable[None], writer: asyncio.StreamWriter, link: Link) -> None:
        try:
            await carrying
            await self._end_comes_through()
            writer.write_eof()
        except OSError:
            await self._end_comes_through()
            link.reset()

    async def _end_comes_through(self) -> None:
        """Once nothing is swallowed: TCP sends again what is lost of an end."""
        self.ends += 1
        while self.swallow:
            await asyncio.sleep(LOOK_SECS)

    async def _to_target(self, reader: asyncio.StreamReader, link: Link) -> None:
        await self._carry(reader, link.target)

    async def _to_client(self, reader: asyncio.StreamReader, link: Link) -> None:
        await self._carry(reader, link.client)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._forward(data, writer)

    async def _forward(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self.latency_secs:
            await asyncio.sleep(self.latency_secs)
        if self.bandwidth:
            await asyncio.sleep(len(data) / self.bandwidth)
        if not self.swallow:
            writer.write(data)
            await writer.drain()


Seen = Callable[[bytes, bytes], bool]
"""Told a client message's kind (b"Q") and body: is this the one to cut at?"""


def commit(kind: bytes, body: bytes) -> bool:
    """The COMMIT of a transaction."""
    return kind == b"Q" and body.upper().startswith(b"COMMIT")


def copy_data(kind: bytes, body: bytes) -> bool:
    """Rows on their way into a COPY."""
    return kind == b"d"


def swap(kind: bytes, body: bytes) -> bool:
    """The ledger's UPDATE, as it is parsed."""
    return kind == b"P" and b"UPDATE stockifyd.offsets" in body


def copy_block(number: int) -> Seen:
    """That message of rows of one COPY, the first being 1: the server has those before it."""
    count = 0

    def at(kind: bytes, body: bytes) -> bool:
        nonlocal count
        count = count + 1 if copy_data(kind, body) else 0
        return count == number

    return at


def after(first: Seen, then: Seen) -> Seen:
    """What `then` recognises, once `first` has recognised something: the COMMIT of a swap."""
    seen = False

    def at(kind: bytes, body: bytes) -> bool:
        nonlocal seen
        seen = seen or first(kind, body)
        return seen and then(kind, body)

    return at


class PostgresProxy(FaultProxy):
    """Breaks the link at a message of PostgreSQL's protocol.

    `cut`: before the server has it, or after, with its answer withheld. `hold`: the link stays open, the message does not
    come through until `release`.
    """

    def __init__(self, target_port: int, *, target_host: str = "127.0.0.1") -> None:
        super().__init__(target_port, target_host=target_host)
        self.cuts = self.holds = 0
        self._seen: Seen | None = None
        self._hold: Seen | None = None
        self._released = asyncio.Event()
        self._when: Literal["before", "after"] = "before"

    def cut(self, at: Seen, when: Literal["before", "after"]) -> None:
        """Cut once, at the next client message that `at` recognises. "after": when the server's answer has come in."""
        self._seen, self._when = at, when

    def hold(self, at: Seen) -> None:
        """Hold once, at the next client message that `at` recognises."""
        self._hold = at
        self._released.clear()

    def release(self) -> None:
        """What is held goes on."""
        self._released.set()

    async def _to_target(self, reader: asyncio.StreamReader, link: Link) -> None:
        with suppress(asyncio.IncompleteReadError):
            await self._startup(reader, link)
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
                await self._pass(head[:1], body)
                if self._seen is None or not self._seen(head[:1], body):
                    await self._forward(head + body, link.target)
                    continue
                self._seen = None
                self.cuts += 1
                await self._cut(head + body, link)
                return

    async def _startup(self, reader: asyncio.StreamReader, link: Link) -> None:
        """The first messages have no kind: a question for TLS, perhaps, then the startup packet."""
        asks_tls = True
        while asks_tls:
            size = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(size, "big") - 4)
            asks_tls = body[:4] in (struct.pack("!I", 80877103), struct.pack("!I", 80877104))
            await self._forward(size + body, link.target)

    async def _pass(self, kind: bytes, body: bytes) -> None:
        if self._hold is not None and self._hold(kind, body):
            self._hold = None
            self.holds += 1
            await self._released.wait()

    async def _cut(self, message: bytes, link: Link) -> None:
        if self._when == "after":
            link.tasks[1].cancel()  # the answer is ours now: the client never sees it
            await asyncio.wait([link.tasks[1]])
            link.target.write(message)
            await link.target.drain()
            with suppress(TimeoutError):  # rows of a COPY are not answered
                await asyncio.wait_for(link.answers.read(1), ANSWER_SECS)
        link.reset()
