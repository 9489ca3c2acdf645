"""The feed: chains of the simulator and recorded ones, sent to Kafka, each remembered by what its rows must be."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaProducer

from stockifyd.api import StockifydError
from stockifyd_demo.checksum import checksum
from stockifyd_demo.children import STOCKIFYD, Children, ended

TOPIC = "market.enriched"
PARTITIONS = 60
LINE_MAX_BYTES = 2**24

Identity = tuple[int, date, datetime]
"""What tells a chain from all others: symbol_id, expiry, timestamp."""


class Line(msgspec.Struct, frozen=True):
    """What `stockifyd simulate` writes for each message."""

    key: str
    timestamp_ms: int
    value: msgspec.Raw


class Chain(msgspec.Struct, frozen=True):
    """What the demo looks at of a chain; its options are of one expiry."""

    timestamp: datetime
    symbol_id: int
    symbol: str
    options: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the broker has, and the rows that must come of it."""

    partition: int
    offset: int
    symbol: str
    identity: Identity
    rows: int
    checksum: bytes
    size: int


class Feed:
    """Sends chains, in order for each key. `sent` are those that the broker has acknowledged."""

    def __init__(self, children: Children, brokers: str) -> None:
        self.sent: list[Sent] = []
        self._children = children
        self._producer = AIOKafkaProducer(
            bootstrap_servers=brokers, acks="all", compression_type="lz4", max_batch_size=2**20, max_request_size=2**23
        )

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def send(self, name: str, *options: str | Path) -> int:
        """Send all that `stockifyd simulate OPTIONS` writes; how many messages that were."""
        before, on_the_way = len(self.sent), list[asyncio.Task[None]]()
        async for line in self.lines(name, *options):
            on_the_way.append(await self.put(line))
        await asyncio.gather(*on_the_way)
        return len(self.sent) - before

    async def lines(self, name: str, *options: str | Path) -> AsyncIterator[Line]:
        """What the simulator writes, no faster than it is taken."""
        child = self._children.start(name, [*STOCKIFYD, "simulate", *options], stdout=subprocess.PIPE)
        reader = asyncio.StreamReader(limit=LINE_MAX_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), child.process.stdout)
        decoder = msgspec.json.Decoder(Line)
        while line := await reader.readline():
            yield decoder.decode(line)
        await ended(child)

    async def put(self, line: Line) -> asyncio.Task[None]:
        """Send one message; waits while the broker is behind. The task ends when the broker has it."""
        chain = msgspec.json.decode(line.value, type=Chain)
        delivered = await self._producer.send(TOPIC, bytes(line.value), key=line.key.encode(), timestamp_ms=line.timestamp_ms)
        return asyncio.create_task(self._note(chain, len(line.value), delivered))

    async def _note(self, chain: Chain, size: int, delivered: asyncio.Future[Any]) -> None:
        at = await delivered
        identity = (chain.symbol_id, date.fromisoformat(chain.options[0]["expiry"]), chain.timestamp)
        rows, of_rows = len(chain.options), checksum(chain.options)
        self.sent.append(Sent(at.partition, at.offset, chain.symbol, identity, rows, of_rows, size))


def recorded_chains(environment: Mapping[str, str] = os.environ) -> tuple[list[Path], str]:
    """The recorded chains at hand, and where they were looked for. They may not be part of the project."""
    named = environment.get("STOCKIFYD_RECORDED_CHAINS", "")
    folder = Path(named) if named else Path("..", "shared", "data")
    found = sorted(folder.glob("*.json"))
    if named and not found:
        raise StockifydError(f"STOCKIFYD_RECORDED_CHAINS is {named!r}: no *.json is there", hint="name their folder, or unset it")
    return found, str(folder)
