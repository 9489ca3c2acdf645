"""The pipeline on fakes: whatever fails, each message is there exactly once."""

from __future__ import annotations

import asyncio

import pytest

from stockifyd.api import Message, Position, Retry, Unavailable
from stockifyd.runtime.blueprint import LaneComponents
from stockifyd.runtime.state import State
from stockifyd.testing import MemoryLedger, MemoryRows, MemorySink, MemoryStore, MemoryTopic, make
from unit.runtime.pipelines import blueprint, bodies, context, finish, running, texts, until


async def test_bounded_source_is_delivered_whole_and_finishes() -> None:
    """Every message becomes a row, in order, and the pipeline is finished."""
    topic, store = MemoryTopic(*bodies(1000)), MemoryStore()
    pipeline = await finish(blueprint(topic, store))
    assert texts(store) == bodies(1000)
    assert store.breaks() == []
    assert pipeline.state is State.FINISHED
    assert pipeline.counters.delivered == 1000


async def test_order_holds_in_every_partition_over_lanes() -> None:
    """Lanes share partitions; each partition's chain is contiguous."""
    topic, store = MemoryTopic(*bodies(700), partitions=7), MemoryStore()
    await finish(blueprint(topic, store, lanes=3))
    assert sorted(texts(store)) == sorted(bodies(700))
    assert store.breaks() == []


async def test_batches_are_bounded_in_rows() -> None:
    """No batch of several messages has more rows than allowed."""
    topic, store = MemoryTopic(*bodies(300)), MemoryStore()
    await finish(blueprint(topic, store, rows_each=10, batch_max_rows=50))
    assert max(commit.batch.row_count for commit in store.history) <= 50
    assert len(store.rows["options"]) == 3000


async def test_batches_are_bounded_in_bytes() -> None:
    """A batch closes at so many raw bytes, but holds one message at least."""
    topic, store = MemoryTopic("x" * 100, "y" * 1000, *["z" * 100] * 20), MemoryStore()
    await finish(blueprint(topic, store, batch_max_bytes=300))
    sizes = [sum(len(m.raw) for m in c.batch.messages) for c in store.history]
    assert all(size <= 300 or len(c.batch.messages) == 1 for size, c in zip(sizes, store.history, strict=True))
    assert len(store.messages) == 22


@pytest.mark.parametrize("error", [Retry("deadlock"), Unavailable("down"), RuntimeError("bug")])
async def test_failed_write_is_tried_again(error: Exception) -> None:
    """Once each, nothing is lost or doubled."""
    topic, store = MemoryTopic(*bodies(50)), MemoryStore()
    store.fail(error)
    await finish(blueprint(topic, store))
    assert texts(store) == bodies(50)


async def test_unavailable_sink_pauses_the_source_and_loses_nothing() -> None:
    """State `waiting` while it lasts; the source is paused and read from again afterwards."""
    topic, store = MemoryTopic(*bodies(500), endless=True), MemoryStore()
    async with running(blueprint(topic, store)) as pipeline:
        await store.until(lambda s: bool(s.history))
        store.unreachable = Unavailable("connection refused")
        topic.add(*bodies(500, 500))
        await until(lambda: pipeline.state is State.WAITING)
        assert "connection refused" in pipeline.reason
        assert topic.pauses >= 1
        store.unreachable = None
        await store.until(lambda s: len(s.messages) == 1000)
        await until(lambda: pipeline.state is State.RUNNING)
    assert texts(store) == bodies(1000)


async def test_optional_sink_never_holds_up_the_others() -> None:
    """It drops what it cannot take, and that is counted."""
    topic, store, side = MemoryTopic(*bodies(400)), MemoryStore(), MemoryStore()
    side.hold()

    def lane() -> LaneComponents:
        optional = make(MemorySink, context("side"), store=side.name)
        return LaneComponents(
            [make(MemoryRows, context("rows"))], [make(MemoryLedger, context("s"), store=store.name)], [optional]
        )

    pipeline = await finish(blueprint(topic, store, make_lane=lane, batch_max_rows=10))
    assert texts(store) == bodies(400)
    assert pipeline.counters.dropped["side"] > 0


async def test_source_that_fails_is_read_again() -> None:
    """A rewind of its own: claimed again, nothing twice."""
    topic, store = MemoryTopic(*bodies(100), endless=True), MemoryStore()
    async with running(blueprint(topic, store)):
        await store.until(lambda s: len(s.messages) == 100)
        topic.fail(Unavailable("broker away"), RuntimeError("bug"))
        topic.add(*bodies(100, 100))
        await store.until(lambda s: len(s.messages) == 200)
    assert texts(store) == bodies(200)


async def test_slow_sink_bounds_what_waits() -> None:
    """The source is paused when twice a batch's bytes wait."""
    topic, store = MemoryTopic(*["x" * 100] * 500, endless=True), MemoryStore()
    store.hold()
    async with running(blueprint(topic, store, batch_max_bytes=1000)) as pipeline:
        await until(lambda: topic.pauses > 0)
        fetched = pipeline.counters.fetched
        await asyncio.sleep(0.05)
        assert pipeline.counters.fetched == fetched < 500
        store.release()
        await store.until(lambda s: len(s.messages) == 500)
    assert topic.resumes > 0


async def test_what_comes_behind_the_end_is_not_taken() -> None:
    """A fetch may be under way when a pipeline is stopped: a lane that kept it would wait for room to make it, without end."""
    topic, store = MemoryTopic(*bodies(3), endless=True), MemoryStore()
    async with running(blueprint(topic, store)) as pipeline:
        await store.until(lambda s: len(s.messages) == 3)
        [lane] = pipeline._lanes._dealer.lanes
        [partition] = lane.owned
        lane.end()
        lane.accept([Message(Position(partition, 3), b"late")], {partition: 4})
        is_taken = bool(lane.buffer)
        lane.buffer.clear()
        assert not is_taken
        await asyncio.wait_for(lane.drained(), 5)
