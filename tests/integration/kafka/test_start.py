"""Where partitions begin."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from kit.eventually import eventually
from kit.kafka_topics import add_partitions, committed, produce
from stockifyd.api import Partition


async def test_earliest_reads_all(bench: Any) -> None:
    """The first message is read."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"a", b"b"])
    ledger = bench.ledger()
    async with bench.reading(ledger, start="earliest") as task:
        assert await bench.stored(ledger, 2, task) == [b"a", b"b"]


async def test_latest_reads_what_comes(bench: Any) -> None:
    """What was there before the claim is not read."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"old"])
    ledger = bench.ledger()
    async with bench.reading(ledger, start="latest") as task:
        await eventually(lambda: ledger.taken)
        await produce(bench.direct, bench.topic, [b"new"])
        assert await bench.stored(ledger, 1, task) == [b"new"]


async def test_latest_holds_over_a_restart_without_messages(bench: Any) -> None:
    """The beginning is committed before the first fetch: what came while nobody read is read."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"old"])
    first = bench.ledger()
    async with bench.reading(first, start="latest"):
        await eventually(lambda: first.taken)
        await eventually(lambda: bench.sources[-1].lag() == {next(iter(first.next)): 0})
    assert {(bench.topic, 0): 1} == await committed(bench.direct, bench.group)


async def test_a_time_begins_at_its_first_message(bench: Any) -> None:
    """Messages before it are left out; a partition with none after it begins at its end."""
    await bench.topic_with(2)
    await produce(bench.direct, bench.topic, [b"before"], timestamp_ms=1_767_225_599_999)
    await produce(bench.direct, bench.topic, [b"at"], timestamp_ms=1_767_225_600_000)
    await produce(bench.direct, bench.topic, [b"old"], partition=1, timestamp_ms=1_700_000_000_000)
    ledger = bench.ledger()
    async with bench.reading(ledger, start="2026-01-01T00:00:00Z") as task:
        assert await bench.stored(ledger, 1, task) == [b"at"]
        assert {(bench.topic, 0): 2, (bench.topic, 1): 1} == ledger.offsets()


async def test_committed_takes_over(bench: Any) -> None:
    """The offsets that another program committed under the group are where we begin."""
    await bench.topic_with(2)
    for partition in (0, 1):
        await produce(bench.direct, bench.topic, [b"a", b"b", b"c"], partition=partition)
    before = AIOKafkaConsumer(bootstrap_servers=bench.direct, group_id=bench.group, enable_auto_commit=False)
    await before.start()
    tp = TopicPartition(bench.topic, 0)
    before.assign([tp])
    await before.commit({tp: 2})
    await before.stop()
    ledger = bench.ledger()
    async with bench.reading(ledger, start="committed") as task:
        assert await bench.stored(ledger, 4, task) == [b"c", b"a", b"b", b"c"]
    assert [{p.number: o for p, o in c.items()} for c in ledger.committed] == [{0: 2}]


async def test_the_ledger_decides_over_the_options(bench: Any) -> None:
    """A partition that the ledger knows begins where the ledger says."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"a", b"b"])
    ledger = bench.ledger()
    async with bench.reading(ledger) as task:
        await bench.stored(ledger, 2, task)
    await produce(bench.direct, bench.topic, [b"c"])
    async with bench.reading(ledger, start="latest") as task:
        assert await bench.stored(ledger, 3, task) == [b"a", b"b", b"c"]


async def test_a_partition_added_later_begins_at_its_first_message(bench: Any) -> None:
    """Also where the options say latest."""
    await bench.topic_with(1)
    ledger = bench.ledger()
    async with bench.reading(ledger, start="latest") as task:
        await eventually(lambda: ledger.taken)
        await add_partitions(bench.direct, bench.topic, 2)
        await produce(bench.direct, bench.topic, [b"first of the new"], partition=1)
        assert await bench.stored(ledger, 1, task) == [b"first of the new"]


async def test_messages_carry_what_kafka_keeps(bench: Any) -> None:
    """Key, headers, time, and the cluster in the partition; a tombstone is empty."""
    await bench.topic_with(1)
    async with bench.reading(bench.ledger()):
        pass
    from kit.kafka_topics import producer

    async with producer(bench.direct) as client:
        await client.send_and_wait(
            bench.topic, b"v", key=b"NIFTY:2026-11-24", headers=[("h", b"1")], timestamp_ms=1_767_225_600_000
        )
        await client.send_and_wait(bench.topic, None, key=b"k")
    source = bench.source()
    await source.open()
    found: list[Any] = []
    reading = source.read(bench.ledger("two"))
    async for messages in reading:
        found += messages
        if len(found) >= 2:
            break
    await reading.aclose()
    first, second = found
    assert (
        first.raw,
        first.key,
        first.headers,
        first.timestamp_ms,
    ) == (b"v", b"NIFTY:2026-11-24", (("h", b"1"),), 1_767_225_600_000)
    assert (second.raw, second.key) == (b"", b"k")
    assert first.position.partition.cluster == "c3RvY2tpZnlkLWthZmthMQ"
    assert first.position.partition is second.position.partition
    assert source.consumer == bench.group


async def test_what_is_assigned_is_paused_until_it_is_claimed(bench: Any) -> None:
    """aiokafka fetches nothing meanwhile, though the group has committed an offset to fetch from."""
    await bench.topic_with(2)
    await produce(bench.direct, bench.topic, [b"a", b"b"])
    ledger, may = bench.ledger(), asyncio.Event()
    take = ledger.take

    async def waiting(starts: Mapping[Partition, int], committed: Mapping[Partition, int]) -> Mapping[Partition, int]:
        await may.wait()
        return await take(starts, committed)

    ledger.take = waiting
    async with bench.reading(ledger) as task:
        member = bench.sources[0]._keeper.member
        await eventually(member._consumer.assignment)
        assert member._consumer.paused() == member._consumer.assignment()
        may.set()
        assert await bench.stored(ledger, 2, task) == [b"a", b"b"]
        assert member._consumer.paused() == set()
