"""What a rewind leaves behind, and calls that do not answer."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from stockifyd.api import Batch, Fenced, Receipt, Unavailable
from stockifyd.runtime.blueprint import LaneComponents
from stockifyd.runtime.breaker import Breaker
from stockifyd.runtime.pipeline import Pipeline
from stockifyd.runtime.state import State
from stockifyd.testing import MemoryLedger, MemoryRows, MemoryStore, MemoryTopic, make
from unit.runtime.pipelines import FAST, blueprint, bodies, context, running, texts, until


async def test_rebalance_while_the_sink_is_away_goes_on_when_it_is_back() -> None:
    """A write that waits for its sink ends with a rewind; what it waited for is not waited for any more."""
    topic, store = MemoryTopic(partitions=2, endless=True), MemoryStore()
    async with running(blueprint(topic, store)) as pipeline:
        topic.add(*bodies(10))
        await store.until(lambda s: len(s.messages) == 10)
        store.unreachable = Unavailable("connection refused")
        topic.add(*bodies(10, 10))
        await until(lambda: pipeline.state is State.WAITING)
        topic.assign(1, topic.partitions[:1])
        await until(lambda: pipeline.counters.rewinds > 0)
        store.unreachable = None
        topic.assign(1, topic.partitions)
        await store.until(lambda s: len(s.messages) == 20)
        await until(lambda: pipeline.state is State.RUNNING)
    assert sorted(texts(store)) == sorted(bodies(20))


async def test_checkpoint_after_a_rewind_names_only_what_is_claimed() -> None:
    """A partition that went to another while we were fenced is not shown as ours."""
    topic, store = MemoryTopic(partitions=2, endless=True), MemoryStore()
    first, second = topic.partitions
    async with running(blueprint(topic, store)) as pipeline:
        topic.add(*bodies(10))
        await store.until(lambda s: len(s.messages) == 10)
        assert [first, second] == sorted(pipeline.checkpoint)
        topic.assigned[1] = frozenset({first})  # without a word: the source learns it when it reads again
        await make(MemoryLedger, context("sink0"), store=store.name).claim({first: 0, second: 0})
        topic.add(*bodies(10, 10))
        await until(lambda: pipeline.counters.rewinds > 0 and pipeline.owned == [first])
        assert [first] == sorted(pipeline.checkpoint)


class Away(MemoryLedger):
    """Is away; then what it was given is another's."""

    type = "away"
    is_lost = False

    async def write(self, batch: Batch) -> Receipt:
        if batch.messages[0].raw == b"m0":
            raise Fenced("another's") if Away.is_lost else Unavailable("connection refused")
        return await super().write(batch)


async def test_what_was_waited_for_and_given_away_is_not_waited_for() -> None:
    """A batch that waits for its sink while its partition goes, and is fenced then, leaves the source reading."""
    topic, store = MemoryTopic(endless=True), MemoryStore()
    Away.is_lost = False
    async with running(blueprint(topic, store, sink=Away)) as pipeline:
        topic.add("m0")
        await until(lambda: pipeline.state is State.WAITING)
        topic.assign(1, [])
        await until(lambda: pipeline.owned == [])
        Away.is_lost = True  # before the release has waited for long enough
        await until(lambda: pipeline.state is State.RUNNING)
        assert pipeline.counters.rewinds == 0


class Mute(MemoryLedger):
    """Does not answer until it may."""

    type = "mute"
    may = asyncio.Event()

    async def write(self, batch: Batch) -> Receipt:
        await self.may.wait()
        return await super().write(batch)


async def test_sink_that_does_not_answer_is_waited_for_in_the_open() -> None:
    """A pooler keeps its clients waiting while its server is down: the state says so, and the source is paused."""
    topic, store = MemoryTopic(*bodies(3), endless=True), MemoryStore()
    Mute.may = asyncio.Event()

    def lane() -> LaneComponents:
        return LaneComponents([make(MemoryRows, context("rows"))], [make(Mute, context("s"), store=store.name)])

    pipeline = Pipeline(blueprint(topic, store, make_lane=lane), timing=replace(FAST, silence_secs=0.05))
    task = asyncio.create_task(pipeline.run())
    async with asyncio.timeout(20):
        await until(lambda: pipeline.state is State.WAITING)
        assert pipeline.reason == "sink 's': no answer for 0.05 s"
        Mute.may.set()
        await until(lambda: pipeline.state is State.RUNNING)
        pipeline.stop()
        await task
    assert texts(store) == bodies(3)


async def test_quick_answer_opens_no_breaker(caplog: pytest.LogCaptureFixture) -> None:
    """The watch ends with the call."""
    breaker = Breaker(logging.getLogger("t"), lambda: None, silence_secs=0.01)
    with breaker.watching("it"):
        pass
    await asyncio.sleep(0.03)
    assert not breaker.is_open
