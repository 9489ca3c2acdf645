"""A broker that is killed and comes back while the Kafka sink writes: nothing is lost, and order holds."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
from collections.abc import Iterator

import pytest
from aiokafka import ConsumerRecord

from kit.kafka import KafkaServer
from kit.kafka_topics import create_topic, read_all
from stockifyd.api import Batch, Message, Partition, Position, Retry, Unavailable
from stockifyd.testing import make
from stockifyd_kafka import KafkaSink

PARTITIONS = 3
EACH = 40
"""Messages of a partition in a batch."""


def batches() -> Iterator[Batch]:
    for number in itertools.count():
        yield Batch(
            tuple(
                Message(Position(Partition("source", partition), number * EACH + n), b"%d" % (number * EACH + n) + b" " * 2000)
                for n in range(EACH)
                for partition in range(PARTITIONS)
            )
        )


async def written(sink: KafkaSink, batch: Batch) -> int:
    """As the runtime does: again and again until it is done; answers with the number of tries."""
    for tries in itertools.count(1):
        try:
            await sink.write(batch)
        except (Retry, Unavailable):
            await asyncio.sleep(0.05)
        else:
            return tries
    raise AssertionError


def faults(records: list[ConsumerRecord], count: int) -> Iterator[str]:
    """What at least once does not allow: a loss; an order that is not the source's but for a batch that begins anew."""
    for partition in range(PARTITIONS):
        found = [int(r.value) for r in records if r.partition == partition]
        first = list(dict.fromkeys(found))
        if first != list(range(count)):
            yield f"partition {partition}: {len(first)} of {count} messages, in order up to {_agrees(first)}"
        for before, after in itertools.pairwise(found):
            if after != before + 1 and after != before // EACH * EACH:
                yield f"partition {partition}: {after} follows {before}"


def _agrees(found: list[int]) -> int:
    return next((place for place, number in enumerate(found) if place != number), len(found))


@pytest.mark.slow
@pytest.mark.parametrize("timeout_ms", [1_500, 60_000], ids=["given up", "ridden out"])
async def test_a_broker_killed_while_it_is_written(
    own_kafka: KafkaServer, chance: random.Random, timeout_ms: int, caplog: pytest.LogCaptureFixture
) -> None:
    """kill -9 in the middle of batches, and a start a moment later. Ridden out by the producer, nothing is there twice; given up
    and written anew, a batch begins anew."""
    await create_topic(own_kafka.direct, "out", PARTITIONS)
    sink = make(KafkaSink, brokers=own_kafka.direct, topic="out", delivery_timeout_ms=timeout_ms, record_batch_max_bytes=10_000)
    await sink.open()
    stop, count, tries = asyncio.Event(), 0, 0

    async def write() -> None:
        nonlocal count, tries
        for batch in batches():
            tries += await written(sink, batch)
            count += 1
            if stop.is_set():
                return

    writing = asyncio.create_task(write())
    for _ in range(2):
        before = count
        while count < before + 5:
            await asyncio.sleep(0.01)
        await asyncio.sleep(chance.uniform(0, 0.05))
        await asyncio.to_thread(own_kafka.kill)
        await asyncio.sleep(2 * timeout_ms / 1000 if timeout_ms < 10_000 else 1)
        await asyncio.to_thread(own_kafka.start)
    stop.set()
    async with asyncio.timeout(60):
        await writing
    await sink.close()
    records = await read_all(own_kafka.direct, "out")
    assert [] == list(faults(records, count * EACH))
    if timeout_ms > 10_000:
        assert (count * EACH * PARTITIONS, count) == (len(records), tries)
    else:
        assert tries > count
    gc.collect()
    assert [] == [record.message for record in caplog.records if record.name == "asyncio"]


@pytest.mark.slow
async def test_a_broker_that_stands_still(own_kafka: KafkaServer) -> None:
    """Frozen for longer than a delivery may take: given up, written anew, and what was under way comes late but in order."""
    await create_topic(own_kafka.direct, "out", PARTITIONS)
    sink = make(KafkaSink, brokers=own_kafka.direct, topic="out", delivery_timeout_ms=1_000, record_batch_max_bytes=10_000)
    await sink.open()
    making = batches()
    for _ in range(3):
        await sink.write(next(making))
    own_kafka.freeze()
    writing = asyncio.create_task(written(sink, next(making)))
    await asyncio.wait({writing}, timeout=4)
    own_kafka.thaw()
    async with asyncio.timeout(60):
        await writing
        await sink.write(next(making))
    await sink.close()
    assert [] == list(faults(await read_all(own_kafka.direct, "out"), 5 * EACH))


@pytest.mark.slow
async def test_a_broker_that_has_gone_is_asked_for_now_and_then(own_kafka: KafkaServer, caplog: pytest.LogCaptureFixture) -> None:
    """Stopped in good order it first says that nobody leads any more: aiokafka would then ask again at once, for ever."""
    await create_topic(own_kafka.direct, "out", PARTITIONS)
    sink = make(KafkaSink, brokers=own_kafka.direct, topic="out", delivery_timeout_ms=10_000, record_batch_max_bytes=10_000)
    await sink.open()
    caplog.set_level("ERROR", logger="aiokafka")
    stopping = asyncio.create_task(asyncio.to_thread(own_kafka.stop))
    with pytest.raises((Retry, Unavailable)):
        for batch in batches():
            await sink.write(batch)
    await stopping
    await sink.close()
    asked = [record for record in caplog.records if "Unable to update metadata" in record.message]
    assert 0 < len(asked) < 200
    gc.collect()
    assert [] == [record.message for record in caplog.records if record.name == "asyncio"]
