"""Halting, resuming, rebalancing and stopping."""

from __future__ import annotations

import asyncio

import pytest

from stockifyd.api import Batch, Drift, Receipt, Sink, Unavailable
from stockifyd.runtime.blueprint import LaneComponents
from stockifyd.runtime.state import State
from stockifyd.runtime.tasks import GaveUpError
from stockifyd.testing import MemoryRows, MemoryStore, MemoryTopic, make
from stockifyd.testing.fakes import MemorySinkOptions
from unit.runtime.pipelines import FAST, blueprint, bodies, context, finish, running, texts, until


async def test_bug_in_a_sink_halts_after_three_tries() -> None:
    """The offset does not move, and the reason names the sink."""
    topic, store = MemoryTopic(*bodies(5), endless=True), MemoryStore()
    store.fail(*[KeyError("x")] * 3)
    async with running(blueprint(topic, store)) as pipeline:
        await until(lambda: pipeline.state is State.HALTED)
        assert "sink 'sink0' raised KeyError" in pipeline.reason
        assert store.history == []
        pipeline.resume()
        await store.until(lambda s: len(s.messages) == 5)
    assert texts(store) == bodies(5)


async def test_source_that_gives_up_again_and_again_fails_the_pipeline() -> None:
    """A new process may help; the exit code says so."""
    topic, store = MemoryTopic("a", endless=True), MemoryStore()
    topic.fail(*[Unavailable("nothing comes")] * (FAST.retries + 1))
    with pytest.raises(GaveUpError, match="nothing comes"):
        await finish(blueprint(topic, store))


async def test_rebalance_drains_and_hands_over() -> None:
    """Partitions that move are written by one owner at a time."""
    topic, store = MemoryTopic(partitions=4, endless=True), MemoryStore()
    parts = topic.partitions
    async with running(blueprint(topic, store)) as pipeline:
        topic.add(*bodies(100))
        await store.until(lambda s: len(s.messages) == 100)
        topic.assign(1, parts[:2])
        topic.add(*bodies(100, 100))
        await until(lambda: pipeline.owned == parts[:2])
        topic.assign(1, parts)
        await store.until(lambda s: len(s.messages) == 200)
    assert sorted(texts(store)) == sorted(bodies(200))
    assert store.breaks() == []


async def test_stop_finishes_what_is_in_flight() -> None:
    """A write that has begun is finished and committed; what waited is left for the next."""
    topic, store = MemoryTopic(*bodies(100), endless=True), MemoryStore()
    store.hold()
    async with running(blueprint(topic, store)) as pipeline:
        await store.until(lambda s: s.attempts == 1)
        pipeline.stop()
        await until(lambda: pipeline.state is State.DRAINING)
        store.release()
    assert store.history
    assert topic.committed == store.next
    assert store.breaks() == []


async def test_stop_while_the_sink_is_away_abandons_at_once() -> None:
    """Nothing is waited for that may never come."""
    topic, store = MemoryTopic(*bodies(100), endless=True), MemoryStore()
    async with running(blueprint(topic, store, drain_secs=600.0)) as pipeline:
        await until(lambda: bool(pipeline.owned))
        store.unreachable = Unavailable("down")
        topic.add(*bodies(10, 100))
        await until(lambda: pipeline.state is State.WAITING)
    assert pipeline.state is State.FINISHED


async def test_stop_while_opening_returns() -> None:
    """A sink that is away at start does not hold up a stop."""
    topic, store = MemoryTopic(endless=True), MemoryStore()
    store.unreachable = Unavailable("down")
    async with running(blueprint(topic, store)) as pipeline:
        await until(lambda: pipeline.state is State.WAITING)
    assert topic.reads == 0


async def test_drift_at_open_halts_before_the_first_fetch() -> None:
    """Nothing is read until an operator has mended it and resumes."""
    topic, store = MemoryTopic(*bodies(5), endless=True), MemoryStore()
    store.unreachable = Drift('table "options" is missing', hint="stockifyd migrate")
    async with running(blueprint(topic, store)) as pipeline:
        await until(lambda: pipeline.state is State.HALTED)
        assert topic.reads == 0
        store.unreachable = None
        pipeline.resume()
        await store.until(lambda s: len(s.messages) == 5)
        assert pipeline.state is State.RUNNING


async def test_drift_in_a_write_halts_and_keeps_reading_alive() -> None:
    """The source goes on being pulled, paused; after `resume` there are new components."""
    topic, store = MemoryTopic(*bodies(5), endless=True), MemoryStore()
    store.fail(Drift("column is gone"))
    async with running(blueprint(topic, store)) as pipeline:
        await until(lambda: pipeline.state is State.HALTED)
        opened = store.opened
        pipeline.resume()
        await store.until(lambda s: len(s.messages) == 5)
        assert store.opened == opened + 1
    assert texts(store) == bodies(5)


class Hanging(Sink[MemorySinkOptions]):
    """Never answers."""

    type = "hanging"

    async def write(self, batch: Batch) -> Receipt:
        await asyncio.Event().wait()
        return Receipt()


async def test_revocation_does_not_wait_for_ever() -> None:
    """A hung write of a revoked partition is abandoned; the partition is claimed anew later."""
    topic, store = MemoryTopic(*bodies(4), partitions=2, endless=True), MemoryStore()

    def lane() -> LaneComponents:
        return LaneComponents([make(MemoryRows, context("rows"))], [make(Hanging, context("s"), store=store.name)])

    async with running(blueprint(topic, store, make_lane=lane, drain_secs=0.05)) as pipeline:
        await until(lambda: pipeline.counters.batches > 0)
        topic.assign(1, [])
        await until(lambda: pipeline.owned == [])
        assert pipeline.state is State.RUNNING
