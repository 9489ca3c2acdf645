"""Record batches become messages, as aiokafka reads them, and one fetch unpacks no more than a portion."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st

from stockifyd.api import Message, Partition
from stockifyd_kafka import records as making
from stockifyd_kafka.portion import MOST_RECORDS, READ_BYTES, Portion
from stockifyd_kafka.unpacking import Fetches, Unpacking

TP, PARTITION = TopicPartition("t", 0), Partition("t", 0, "c")
HUGE = 32 * 2**20
in_c = pytest.mark.skipif(making._records is None, reason="_records was not compiled: there was no C compiler")


class Record(NamedTuple):
    """As a producer gives it."""

    offset: int
    value: bytes | None = b"x"
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Always:
    """An assignment that reads from an offset on, and is never taken away."""

    active = True
    paused = False

    def __init__(self, position: int) -> None:
        self.position = position

    def state_value(self, _tp: TopicPartition) -> Always:
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


def packed(*batches: Sequence[Record], compression: int = 0) -> bytes:
    """Batches as a broker sends them."""
    found = b""
    for records in batches:
        builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 2**30)
        base = records[0].offset
        for record in records:
            headers = [*record.headers]
            builder.append(record.offset - base, 1_700_000_000_000 + record.offset, record.key, record.value, headers)
        batch = bytearray(builder.build())
        batch[0:8] = base.to_bytes(8, "big")
        found += bytes(batch)
    return found


def records_of(data: bytes, offset: int = 0) -> PartitionRecords:
    return PartitionRecords(TP, MemoryRecords(data), [], offset, None, None, True, READ_COMMITTED)


def of_sizes(*sizes: int) -> PartitionRecords:
    return records_of(packed([Record(offset, bytes(size)) for offset, size in enumerate(sizes)]))


def fetched(portion: Portion, partitions: Sequence[Unpacking]) -> list[int]:
    """How many of each partition one fetch takes, as aiokafka's fetcher goes about it."""
    limit: Any = portion.begin()
    taken: list[int] = []
    for unpacking in partitions:
        result = FetchResult(TP, assignment=Always(unpacking.next_fetch_offset), partition_records=unpacking, backoff=0)
        drained = result.getall(limit)
        taken.append(sum(map(len, drained)))
        limit -= len(drained)
        if limit == 0:
            break
    return taken


def unpacked(portion: Portion, *sizes: int) -> Unpacking:
    return Unpacking(of_sizes(*sizes), PARTITION, portion)


@st.composite
def batches(draw: st.DrawFn) -> list[list[Record]]:
    """Batches with holes in them and between, as compaction leaves them."""
    offset, found = draw(st.integers(0, 5)), []
    for _ in range(draw(st.integers(1, 4))):
        records = []
        for _ in range(draw(st.integers(1, 6))):
            value, key = draw(st.none() | st.binary(max_size=40)), draw(st.none() | st.binary(max_size=4))
            headers = draw(st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=3)), max_size=2))
            records.append(Record(offset, value, key, headers))
            offset += draw(st.integers(1, 3))
        found.append(records)
    return found


@given(batches(), st.integers(0, 12), st.sampled_from([0, 1, 3]))
def test_messages_are_the_records(some: list[list[Record]], start: int, compression: int) -> None:
    """What aiokafka makes of the same bytes, from the same offset on; and reading goes on behind the same offset."""
    data = packed(*some, compression=compression)
    theirs, ours = records_of(data, start), Unpacking(records_of(data, start), PARTITION, Portion())
    expected = [(r.offset, r.value or b"", r.key, r.timestamp, r.headers) for r in theirs]
    messages: list[Message] = [message for part in ours for message in part]
    assert expected == [(m.position.offset, m.raw, m.key, m.timestamp_ms, tuple(m.headers)) for m in messages]
    assert all(message.position.partition is PARTITION for message in messages)
    assert theirs.next_fetch_offset == ours.next_fetch_offset


