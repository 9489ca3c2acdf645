"""What aiokafka has fetched and nobody will read is freed at once."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition


def let_go(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
    """Before these are paused, sought or taken away: what is there of them may be read no more, and is fetched again if need be.

    aiokafka drops it then; but it holds a generator that holds it, a cycle, with megabytes unpacked. Only the garbage collector
    frees it, and that is kept quiet (ADR 9).
    """
    fetched = consumer._fetcher._records if consumer._fetcher is not None else {}  # noqa: SLF001
    for tp in partitions:
        records = getattr(fetched.get(tp), "_partition_records", None)  # there may be an error instead
        if records is not None and records._records_iterator is not None:  # noqa: SLF001
            records._records_iterator.close()  # noqa: SLF001
