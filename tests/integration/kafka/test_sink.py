"""What the Kafka sink writes, keeps and refuses, on a real Kafka."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka.partitioner import murmur2

from kit.kafka_topics import add_partitions, admin, create_topic, delete_topic, produce, read_all
from kit.ports import free_port
from stockifyd.api import Batch, Drift, Message, Partition, Position, Receipt, Reject, Retry, Table, Unavailable
from stockifyd.testing import make, make_batch
from stockifyd_kafka import KafkaSink, connection, outlet

Written = Callable[..., Awaitable[tuple[Receipt, list[ConsumerRecord]]]]
RANDOM = Random(7)


def batch_of(*messages: Message) -> Batch:
    return Batch(messages)


def at(number: int, offset: int = 0, **more: Any) -> Message:
    return Message(Position(Partition("source", number), offset), **{"raw": b"%d/%d" % (number, offset), **more})


def unpackable(size: int) -> bytes:
    return RANDOM.randbytes(size)


@pytest.fixture
async def written(bench: Any) -> AsyncIterator[Written]:
    """Write batches to this test's topic with one sink, and read what is there then."""
    sinks = list[KafkaSink]()

    async def write(*batches: Batch, **options: Any) -> tuple[Receipt, list[ConsumerRecord]]:
        sink = make(KafkaSink, brokers=bench.kafka.bootstrap, topic=bench.topic, **options)
        sinks.append(sink)
        await sink.open()
        receipt = Receipt()
        for batch in batches:
            receipt = await sink.write(batch)
        return receipt, await read_all(bench.direct, bench.topic)

    yield write
    for sink in sinks:
        await sink.close()


async def test_messages(bench: Any, written: Written) -> None:
    """Bytes as they came, or the value as JSON; key, time and headers stay; headers say where each came from."""
    await bench.topic_with(1)
    batch = batch_of(
        at(0, 5, key=b"k", timestamp_ms=1_700_000_000_000, headers=(("own", b"1"), ("stockifyd-topic", b"old"))),
        at(0, 6, value={"a": [1, None]}),
        at(0, 7, value=b"\x00raw"),
    )
    receipt, records = await written(batch)
    assert (3, {}) == (receipt.rows, dict(receipt.rejected))
    assert [b"0/5", b'{"a":[1,null]}', b"\x00raw"] == [r.value for r in records]
    assert (b"k", 1_700_000_000_000) == (records[0].key, records[0].timestamp)
    about = {
        "own": b"1",
        "stockifyd-topic": b"source",
        "stockifyd-partition": b"0",
        "stockifyd-offset": b"5",
        "stockifyd-index": b"0",
    }
    assert (5, about) == (len(records[0].headers), dict(records[0].headers))


async def test_rows(bench: Any, written: Written) -> None:
    """With a table each row is a record, an object of its columns; the index is its number in its message, a column the key."""
    await bench.topic_with(1)
    table = Table(("symbol", "strike", "raw"), [("NIFTY", 1.5, b"x"), ("SENSEX", None, b"\xff"), (None, 2.0, b"")], [2, 2, 3])
    receipt, records = await written(make_batch(3).with_table("quotes", table), table="quotes", key="symbol")
    assert 3 == receipt.rows
    assert [
        {"symbol": "NIFTY", "strike": 1.5, "raw": "x"},
        {"symbol": "SENSEX", "strike": None, "raw": {"base64": "/w=="}},
        {"symbol": None, "strike": 2.0, "raw": ""},
    ] == [json.loads(r.value) for r in records]
    assert [b"NIFTY", b"SENSEX", None] == [r.key for r in records]
    assert [(b"0", b"0"), (b"0", b"1"), (b"2", b"0")] == [
        (dict(r.headers)["stockifyd-offset"], dict(r.headers)["stockifyd-index"]) for r in records
    ]


async def test_the_same_partition(bench: Any, written: Written) -> None:
    """By default a record is in the partition of its message's number, in order."""
    await bench.topic_with(3)
    batch = batch_of(*(at(number, offset) for offset in range(50) for number in (2, 0, 1)))
    _, records = await written(batch)
    for number in range(3):
        assert [b"%d/%d" % (number, offset) for offset in range(50)] == [r.value for r in records if r.partition == number]