@in_c
@given(batches(), st.integers(0, 12), st.integers(1, 60), st.integers(1, 4), st.sampled_from([0, 1, 3]))
def test_in_c_as_in_python(some: list[list[Record]], start: int, room: int, left: int, compression: int) -> None:
    """The same messages, and the same left of the portion, wherever that ends."""
    data = packed(some[0], compression=compression)
    asked: tuple[Partition, int, int, int] = (PARTITION, start, room, left)
    first, second = (iter(MemoryRecords(data).next_batch()) for _ in range(2))  # type: ignore[union-attr]
    assert making.plain_messages(first, *asked) == making.messages(second, *asked)


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was installed without: messages all the same."""
    monkeypatch.setattr(making, "_records", None)
    assert [[0, 1]] == [[m.position.offset for m in part] for part in unpacked(Portion(), 1, 1)]


@in_c
@pytest.mark.parametrize("wrong", [{"value": "text"}, {"offset": "1"}, {"offset": 2**64}, {"headers": None}, {}])
def test_a_record_that_is_none(wrong: dict[str, Any]) -> None:
    """What aiokafka never gives is an error of Python's, not of the process; so is one that the records raise."""
    whole = {"offset": 1, "value": b"", "key": None, "timestamp": 0, "headers": ()}
    record = SimpleNamespace(**{name: value for name, value in {**whole, **wrong}.items() if wrong})
    with pytest.raises((TypeError, OverflowError, AttributeError)):
        making.messages(iter([record]), PARTITION, 0, 1, 1)
    with pytest.raises(ZeroDivisionError):
        making.messages((1 // n for n in [0]), PARTITION, 0, 1, 1)


@in_c
def test_nothing_leaks() -> None:
    """Neither messages nor positions outlive who holds them, also where a record is wrong."""
    good = SimpleNamespace(offset=10**6, value=b"x" * 99, key=b"k" * 99, timestamp=10**12, headers=[("h", b"v")])
    bad = SimpleNamespace(offset=10**6, value="x", key=None, timestamp=10**12, headers=[])
    tracemalloc.start()
    try:
        for _ in range(200):
            assert making.messages(iter([good] * 9), PARTITION, 0, 10**6, 100)[0]
            with pytest.raises(TypeError):
                making.messages(iter([good, bad]), PARTITION, 0, 10**6, 100)
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 20_000


def test_a_broken_batch_is_told() -> None:
    """Its checksum is not that of its bytes: what is before it is there."""
    data = packed([Record(0)]) + packed([Record(1, b"good")]).replace(b"good", b"evil")
    unpacking = Unpacking(records_of(data), PARTITION, Portion())
    assert [0] == [message.position.offset for message in next(unpacking)]
    with pytest.raises(CorruptRecordException):
        next(unpacking)


def test_what_is_fetched_becomes_messages_and_errors_stay() -> None:
    """In the place where aiokafka keeps what it has fetched."""
    fetches = Fetches({TP: PARTITION}, Portion())
    fetches[TP] = FetchResult(TP, assignment=Always(0), partition_records=of_sizes(1, 1), backoff=0)
    [[first, second]] = fetches[TP].getall(Portion())
    assert (0, 1) == (first.position.offset, second.position.offset)
    fetches[TP] = error = object()
    assert fetches[TP] is error


@pytest.mark.parametrize(("size", "records"), [(171_000, 25), (200, MOST_RECORDS), (5 * 2**20, 1), (0, MOST_RECORDS)])
def test_a_fetch_takes_what_fits(size: int, records: int) -> None:
    """About READ_BYTES, at least one record, at most MOST_RECORDS; the first fetch as the third, in the middle of a batch."""
    portion = Portion()
    one = unpacked(portion, *[size] * (3 * records + 1))
    assert [[records]] * 3 == [fetched(portion, [one]) for _ in range(3)]
    assert [1] == fetched(portion, [one])


def test_huge_records_do_not_come_together() -> None:
    """Behind one the fetch ends, though those before it were small; after them small ones come as ever."""
    portion = Portion()
    one = unpacked(portion, *[5] * 10, HUGE, HUGE, *[5] * MOST_RECORDS)
    assert [[11], [1], [MOST_RECORDS]] == [fetched(portion, [one]) for _ in range(3)]


def test_partitions_share_a_portion() -> None:
    """What one partition leaves the next one has; behind a full portion nothing is taken."""
    portion = Portion()
    assert [10, 15] == fetched(portion, [unpacked(portion, *[171_000] * n) for n in (10, 100, 1)])
    assert [1] == fetched(portion, [unpacked(portion, HUGE), unpacked(portion, 0)])


def test_whether_it_was_full() -> None:
    """A fetch that stopped because it was full may have left some; one that found no more has not."""
    portion = Portion()
    assert not portion.is_spent
    fetched(portion, [unpacked(portion, 0, 10)])
    assert not portion.is_spent
    fetched(portion, [unpacked(portion, READ_BYTES)])
    assert portion.is_spent
    assert not portion.begin().is_spent


def portions(sizes: Sequence[int]) -> Iterator[int]:
    """How many records each fetch takes, until all are taken."""
    portion = Portion()
    one = unpacked(portion, *sizes)
    while took := sum(fetched(portion, [one])):
        yield took


@settings(max_examples=20)
@given(st.lists(st.sampled_from([0, 1, 200, 171_000, 2**20, READ_BYTES, 3 * READ_BYTES]), min_size=1, max_size=12))
def test_every_record_is_taken(sizes: list[int]) -> None:
    """Whatever the sizes, reading goes forward, and no fetch brings more than READ_BYTES and one record."""
    at = 0
    for took in portions(sizes):
        assert sum(sizes[at : at + took - 1]) < READ_BYTES
        at += took
    assert len(sizes) == at
