"""What tests do to topics: create, produce, delete records, read committed offsets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.errors import CoordinatorLoadInProgressError, GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError
from aiokafka.structs import OffsetAndMetadata

from stockifyd_kafka.connection import calm

NOT_YET = (CoordinatorLoadInProgressError, GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError)
COORDINATOR_SECS = 30


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client for a few calls. aiokafka does not wait for the controller that a thawed broker has yet to find."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        async with asyncio.timeout(COORDINATOR_SECS):
            while client._client.cluster.controller is None:
                await client._client.force_metadata_update()
                await asyncio.sleep(0.1)
        yield client
    finally:
        await client.close()


async def create_topic(bootstrap: str, topic: str, partitions: int = 1, **configs: str) -> None:
    """A new topic, which the broker knows when this returns; options as `retention_ms="1000"`."""
    async with admin(bootstrap) as client:
        settings = {name.replace("_", "."): value for name, value in configs.items()}
        answer = await client.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])
        for name, code, *message in answer.topic_errors:
            if code:
                raise RuntimeError(f"topic {name!r} was not created: {code} {message}")
        async with asyncio.timeout(COORDINATOR_SECS):
            while topic not in await client.list_topics():  # made by the controller, and heard of by the broker a moment later
                await asyncio.sleep(0.05)


async def delete_topic(bootstrap: str, topic: str) -> None:
    """Delete a topic."""
    async with admin(bootstrap) as client:
        await client.delete_topics([topic])


async def add_partitions(bootstrap: str, topic: str, total: int) -> None:
    """Grow a topic to `total` partitions."""
    async with admin(bootstrap) as client:
        await client.create_partitions({topic: NewPartitions(total)})


async def delete_records(bootstrap: str, before: Mapping[tuple[str, int], int]) -> None:
    """Move the start of partitions' logs to these offsets, as retention does."""
    async with admin(bootstrap) as client:
        await client.delete_records({TopicPartition(*tp): RecordsToDelete(offset) for tp, offset in before.items()})


async def committed(bootstrap: str, group: str) -> dict[tuple[str, int], int]:
    """What a group has committed."""
    async with admin(bootstrap) as client:
        found = await _group_offsets(client, group)
    return {(tp.topic, tp.partition): meta.offset for tp, meta in found.items() if meta.offset >= 0}


async def _group_offsets(client: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
    """The broker makes the topic of its groups when it is first asked for one: until then nobody coordinates."""
    async with asyncio.timeout(COORDINATOR_SECS):
        while True:
            try:
                found: dict[TopicPartition, OffsetAndMetadata] = await client.list_consumer_group_offsets(group)
            except NOT_YET:
                await asyncio.sleep(0.2)
            else:
                return found


@asynccontextmanager
async def producer(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that does not wait to fill its batches."""
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, **{"max_request_size": 16 * 2**20, "acks": "all", **options})
    calm(client.client)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def produce(
    bootstrap: str, topic: str, values: Iterable[bytes], *, partition: int = 0, timestamp_ms: int | None = None, **options: Any
) -> list[int]:
    """Send values to one partition; answers with their offsets."""
    async with producer(bootstrap, **options) as client:
        waiting = [await client.send(topic, value, partition=partition, timestamp_ms=timestamp_ms) for value in values]
        await client.flush()
        return [(await each).offset for each in waiting]


async def produce_all(bootstrap: str, topic: str, values: Mapping[int, Iterable[bytes]], **options: Any) -> None:
    """Send many values to many partitions over one producer."""
    async with producer(bootstrap, **options) as client:
        for partition, lot in values.items():
            for value in lot:
                await client.send(topic, value, partition=partition)
        await client.flush()


async def produce_transaction(bootstrap: str, topic: str, values: Iterable[bytes], *, abort: bool, partition: int = 0) -> None:
    """Send values in one transaction, and commit or abort it."""
    async with producer(bootstrap, transactional_id=f"tests-{topic}-{partition}") as client:
        await client.begin_transaction()
        for value in values:
            await client.send(topic, value, partition=partition)
        await client.flush()
        await (client.abort_transaction() if abort else client.commit_transaction())


async def read_all(bootstrap: str, topic: str) -> list[ConsumerRecord]:
    """Every record that a topic has now, partition after partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    await consumer.start()
    try:
        tps = await _partitions(consumer, topic)
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        found: list[ConsumerRecord] = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """All of a topic. A broker that was just thawed may not tell of it yet: that is waited for, and is no empty topic."""
    async with asyncio.timeout(COORDINATOR_SECS):
        await consumer._client.add_topic(topic)
        while not (numbers := consumer.partitions_for_topic(topic)):
            await consumer._client.force_metadata_update()
            await asyncio.sleep(0.1)
    return [TopicPartition(topic, number) for number in sorted(numbers)]


async def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """Where each partition that has a message ends."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        tps = await _partitions(consumer, topic)
        return {tp.partition: end for tp, end in (await consumer.end_offsets(tps)).items() if end}
    finally:
        await consumer.stop()