async def test_partition_by_key(bench: Any, written: Written) -> None:
    """As Kafka's own clients choose; without a key by the source's number, so that order is kept."""
    await bench.topic_with(4)
    keys = [b"NIFTY", b"SENSEX", b"BANKNIFTY", None]
    batch = batch_of(*(at(number, n, key=key) for number in (0, 5) for n, key in enumerate(keys)))
    _, records = await written(batch, partition="key")
    assert {(key, (murmur2(key) & 0x7FFFFFFF) % 4) for key in keys if key} | {(None, 0), (None, 1)} == {
        (r.key, r.partition) for r in records
    }


async def test_too_few_partitions(bench: Any, written: Written) -> None:
    """A number that the topic does not have halts, with the command that cures it; after it the same sink goes on."""
    await bench.topic_with(1)
    with pytest.raises(Drift, match="has 1 partitions, and a message came from number 4") as found:
        await written(batch_of(at(4)))
    assert "--partitions 5" in found.value.hint
    await add_partitions(bench.direct, bench.topic, 5)
    _, records = await written(batch_of(at(4)))
    assert [4] == [r.partition for r in records]


@pytest.mark.parametrize("compression", ["lz4", "zstd", "snappy", "gzip", "none"])
async def test_compression(bench: Any, written: Written, compression: str) -> None:
    """Each kind can be read again."""
    await bench.topic_with(1)
    _, records = await written(batch_of(*(at(0, n, raw=b"x" * 3000) for n in range(20))), compression=compression)
    assert [b"x" * 3000] * 20 == [r.value for r in records]


async def test_many_records_in_order(bench: Any, written: Written) -> None:
    """More than go together at once: some megabytes over a few partitions."""
    await bench.topic_with(4)
    rows = [(n, "x" * (n % 300)) for n in range(20_000)]
    messages = tuple(at(n % 4, n) for n in range(200))
    batch = Batch(messages, {"t": Table(("n", "text"), rows, [100 * (n + 1) for n in range(200)])})
    receipt, records = await written(batch, table="t", record_batch_max_bytes=20_000)
    assert 20_000 == receipt.rows
    for number in range(4):
        expected = [n for n in range(20_000) if (n // 100) % 4 == number]
        assert expected == [json.loads(r.value)["n"] for r in records if r.partition == number]


async def test_a_row_that_is_too_large(bench: Any, written: Written) -> None:
    """Reject names it before anything is sent; what packs below the limit is none."""
    await bench.topic_with(1, max_message_bytes="100000")
    big = [("x" * 500_000,), (unpackable(100_000).hex(),), ("y",)]
    batch = make_batch(3).with_table("t", Table(("text",), big, [1, 2, 3]))
    with pytest.raises(Reject, match=r"a record of \d+ bytes, and topic '.*' takes 100000") as found:
        await written(batch, table="t")
    assert ("t", 1) == (found.value.table, found.value.row)
    assert [] == await read_all(bench.direct, bench.topic)
    _, records = await written(batch.reject({1: found.value}), table="t")
    assert [500_011, 12] == [len(r.value) for r in records]


async def test_messages_that_cannot_be_written(bench: Any, written: Written) -> None:
    """Too large, or no JSON: the receipt names them, and all others are written."""
    await bench.topic_with(1, max_message_bytes="100000")
    batch = batch_of(at(0, 0), at(0, 1, raw=unpackable(200_000)), at(0, 2, value=object()), at(0, 3))
    receipt, records = await written(batch)
    assert [b"0/0", b"0/3"] == [r.value for r in records]
    assert [1, 2] == sorted(receipt.rejected)
    assert receipt.rejected[1].startswith("a record of 200")
    assert "the value cannot be JSON: Encoding objects of type object is unsupported" == receipt.rejected[2]


async def test_an_option_lowers_the_limit(bench: Any, written: Written) -> None:
    """`record_max_bytes` is for those who want less than the topic takes."""
    await bench.topic_with(1)
    receipt, _ = await written(batch_of(at(0, 0, raw=unpackable(5000))), record_max_bytes=4000)
    assert [0] == list(receipt.rejected)


async def test_a_compacted_topic_needs_keys(bench: Any, written: Written) -> None:
    """A record without one is refused before the broker would refuse the whole batch."""
    await bench.topic_with(1, cleanup_policy="compact")
    receipt, records = await written(batch_of(at(0, 0, key=b"k"), at(0, 1)))
    assert ([b"k"], [1]) == ([r.key for r in records], list(receipt.rejected))


async def test_a_limit_that_was_lowered_meanwhile(bench: Any) -> None:
    """The broker refuses what went before: looked up anew, and the same batch is written in smaller parts."""
    await bench.topic_with(1)
    sink = make(KafkaSink, brokers=bench.kafka.bootstrap, topic=bench.topic)
    await sink.open()
    await alter(bench.direct, bench.topic, "max.message.bytes", "50000")
    batch = batch_of(*(at(0, n, raw=unpackable(20_000)) for n in range(5)))
    with pytest.raises(Retry, match="takes less at a time than before"):
        for _ in range(500):  # the broker hears of it a moment later
            await sink.write(batch)
    await sink.write(batch)
    await sink.close()
    assert [m.raw for m in batch.messages] == [r.value for r in await read_all(bench.direct, bench.topic)][-5:]


async def alter(bootstrap: str, topic: str, name: str, value: str) -> None:
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    async with admin(bootstrap) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {name: value})])


