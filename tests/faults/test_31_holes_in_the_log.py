"""Fault 31: offsets that hold nothing to read: aborted transactions, control records, what compaction took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from faults.conftest import Sight, long_form
from kit.bed import Scene, scene
from kit.feed import Place
from kit.fixtures_bed import MakeBed
from kit.kafka import KafkaServer
from kit.kafka_topics import produce_transaction

COMPACTED = {"cleanup_policy": "compact", "segment_ms": "100", "min_cleanable_dirty_ratio": "0.01"}
PATIENCE_SECS = 60


@pytest.fixture
def compacting_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """A broker that compacts as soon as it can."""
    cleaner = {"enable": "true", "backoff.ms": "200", "dedupe.buffer.size": "4194304", "io.buffer.size": "65536"}
    server = KafkaServer(tmp_path / "kafka", properties={f"log.cleaner.{name}": value for name, value in cleaner.items()})
    server.start()
    yield server
    server.stop()


async def test_aborted_transactions_leave_no_gap(make_bed: MakeBed, sight: Sight) -> None:
    """What was aborted is never stored, and the ledger ends behind the last control record, without a gap."""
    async with scene(make_bed(partitions=2)) as on:
        worker = on.bed.worker()
        for _ in range(3):
            await _transactions(on)
        await on.bed.settled(on.feed)
        assert await worker.stop() == 0
        await _transactions(on)  # it begins at a control record, and finds one behind all that it reads
        worker.start()
        await on.judge()
        await _has_no_gap(on)
        sight.note(offsets=sum(on.feed.ends.values()), messages=len(on.feed.expected))


@long_form
async def test_compaction_leaves_no_gap(make_bed: MakeBed, sight: Sight, compacting_kafka: KafkaServer) -> None:
    """What compaction left is stored; what it took is no loss, the message that was stored last included."""
    async with scene(make_bed(kafka=compacting_kafka, partitions=2, topic_options=COMPACTED)) as on:
        taken = await _compacted(on)
        worker = on.bed.worker()
        await on.bed.settled(on.feed)
        assert await worker.stop() == 0
        taken += await _compacted(on)
        worker.start()
        await on.judge()
        await _has_no_gap(on)
        sight.note(offsets=sum(on.feed.ends.values()), compacted=taken, messages=len(on.feed.expected))


async def _transactions(on: Scene) -> None:
    """Good chains, a transaction that is committed and one that is aborted in each partition; the last thing is aborted."""
    await on.feed.send(20)
    await on.feed.settle()
    for partition in range(on.bed.partitions):
        for abort in (False, True):
            values = []
            for _ in range(7):
                value, content = on.feed.chain(partition)
                on.feed.plan(partition, None if abort else content)
                values.append(value)
            await produce_transaction(on.bed.kafka.direct, on.bed.topic, values, abort=abort, partition=partition)
            on.feed.plan(partition, None)  # the control record, which comes after the answer
            await _ended_as_planned(on, partition)


async def _ended_as_planned(on: Scene, partition: int) -> None:
    tp, until = TopicPartition(on.bed.topic, partition), time.monotonic() + PATIENCE_SECS
    async with _looking(on) as consumer:
        while (await consumer.end_offsets([tp]))[tp] < on.feed.next[partition]:
            assert time.monotonic() < until, "the transaction did not end"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _looking(on: Scene) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=on.bed.kafka.direct, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _compacted(on: Scene) -> int:
    """Chains that nobody reads yet, all of one key; answers with how many compaction took: those are not expected."""
    stored = await on.bed.books.next()
    for _ in range(5):
        await on.feed.send(40)
        await on.feed.settle()
        await asyncio.sleep(0.2)  # the next one begins a segment
    sent = {place for place in on.feed.expected if place[1] >= stored.get(place[0], 0)}
    left = await _left(on)
    until = time.monotonic() + PATIENCE_SECS
    while len(left & sent) > len(sent) // 2 or left != await _left(on):
        assert time.monotonic() < until, "the broker does not compact"
        await asyncio.sleep(1.5)
        left = await _left(on)
    for place in sent - left:
        del on.feed.expected[place]
    return len(sent - left)


async def _left(on: Scene) -> set[Place]:
    """What can be read of the topic."""
    tps = [TopicPartition(on.bed.topic, partition) for partition in range(on.bed.partitions)]
    found: set[Place] = set()
    async with _looking(on) as consumer:
        consumer.assign(tps)
        for tp, end in (await consumer.end_offsets(tps)).items():
            while await consumer.position(tp) < end:
                records = await consumer.getmany(*tps, timeout_ms=200)
                found |= {(r.partition, r.offset) for lot in records.values() for r in lot}
    return found


async def _has_no_gap(on: Scene) -> None:
    assert [] == list((await on.bed.books.everything()).gaps)
