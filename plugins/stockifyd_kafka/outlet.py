"""One idempotent producer: sends records in order, waits for all of them, and can be left without waiting."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from logging import Logger
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from stockifyd_kafka.connection import CONNECT_SECS, calm, client_arguments, reach
from stockifyd_kafka.options import KafkaSinkOptions
from stockifyd_kafka.outgoing import Outgoing
from stockifyd_kafka.parting import STOP_SECS
from stockifyd_kafka.topic import Limits, Partitions, check_there, limits_of

LOOK_SECS = 0.02
TURN_RECORDS = 500
"""Records until others have their turn on the event loop."""
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


_NEVER = (kafka.MessageSizeTooLargeError, kafka.RecordListTooLargeError, kafka.InvalidTimestampError)


class RefusedError(Exception):
    """The broker never takes these records as they are."""

    def __init__(self, error: BaseException, records: list[Outgoing]) -> None:
        super().__init__(str(error))
        self.error, self.records = error, records


class Outlet:
    """A producer that is connected, and the topic that it writes."""

    def __init__(self, options: KafkaSinkOptions, producer: AIOKafkaProducer, limits: Limits) -> None:
        self.limits = limits
        self.partitions = Partitions(options, self._count)
        self._options, self._producer, self._counted = options, producer, 1

    @classmethod
    async def open(cls, options: KafkaSinkOptions, log: Logger) -> Outlet:
        """Connect. Raises Drift where the topic is missing, and aiokafka's errors."""
        await reach(options)
        limits = await limits_of(options, log)
        producer = AIOKafkaProducer(
            **client_arguments(options, timeout_ms=max(1_000, options.delivery_timeout_ms // 3)),
            client_id="stockifyd",
            acks="all",
            enable_idempotence=True,
            compression_type=None if options.compression == "none" else options.compression,
            max_batch_size=min(options.record_batch_max_bytes, limits.max_bytes),
        )
        calm(producer.client)
        outlet = cls(options, producer, limits)
        try:
            async with asyncio.timeout(CONNECT_SECS):
                await producer.start()
                check_there(options, await producer.client.fetch_all_metadata())
                await producer.partitions_for(options.topic)
        except BaseException:
            await outlet.leave()
            raise
        return outlet

    def _count(self) -> int:
        """Partitions, as far as they are known: while the topic is asked for, as many as there were."""
        found = self._producer.client.cluster.partitions_for_topic(self._options.topic)
        self._counted = len(found) if found else self._counted
        return self._counted

    async def is_there(self) -> None:
        """Drift where the topic has gone; aiokafka's errors where nobody says."""
        async with asyncio.timeout(CONNECT_SECS):
            check_there(self._options, await self._producer.client.fetch_all_metadata())

    def check(self, record: Outgoing) -> str:
        """Why the topic would never take a record; nothing if it would. Nothing of a batch is sent before all are checked."""
        if record.key is None and self.limits.compacted:
            return f"a record without a key, and topic '{self._options.topic}' is compacted"
        most = self.limits.max_bytes
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(record.key, record.value, record.headers)
        if size > most and (size := self._packed_size(record)) > most:
            return f"a record of {size} bytes, and topic '{self._options.topic}' takes {most} (max.message.bytes)"
        return ""

    async def send(self, records: Iterable[Outgoing]) -> None:
        """All replicas in sync have all of it when this returns. RefusedError for what is never taken; aiokafka's errors."""
        by_partition: defaultdict[int, list[Outgoing]] = defaultdict(list)
        for record in records:
            by_partition[record.partition].append(record)
        sending = [asyncio.ensure_future(self._send(number, part)) for number, part in by_partition.items()]
        try:
            if sending:
                await asyncio.wait(sending)
                for task in sending:
                    task.result()
        finally:
            for task in sending:
                task.cancel()
                task.add_done_callback(_heard)

    async def leave(self) -> None:
        """Close without sending what waits: it will be written again. Bounded in time, whatever aiokafka does."""
        producer: Any = self._producer
        if producer._closed:  # noqa: SLF001
            return
        producer._closed = True  # noqa: SLF001  stop() would wait until all is sent, and for ever where nobody answers
        sender: asyncio.Task[None] | None = producer._sender.sender_task  # noqa: SLF001
        if sender is not None:
            sender.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECS):
                await producer.client.close()
        for _ in range(int(STOP_SECS / LOOK_SECS)):
            if sender is None or sender.done():
                break
            # A request that failed waits for news of the cluster, which nobody brings any more.
            if (news := producer.client._md_update_fut) is not None:  # noqa: SLF001
                news.cancel()
            await asyncio.sleep(LOOK_SECS)
        if sender is not None and sender.done() and not sender.cancelled():
            sender.exception()

    async def _send(self, number: int, records: list[Outgoing]) -> None:
        """The records of one partition, in order: a few batches, the next behind the one before it."""
        sent = list[tuple[asyncio.Future[Any], list[Outgoing]]]()
        batch, inside = self._producer.create_batch(), list[Outgoing]()
        for place, record in enumerate(records):
            if not _append(batch, record):
                sent.append((await self._under_way(batch, number), inside))
                batch, inside = self._producer.create_batch(), []
                _append(batch, record)
            inside.append(record)
            if place % TURN_RECORDS == 0:
                await asyncio.sleep(0)
        sent.append((await self._under_way(batch, number), inside))
        answers = await asyncio.gather(*(future for future, _ in sent), return_exceptions=True)
        for answer, (_, inside) in zip(answers, sent, strict=True):
            if isinstance(answer, _NEVER):
                raise RefusedError(answer, inside)
            if isinstance(answer, BaseException):
                raise answer

    async def _under_way(self, batch: Any, number: int) -> asyncio.Future[Any]:
        """The answer to come. This waits, and may fail, while the batch before is not on its way."""
        answer: asyncio.Future[Any] = await self._producer.send_batch(batch, self._options.topic, partition=number)
        answer.add_done_callback(_heard)
        return answer

    def _packed_size(self, record: Outgoing) -> int:
        builder = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=CODECS[self._options.compression],
            is_transactional=0,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=0,
            batch_size=1,
        )
        builder.append(0, 0, key=record.key, value=record.value, headers=record.headers)
        return len(builder.build())


def _heard(done: asyncio.Future[Any]) -> None:
    """An answer that nobody waits for any more: without this, asyncio would complain when it is an error."""
    if not done.cancelled():
        done.exception()


def _append(batch: Any, record: Outgoing) -> bool:
    """Whether there was room; in an empty batch there always is."""
    return batch.append(timestamp=record.timestamp_ms, key=record.key, value=record.value, headers=record.headers) is not None