async def test_settings_that_cannot_be_read(
    bench: Any, written: Written, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Kafka's default is taken, which is said; if the topic takes less, it halts and names the option."""
    await bench.topic_with(1, max_message_bytes="50000")

    async def refused(*_: Any) -> Any:
        raise outlet.kafka.TopicAuthorizationFailedError(bench.topic)

    monkeypatch.setattr("aiokafka.admin.AIOKafkaAdminClient.describe_configs", refused)
    caplog.set_level(logging.INFO)
    with pytest.raises(Drift, match="takes less at a time") as found:
        await written(batch_of(*(at(0, n, raw=unpackable(20_000)) for n in range(5))))
    assert "record_max_bytes" in found.value.hint
    assert "cannot be read, taking Kafka's defaults" in caplog.text
    with pytest.raises(Reject, match="refuses it: MessageSizeTooLargeError") as refusal:
        await written(make_batch(1).with_table("t", Table(("a",), [(unpackable(50_000).hex(),)], [1])), table="t")
    assert ("t", 0) == (refusal.value.table, refusal.value.row)


async def test_a_time_that_the_broker_refuses(bench: Any, written: Written) -> None:
    """Far in the future: the data's fault, so the runtime searches for the message, and the others are written."""
    await bench.topic_with(1)
    far = int((time.time() + 86_400) * 1000)
    with pytest.raises(Reject, match="refuses it: InvalidTimestampError") as found:
        await written(batch_of(at(0, 0, timestamp_ms=far), at(0, 1)))
    assert None is found.value.row
    _, records = await written(batch_of(at(0, 1)))
    assert b"0/1" == records[-1].value


async def test_a_missing_topic(bench: Any, written: Written) -> None:
    """It halts, is not made, and how to make it is said."""
    with pytest.raises(Drift, match=f"no topic '{bench.topic}'.*none is created") as found:
        await written()
    assert "--create" in found.value.hint
    async with admin(bench.direct) as client:
        assert bench.topic not in await client.list_topics()


async def test_a_topic_that_is_deleted(bench: Any) -> None:
    """While it is written: Drift, within the time for a delivery."""
    await bench.topic_with(1)
    sink = make(KafkaSink, brokers=bench.kafka.bootstrap, topic=bench.topic, delivery_timeout_ms=4000)
    await sink.open()
    await sink.write(batch_of(at(0)))
    await delete_topic(bench.direct, bench.topic)
    with pytest.raises(Drift, match=f"no topic '{bench.topic}'"):
        for offset in range(100):
            await sink.write(batch_of(at(0, offset)))
    await sink.close()


async def test_no_broker_is_unavailable() -> None:
    """The reason of each broker is said."""
    port = free_port()
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}: ConnectionRefusedError"):
        await make(KafkaSink, brokers=f"127.0.0.1:{port}", topic="t").open()


