"""Seeded option chains, produced at a rate; for each partition and offset it is known beforehand what must come of it."""

from __future__ import annotations

import asyncio
import json
import random
import time
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from kit.chains import context_fields, option_fields
from kit.kafka_topics import producer

FIRST_SYMBOL = 1000
"""Partition p carries symbol FIRST_SYMBOL + p."""
BASE = datetime.now(UTC).replace(hour=4, minute=0, second=0, microsecond=0)
"""The message at offset n is of BASE + n ms: symbol and timestamp tell a row's message."""
BIG = 500
VARIANTS = 5
OPTION_COLUMNS = (
    *("expiry", "strike_price", "option_type", "ltp", "bid", "ask", "bid_qty", "ask_qty", "prev_close", "price_change"),
    *("volume", "prev_volume", "oi", "prev_oi", "oi_change", "iv", "delta", "gamma", "theta", "vega", "rho", "quality"),
)
SNAPSHOT_COLUMNS = ("expiry", *context_fields())

Place = tuple[int, int]
"""Partition and offset."""


@dataclass(frozen=True, slots=True)
class Content:
    """Rows of one message: how many, and a checksum over every column of them."""

    options: int = 0
    snapshots: int = 0
    checksum: int = 0


DEAD = Content()
"""What is expected of a message that can never be stored: one dead letter, no row."""


def content_of(options: Sequence[tuple[Any, ...]], snapshots: Sequence[tuple[Any, ...]]) -> Content:
    """Rows in whatever order, in the order of OPTION_COLUMNS and SNAPSHOT_COLUMNS, with the expiry as text."""
    told = repr((sorted(options, key=lambda row: row[:3]), sorted(snapshots, key=lambda row: row[0])))
    return Content(len(options), len(snapshots), zlib.crc32(told.encode()))


@dataclass(frozen=True, slots=True)
class _Body:
    """A seeded list of options: its JSON from the second one on, and their rows."""

    json: bytes
    rows: tuple[tuple[Any, ...], ...]


class Feed:
    """Produces to one topic, on one broker or the same to several. The only producer of its topic: offsets are planned."""

    def __init__(
        self, bootstraps: Sequence[str], topic: str, partitions: int, *, seed: int, options: int = 20, big_every: int = 10
    ) -> None:
        self.topic, self.partitions, self.seed = topic, partitions, seed
        self.expected: dict[Place, Content] = {}
        self.next = dict.fromkeys(range(partitions), 0)
        self.sent = 0
        self._bootstraps = bootstraps
        self._random = random.Random(seed)
        self._small = [_body(self._random, options) for _ in range(VARIANTS)]
        self._big = [_body(self._random, BIG) for _ in range(VARIANTS)]
        self._big_every = big_every
        self._clients: list[AIOKafkaProducer] = []
        self._waiting: list[tuple[Place, asyncio.Future[Any]]] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for bootstrap in self._bootstraps:
            # idempotent: a broker that is killed must not make the producer double or reorder
            client = producer(bootstrap, enable_idempotence=True, request_timeout_ms=120_000, max_batch_size=2**20)
            self._clients.append(await self._stack.enter_async_context(client))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def ends(self) -> Mapping[int, int]:
        """The next offset of each partition, once all of it is stored."""
        return dict(self.next)

    async def send(self, count: int, *, partition: int | None = None) -> None:
        """Good chains, dealt over the partitions or into one of them."""
        for _ in range(count):
            to = self.sent % self.partitions if partition is None else partition
            value, content = self.chain(to)
            await self._put(to, value, content)

    async def send_bad(self, value: bytes, *, partition: int) -> Place:
        """A message that must become a dead letter."""
        return await self._put(partition, value, DEAD)

    async def settle(self) -> None:
        """Returns when the brokers have all of it, each where it was planned to be."""
        waiting, self._waiting = self._waiting, []
        for (partition, offset), future in waiting:
            metadata = await future
            if metadata.offset != offset:
                raise AssertionError(f"{self.topic}/{partition}: planned at {offset}, produced at {metadata.offset}")

    @asynccontextmanager
    async def flowing(self, rate: float) -> AsyncIterator[None]:
        """Produce so many chains a second for as long as this lasts."""
        stop = asyncio.Event()  # not cancelled: what is planned must be sent
        task = asyncio.create_task(self._flow(rate, stop))
        try:
            yield
        finally:
            stop.set()
            await task
        await self.settle()

    def chain(self, partition: int, *, options: int = 0) -> tuple[bytes, Content]:
        """The next chain of a partition, and what its rows must be; not yet produced. `options`: so many, or as it comes."""
        offset = self.next[partition]
        body = _body(self._random, options) if options else self._any_body()
        first = _option(self._random, 0, oi=offset, ltp=offset + 0.05)
        context = context_fields(spot_price=20_000.0 + offset, lot_size=partition)
        rows = [_row(first), *body.rows]
        head = {"timestamp": stamp(offset), "symbol_id": FIRST_SYMBOL + partition, "symbol": "NIFTY", "context": context}
        value = json.dumps(head).encode()[:-1] + b', "options": [' + json.dumps(first).encode() + body.json + b"]}"
        return value, content_of(rows, [(first["expiry"], *context.values())])

    def _any_body(self) -> _Body:
        is_big = self._big_every and self._random.randrange(self._big_every) == 0
        return self._random.choice(self._big if is_big else self._small)

    def plan(self, partition: int, content: Content | None) -> Place:
        """The next offset of a partition, for a message that the test sends itself. None: it holds nothing to be stored."""
        place = (partition, self.next[partition])
        if content is not None:
            self.expected[place] = content  # before it is sent: a reader may see its rows before we see the answer
        self.next[partition] += 1
        self.sent += 1
        return place

    async def _put(self, partition: int, value: bytes, content: Content) -> Place:
        place = self.plan(partition, content)
        at = round(time.time() * 1000)
        for client in self._clients:
            future = await client.send(self.topic, value, partition=partition, key=b"NIFTY:2026-11-24", timestamp_ms=at)
            self._waiting.append((place, future))
        return place

    async def _flow(self, rate: float, stop: asyncio.Event) -> None:
        began, already = time.monotonic(), self.sent
        while not stop.is_set():
            due = int((time.monotonic() - began) * rate) - (self.sent - already)
            await self.send(max(0, min(due, 50)))
            await asyncio.sleep(0.02)


def stamp(offset: int) -> str:
    """The timestamp of the message at an offset, as JSON has it."""
    return instant(offset).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(offset: int) -> datetime:
    """The timestamp of the message at an offset."""
    return BASE + timedelta(milliseconds=offset)


def place_of(symbol_id: int, timestamp: datetime) -> Place:
    """The message that a row belongs to."""
    return symbol_id - FIRST_SYMBOL, round((timestamp - BASE) / timedelta(milliseconds=1))


def _body(source: random.Random, count: int) -> _Body:
    options = [_option(source, number) for number in range(1, count)]
    return _Body(b"".join(b", " + json.dumps(option).encode() for option in options), tuple(map(_row, options)))


def _option(source: random.Random, number: int, **changes: Any) -> dict[str, Any]:
    # rho is null: a column that is dropped and made again is then as it was
    seeded = {"ltp": round(source.uniform(0.05, 900), 2), "oi": source.randrange(10**9), "iv": source.random(), "rho": None}
    side = "CE" if number % 2 == 0 else "PE"
    return option_fields(strike=20_000.0 + 50 * (number // 2), option_type=side, **{**seeded, **changes})


def _row(option: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(option["strike" if column == "strike_price" else column] for column in OPTION_COLUMNS)
