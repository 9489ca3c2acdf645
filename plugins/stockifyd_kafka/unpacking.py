"""Record batches as they came from a broker, unpacked straight into messages: many at a time, and no more than a portion."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords

from stockifyd.api import Message, Partition
from stockifyd_kafka.portion import Portion
from stockifyd_kafka.records import messages


class Fetches(OrderedDict[TopicPartition, Any]):
    """What a consumer has fetched and not yet handed out, in the place of aiokafka's own: `getmany` gives lists of messages.

    aiokafka makes a ConsumerRecord of each record, with three calls in Python for it: of a message of one row that was two thirds
    of what reading it cost.
    """

    def __init__(self, names: Mapping[TopicPartition, Partition], portion: Portion) -> None:
        super().__init__()
        self._names, self._portion = names, portion

    def __setitem__(self, tp: TopicPartition, fetched: Any) -> None:
        if isinstance(fetched, FetchResult):  # there may be an error instead
            fetched._partition_records = Unpacking(fetched._partition_records, self._names[tp], self._portion)  # noqa: SLF001
        super().__setitem__(tp, fetched)


class Unpacking:
    """The records of one partition, as aiokafka's PartitionRecords has them, but lists of messages.

    Each list ends where the portion does, or the batch. What it judges a batch by is aiokafka's.
    """

    def __init__(self, records: PartitionRecords, partition: Partition, portion: Portion) -> None:
        self.next_fetch_offset: int = records.next_fetch_offset
        self._of, self._partition, self._portion = records, partition, portion
        with closing(records._records_iterator):  # noqa: SLF001  it holds the records, which hold it
            records._records_iterator = None  # noqa: SLF001
        self._records_iterator: Iterator[list[Message]] | None = self._parts()

    def __iter__(self) -> Iterator[list[Message]]:
        return self

    def __next__(self) -> list[Message]:
        if self._records_iterator is None:
            raise StopIteration
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None  # a cycle
            raise

    def _parts(self) -> Iterator[list[Message]]:
        packed = self._of._records  # noqa: SLF001
        while packed.has_next():
            batch = packed.next_batch()
            if self._of._check_crcs and not batch.validate_crc():  # noqa: SLF001
                raise kafka.CorruptRecordException(f"Invalid CRC - {self._of._tp}")  # noqa: SLF001
            if self._is_read(batch):
                for part in self._messages(batch):
                    self.next_fetch_offset = part[-1].position.offset + 1
                    yield part
            # Where compaction took the last records the next fetch begins behind them all the same.
            self.next_fetch_offset = batch.next_offset

    def _is_read(self, batch: Any) -> bool:
        """Whether what a batch holds is for readers: no control batch, nothing of a transaction that was aborted."""
        of = self._of
        if of._isolation_level != 0 and batch.producer_id is not None:  # noqa: SLF001
            of._consume_aborted_up_to(batch.base_offset)  # noqa: SLF001
            if batch.is_control_batch and of._contains_abort_marker(batch):  # noqa: SLF001
                of._aborted_producers.discard(batch.producer_id)  # noqa: SLF001
            if batch.is_transactional and batch.producer_id in of._aborted_producers:  # noqa: SLF001
                return False
        return not batch.is_control_batch

    def _messages(self, batch: Any) -> Iterator[list[Message]]:
        """Those not before the next offset, in parts that end with the portion."""
        records, first, portion = iter(batch), self.next_fetch_offset, self._portion
        is_more = True  # aiokafka's iterator must not be asked again once it has ended
        while is_more:
            part, portion.room, portion.left = messages(records, self._partition, first, portion.room, portion.left)
            is_more = bool(part) and portion.is_spent
            if part:
                yield part