async def test_a_wrong_password_is_drift(bench: Any) -> None:
    """It halts, and is not printed."""
    await bench.topic_with(1)
    door = {"brokers": bench.kafka.sasl, "security": "SASL_PLAINTEXT", "username": "reader", "topic": bench.topic}
    sink = make(KafkaSink, **door, password="reader-secret")
    await sink.open()
    await sink.close()
    with pytest.raises(Drift) as found:
        await make(KafkaSink, **door, password="hunter2").open()
    assert "hunter2" not in f"{found.value} {found.value.hint}"


async def test_probe(bench: Any) -> None:
    """A healthy far side has no finding; a topic that is missing is one."""
    sink = make(KafkaSink, brokers=bench.kafka.bootstrap, topic=bench.topic)
    [finding] = await sink.probe()
    assert f"no topic '{bench.topic}'" in finding and "HINT: kafka-topics.sh --create" in finding
    await bench.topic_with(1)
    assert () == await sink.probe()


async def test_an_unknown_table_or_column(bench: Any, written: Written) -> None:
    """It halts; `wants` lets `validate` find it before."""
    await bench.topic_with(1)
    with pytest.raises(Drift, match="no table 'x' arrives here"):
        await written(make_batch(1), table="x")
    with pytest.raises(Drift, match="table 'options' has no column 'strike'"):
        await written(make_batch(1), table="options", key="strike")
    assert {"options": ("strike",)} == make(KafkaSink, brokers="b", topic="t", table="options", key="strike").wants()


async def test_a_write_that_is_cancelled_sends_nothing_later(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not sent yet never is: what is written next is not followed by it."""
    await bench.topic_with(1)
    sink = make(KafkaSink, brokers=bench.kafka.bootstrap, topic=bench.topic)
    await sink.open()
    bench.kafka.freeze()
    try:
        writing = asyncio.create_task(sink.write(batch_of(*(at(0, n, raw=unpackable(300_000)) for n in range(20)))))
        await asyncio.wait({writing}, timeout=0.5)
        writing.cancel()
        await asyncio.wait({writing})
    finally:
        bench.kafka.thaw()
    await sink.write(batch_of(at(0, 99)))
    await sink.close()
    assert b"0/99" == (await read_all(bench.direct, bench.topic))[-1].value


async def test_closing_while_nobody_answers(bench: Any) -> None:
    """It takes a few seconds at most, and leaves no task behind."""
    await bench.topic_with(1)
    before = asyncio.all_tasks()
    sink = make(KafkaSink, brokers=bench.kafka.bootstrap, topic=bench.topic, delivery_timeout_ms=1000)
    await sink.open()
    bench.kafka.freeze()
    try:
        with pytest.raises(Unavailable, match="not acknowledged within 1 s"):
            await sink.write(batch_of(at(0)))
        async with asyncio.timeout(2 * connection.STOP_SECS + 5):
            await sink.close()
    finally:
        bench.kafka.thaw()
    assert before == asyncio.all_tasks()


async def test_what_another_pipeline_wrote_can_be_read(bench: Any, written: Written) -> None:
    """From one topic into another by our own source: the positions in the headers are those of the first."""
    await bench.topic_with(2)
    await create_topic(bench.direct, f"{bench.topic}-in", 2)
    offsets = await produce(bench.direct, f"{bench.topic}-in", [b"a", b"b"], partition=1)
    source = bench.source(topics=[f"{bench.topic}-in"])
    await source.open()
    found = list[Message]()
    reading = source.read(bench.ledger())
    while len(found) < 2:
        found += await anext(reading)
    await reading.aclose()
    _, records = await written(batch_of(*found))
    assert [(1, b"1", b"%d" % offset) for offset in offsets] == [
        (r.partition, dict(r.headers)["stockifyd-partition"], dict(r.headers)["stockifyd-offset"]) for r in records
    ]
