"""What was fetched and will not be read."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from kit.kafka_topics import produce
from stockifyd_kafka.leftovers import let_go

COUNT = 50


@pytest.fixture
def no_collector() -> Iterator[None]:
    """As good as in a daemon, where it runs very seldom."""
    gc.disable()
    yield
    gc.enable()


async def test_what_a_pause_leaves_unread_is_freed_and_read_later(bench: Any, no_collector: None) -> None:
    """What is unpacked of a partition goes with its pause, without the garbage collector; each record still comes, once."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [bytes(20_000)] * COUNT, compression_type="gzip")
    consumer, tp = AIOKafkaConsumer(bootstrap_servers=bench.direct, enable_auto_commit=False), TopicPartition(bench.topic, 0)
    await consumer.start()
    try:
        consumer.assign([tp])
        consumer.seek(tp, 0)
        seen = [record.offset for record in (await consumer.getmany(timeout_ms=10_000, max_records=3))[tp]]
        unread = weakref.ref(consumer._fetcher._records[tp]._partition_records)
        let_go(consumer, [tp])
        consumer.pause(tp)
        assert {} == await consumer.getmany(timeout_ms=300)
        assert unread() is None
        consumer.resume(tp)
        while len(seen) < COUNT:
            seen += [record.offset for record in (await consumer.getmany(timeout_ms=10_000))[tp]]
    finally:
        await consumer.stop()
    assert list(range(COUNT)) == seen
