"""What Kafka's logs may hold: aborted transactions, every codec, gaps, and a topic made anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kit.eventually import eventually
from kit.kafka_topics import committed, create_topic, delete_records, delete_topic, produce, produce_transaction
from stockifyd.api import Drift, Message, Partition, Position


async def test_aborted_messages_are_no_gap(bench: Any) -> None:
    """They are not read, and the position goes past them and past the control records behind them."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"a"])
    await produce_transaction(bench.direct, bench.topic, [b"never"] * 5, abort=True)
    await produce_transaction(bench.direct, bench.topic, [b"b", b"c"], abort=False)
    await produce_transaction(bench.direct, bench.topic, [b"never"] * 5, abort=True)
    ledger = bench.ledger()
    async with bench.reading(ledger) as task:
        assert await bench.stored(ledger, 3, task) == [b"a", b"b", b"c"]
        # 1 + (5 + 1) + (2 + 1) + (5 + 1): a control record ends each transaction.
        await eventually(lambda: ledger.offsets() == {(bench.topic, 0): 16})
        assert {0} == set(bench.sources[-1].lag().values())
    async with bench.reading(ledger, on_gap="halt") as task:
        await produce(bench.direct, bench.topic, [b"d"])
        assert await bench.stored(ledger, 4, task) == [b"a", b"b", b"c", b"d"]
    assert ledger.db.execute("SELECT * FROM gaps").fetchall() == []


async def test_uncommitted_may_be_asked_for(bench: Any) -> None:
    """With `read_uncommitted` aborted messages are read."""
    await bench.topic_with(1)
    await produce_transaction(bench.direct, bench.topic, [b"aborted"], abort=True)
    ledger = bench.ledger()
    async with bench.reading(ledger, isolation="read_uncommitted") as task:
        assert await bench.stored(ledger, 1, task) == [b"aborted"]


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
async def test_codecs(bench: Any, codec: str | None) -> None:
    """Each compression is read, with messages of the size of a chain."""
    await bench.topic_with(1)
    values = [bytes([65 + n]) * 170_000 for n in range(20)]
    await produce(bench.direct, bench.topic, values, compression_type=codec)
    ledger = bench.ledger()
    async with bench.reading(ledger) as task:
        assert values == await bench.stored(ledger, 20, task)


async def lose(bench: Any) -> Any:
    """Read two messages, then have the log begin at 5 of 8."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"0", b"1"])
    ledger = bench.ledger()
    async with bench.reading(ledger) as task:
        await bench.stored(ledger, 2, task)
    await produce(bench.direct, bench.topic, [b"%d" % n for n in range(2, 8)])
    await delete_records(bench.direct, {(bench.topic, 0): 5})
    return ledger


async def test_a_gap_halts(bench: Any) -> None:
    """The offsets and the cure are said; nothing is read."""
    ledger = await lose(bench)
    async with bench.reading(ledger) as task:
        with pytest.raises(Drift, match=f"{bench.topic}/0: offsets 2 to 4 were never read") as raised:
            await task
    assert "on_gap: continue" in raised.value.hint
    assert ledger.values(bench.topic) == [b"0", b"1"]


async def test_a_gap_may_be_recorded(bench: Any) -> None:
    """With `on_gap: continue` the span is recorded, and reading goes on behind it."""
    ledger = await lose(bench)
    async with bench.reading(ledger, on_gap="continue") as task:
        assert await bench.stored(ledger, 5, task) == [b"0", b"1", b"5", b"6", b"7"]
    assert [(bench.topic, 0, 2, 5)] == [row[:4] for row in ledger.db.execute("SELECT * FROM gaps")]


async def test_a_gap_made_while_reading_halts_too(bench: Any) -> None:
    """Retention overtakes a source that is paused: on resuming it is noticed."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"0", b"1"])
    ledger = bench.ledger()
    async with bench.reading(ledger) as task:
        await bench.stored(ledger, 2, task)
        bench.sources[-1].pause()
        await produce(bench.direct, bench.topic, [b"%d" % n for n in range(2, 8)])
        await delete_records(bench.direct, {(bench.topic, 0): 5})
        bench.sources[-1].resume()
        with pytest.raises(Drift, match="offsets 2 to 4 were never read"):
            await task


async def recreate(bench: Any, count: int) -> Any:
    """Read four messages, then have another topic of the same name with `count` other messages."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"old-%d" % n for n in range(4)])
    ledger = bench.ledger()
    async with bench.reading(ledger) as task:
        await bench.stored(ledger, 4, task)
    await delete_topic(bench.direct, bench.topic)
    await bench.again(lambda: create_topic(bench.direct, bench.topic, 1))
    await produce(bench.direct, bench.topic, [b"new-%d" % n for n in range(count)])
    return ledger


async def test_a_topic_made_anew_and_shorter_halts(bench: Any) -> None:
    """What is stored is beyond its end."""
    ledger = await recreate(bench, 2)
    async with bench.reading(ledger) as task:
        with pytest.raises(Drift, match="from offset 4, but it ends at 2: the topic was made anew"):
            await task


async def test_what_another_stores_while_one_claims_is_no_other_topic(bench: Any) -> None:
    """The ledger may be beyond the end that was seen before the claim: an earlier owner went on until then."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"a"])
    earlier = bench.ledger("earlier")
    async with bench.reading(earlier) as task:
        await bench.stored(earlier, 1, task)
    heir = bench.ledger("heir")
    take = heir.take

    async def late(starts: Mapping[Partition, int], committed: Mapping[Partition, int]) -> dict[Partition, int]:
        await produce(bench.direct, bench.topic, [b"b"])
        [partition] = await earlier.take(starts)
        earlier.store([Message(Position(partition, 1), b"b")], {partition: 2})
        found: dict[Partition, int] = await take(starts, committed)
        return found

    heir.take = late
    async with bench.reading(heir) as task:
        await eventually(lambda: heir.next or task.done())
        await produce(bench.direct, bench.topic, [b"c"])
        assert await bench.stored(heir, 3, task) == [b"a", b"b", b"c"]


async def test_a_topic_made_anew_and_longer_is_recognised(bench: Any) -> None:
    """Another message lies where the last stored one lay."""
    ledger = await recreate(bench, 9)
    async with bench.reading(ledger) as task:
        with pytest.raises(Drift, match="another message was stored at 3"):
            await task


async def test_a_control_record_before_the_offset_is_unknown(bench: Any) -> None:
    """Behind a transaction there is nothing to recognise, and reading goes on."""
    await bench.topic_with(1)
    await produce_transaction(bench.direct, bench.topic, [b"a"], abort=False)
    ledger = bench.ledger()
    async with bench.reading(ledger) as task:
        await eventually(lambda: ledger.offsets() == {(bench.topic, 0): 2})
    async with bench.reading(ledger) as task:
        await produce(bench.direct, bench.topic, [b"b"])
        assert await bench.stored(ledger, 2, task) == [b"a", b"b"]


async def test_commits_never_pass_the_ledger(bench: Any) -> None:
    """What Kafka knows is at most what is stored."""
    await bench.topic_with(2)
    await produce(bench.direct, bench.topic, [b"x"] * 50)
    ledger = bench.ledger()
    async with bench.reading(ledger) as task:
        await bench.stored(ledger, 50, task)
    found = await committed(bench.direct, bench.group)
    assert {(bench.topic, 0), (bench.topic, 1)} == set(found)
    assert all(found[tp] <= at for tp, at in ledger.offsets().items())
