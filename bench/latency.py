"""From a message's first byte at the producer to its rows' COMMIT, at a gentle rate: figure c."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from bed import Bed
from loads import PARTITIONS, Subject, empty

from kit.kafka_topics import create_topic, producer

CHAINS_A_SEC = 20
COMMITS = 'SELECT "timestamp", symbol_id, expiry::text, pg_xact_commit_timestamp(xmin) FROM market_snapshots'
Key = tuple[datetime, int, str]


class Named(msgspec.Struct):
    """What tells one chain from another."""

    timestamp: datetime
    symbol_id: int
    options: list[Expiring]


class Expiring(msgspec.Struct):
    expiry: str


class Latency(NamedTuple):
    """Milliseconds."""

    p50: float
    p99: float
    most: float
    count: int


def measure(at: Bed, subject: Subject, secs: float, name: str, delivery: str = "") -> Latency:
    """Latency of chains sent one by one to a pipeline that has nothing else to do."""
    empty(at, subject)
    values = list(itertools.chain.from_iterable(itertools.zip_longest(*subject.messages.values())))
    run = at.run(subject.spec(at, name, delivery))
    run.address()
    time.sleep(3)  # it joins, claims and is idle
    sent = asyncio.run(_send(at, subject.topic, [v for v in values if v][: int(secs * CHAINS_A_SEC)]))
    while at.stored(name) < len(sent):
        run.check()
        time.sleep(0.05)
    run.stop()
    stored: dict[Key, datetime] = {(r[0], r[1], r[2]): r[3] for r in at.ask(COMMITS)}
    took = sorted((stored[key] - when).total_seconds() * 1000 for key, when in sent.items())
    return Latency(statistics.median(took), took[int(0.99 * len(took))], took[-1], len(took))


async def _send(at: Bed, topic: str, values: list[bytes]) -> dict[Key, datetime]:
    """Send at the rate; when each was given to the producer."""
    sent: dict[Key, datetime] = {}
    async with producer(at.kafka.bootstrap, compression_type="lz4") as client:
        began = time.monotonic()
        for n, value in enumerate(values):
            await asyncio.sleep(max(0.0, began + n / CHAINS_A_SEC - time.monotonic()))
            chain = msgspec.json.decode(value, type=Named)
            sent[chain.timestamp.astimezone(UTC), chain.symbol_id, chain.options[0].expiry] = datetime.now(UTC)
            await client.send(topic, value, partition=n % PARTITIONS)
        await client.flush()
    return sent


def make_topic(at: Bed, topic: str) -> None:
    asyncio.run(create_topic(at.kafka.direct, topic, PARTITIONS))
