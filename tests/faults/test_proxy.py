"""The proxies that faults are made with: what they tell, and what they keep to themselves."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest

from kit.proxy import FaultProxy, PostgresProxy, reset

HELLO = struct.pack("!II", 8, 80877103) + struct.pack("!II", 8, 196608) + b"Q\0\0\0\x05\0"
"""As a client of PostgreSQL begins: a question for TLS, the startup packet, a message."""
WITHIN_SECS = 10


class Target:
    """A server that says nothing, and knows whether its client is gone."""

    def __init__(self) -> None:
        self.heard, self.left = asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(100):
                self.heard.set()
        except OSError:  # reset
            pass
        self.left.set()
        writer.close()


@pytest.fixture
async def target() -> AsyncIterator[tuple[Target, int]]:
    """With its port."""
    one = Target()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    async with server:
        yield one, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("kind", [FaultProxy, PostgresProxy])
@pytest.mark.parametrize("ended", [asyncio.StreamWriter.close, reset], ids=["closed", "reset"])
async def test_target_is_told_of_a_clients_end(target: tuple[Target, int], kind: type[FaultProxy], ended: object) -> None:
    """As TCP does it, however the client ends and though the server says nothing; what is swallowed comes later."""
    assert callable(ended)
    server, port = target
    async with kind(port) as proxy:
        _, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(HELLO)
        await asyncio.wait_for(server.heard.wait(), WITHIN_SECS)
        proxy.swallow = True
        ended(writer)
        await asyncio.sleep(0)
        assert not server.left.is_set()
        proxy.swallow = False
        await asyncio.wait_for(server.left.wait(), WITHIN_SECS)


@pytest.mark.parametrize("kind", [FaultProxy, PostgresProxy])
async def test_half_open_links_tell_nobody(target: tuple[Target, int], kind: type[FaultProxy]) -> None:
    """The target's side is gone; the client's stays, with nobody behind it."""
    server, port = target
    async with kind(port) as proxy:
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        writer.write(HELLO)
        await asyncio.wait_for(server.heard.wait(), WITHIN_SECS)
        proxy.half_open()
        await asyncio.wait_for(server.left.wait(), WITHIN_SECS)
        assert not reader.at_eof()
        writer.close()
