"""What was polled, by the topic that ingestion wrote: each chain, and what must be stored of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

FETCH_MS = 1_000
READ_SECS = 60.0


class Chain(NamedTuple):
    """A chain that was polled: what tells it from all others, and what must be stored of it."""

    symbol: str
    expiry: date
    at: datetime
    options: int
    call_oi: int
    put_oi: int


class Data(msgspec.Struct, frozen=True):
    """Of an option."""

    oi: float


class Side(msgspec.Struct, frozen=True):
    """An option."""

    market_data: Data


class Strike(msgspec.Struct, frozen=True):
    """A call and a put, where they are listed."""

    call_options: Side | None = None
    put_options: Side | None = None


class Payload(msgspec.Struct, frozen=True):
    """Upstox's answer, as far as the demo looks at it."""

    data: list[Strike]


class Envelope(msgspec.Struct, frozen=True):
    """A record of market.raw."""

    symbol: str
    expiry: date
    received_at: datetime
    payload: Payload


async def count(brokers: str, topic: str) -> int:
    """How many records a topic has."""
    async with _reading(brokers, topic) as (consumer, partitions):
        return sum((await consumer.end_offsets(partitions)).values())


async def chains(brokers: str, topic: str) -> list[Chain]:
    """All that a topic has, which must be at rest. TimeoutError where they do not come."""
    found, decoder = list[Chain](), msgspec.json.Decoder(Envelope)
    async with _reading(brokers, topic) as (consumer, partitions):
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        left = sum(ends.values())
        async with asyncio.timeout(READ_SECS):
            while left > 0:
                for records in (await consumer.getmany(timeout_ms=FETCH_MS)).values():
                    found += [_chain(decoder.decode(record.value)) for record in records]
                    left -= len(records)
    return found


@asynccontextmanager
async def _reading(brokers: str, topic: str) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer.topics()  # else it knows no partitions
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        yield consumer, partitions
    finally:
        await consumer.stop()


def _chain(envelope: Envelope) -> Chain:
    calls = [one.call_options.market_data.oi for one in envelope.payload.data if one.call_options]
    puts = [one.put_options.market_data.oi for one in envelope.payload.data if one.put_options]
    options = len(calls) + len(puts)
    return Chain(envelope.symbol, envelope.expiry, envelope.received_at, options, round(sum(calls)), round(sum(puts)))
