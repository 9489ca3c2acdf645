"""Other transforms and sinks for a pipeline that runs, waits, is halted, is paused or only starts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stockifyd.api import Drift, Unavailable
from stockifyd.runtime.blueprint import Blueprint, LaneComponents
from stockifyd.runtime.pipeline import Pipeline
from stockifyd.runtime.state import State
from stockifyd.testing import MemoryLedger, MemoryRows, MemorySink, MemoryStore, MemoryTopic, make
from unit.runtime.pipelines import FAST, blueprint, bodies, context, finish, running, texts, until


def lanes_of(
    *stores: MemoryStore, rows_each: int = 1, made: list[LaneComponents] | None = None, **extra: Any
) -> Callable[[], Any]:
    """Makes lanes of a transform and a ledger for each store; `made` is told of each."""

    def lane() -> LaneComponents:
        sinks = [make(MemoryLedger, context(f"sink{n}"), store=store.name) for n, store in enumerate(stores)]
        one = LaneComponents([make(MemoryRows, context("rows"), rows_each=rows_each)], sinks, **extra)
        if made is not None:
            made.append(one)
        return one

    return lane


def plan(topic: MemoryTopic, *stores: MemoryStore, delivery: dict[str, Any] | None = None, **how: Any) -> Blueprint:
    return blueprint(topic, make_lane=lanes_of(*stores, **how), **(delivery or {}))


async def test_another_sink_between_two_batches() -> None:
    """The source is neither rewound nor read anew; each message is in one of the two stores, in order."""
    topic, old, new = MemoryTopic(endless=True), MemoryStore(), MemoryStore()
    async with running(plan(topic, old)) as pipeline:
        topic.add(*bodies(500))
        await old.until(lambda s: len(s.messages) > 0)
        await pipeline.reload(plan(topic, new))
        topic.add(*bodies(500, 500))
        await new.until(lambda s: len(old.messages) + len(s.messages) == 1000)
        assert (topic.reads, pipeline.counters.rewinds, old.closed) == (1, 0, 1)
    assert texts(old) + texts(new) == bodies(1000)
    assert old.breaks() == new.breaks() == []
    assert new.starts == old.next


async def test_what_has_not_changed_stays() -> None:
    """A transform's edit keeps the sink: it is neither opened again nor claims again."""
    topic, store = MemoryTopic(endless=True), MemoryStore()
    made: list[LaneComponents] = []
    async with running(plan(topic, store, made=made)) as pipeline:
        topic.add(*bodies(10))
        await store.until(lambda s: len(s.messages) == 10)
        epochs = dict(store.epochs)
        await pipeline.reload(plan(topic, store, rows_each=3, made=made))
        topic.add(*bodies(10, 10))
        await store.until(lambda s: len(s.messages) == 20)
        assert (store.opened, store.closed, store.epochs) == (1, 0, epochs)
    assert len(store.rows["options"]) == 10 + 30
    assert store.breaks() == []


async def test_an_equal_blueprint_changes_nothing() -> None:
    """Nothing is opened, closed or read again."""
    topic, store = MemoryTopic(*bodies(10), endless=True), MemoryStore()
    async with running(plan(topic, store)) as pipeline:
        await store.until(lambda s: len(s.messages) == 10)
        await pipeline.reload(plan(topic, store))
        topic.add(*bodies(10, 10))
        await store.until(lambda s: len(s.messages) == 20)
        assert (store.opened, store.closed, topic.reads) == (1, 0, 1)
    assert texts(store) == bodies(20)


@pytest.mark.parametrize("error", [Drift("no such table", hint="migrate"), Unavailable("connection refused")])
async def test_a_sink_that_cannot_be_opened_is_refused(error: Exception) -> None:
    """The old one never stops, and the new one is closed again."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    new.unreachable = error
    async with running(plan(topic, old)) as pipeline:
        await old.until(lambda s: len(s.messages) == 5)
        with pytest.raises(type(error)):
            await pipeline.reload(plan(topic, new))
        topic.add(*bodies(5, 5))
        await old.until(lambda s: len(s.messages) == 10)
        assert (pipeline.state, old.closed, new.closed, topic.reads) == (State.RUNNING, 0, 1, 1)


async def test_a_ledger_that_cannot_be_claimed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the swap has begun, too: the old go on where they were."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()

    async def claim(self: MemoryLedger, starts: Any) -> Any:
        if self.config.store == new.name:
            raise Drift("another database")
        return await claimed(self, starts)

    claimed = MemoryLedger.claim
    async with running(plan(topic, old)) as pipeline:
        await old.until(lambda s: len(s.messages) == 5)
        monkeypatch.setattr(MemoryLedger, "claim", claim)
        with pytest.raises(Drift, match="another database"):
            await pipeline.reload(plan(topic, new))
        topic.add(*bodies(5, 5))
        await old.until(lambda s: len(s.messages) == 10)
        assert (new.closed, old.closed, pipeline.counters.rewinds) == (1, 0, 0)
    assert texts(old) == bodies(10)


async def test_a_write_in_flight_is_finished_first() -> None:
    """By the old sink; then the new one goes on behind it."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    old.hold()
    async with running(plan(topic, old)) as pipeline:
        await old.until(lambda s: s.attempts == 1)
        reload = asyncio.create_task(pipeline.reload(plan(topic, new)))
        await new.until(lambda s: s.opened == 1)
        assert not reload.done()
        old.release()
        await reload
        topic.add(*bodies(5, 5))
        await new.until(lambda s: len(old.messages) + len(s.messages) == 10)
    assert texts(old) + texts(new) == bodies(10)


async def test_a_write_that_hangs_is_abandoned_and_read_again() -> None:
    """Past the deadline: no message is lost, and the source stays in its group."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    old.hold()
    pipeline = Pipeline(plan(topic, old), timing=replace(FAST, hold_secs=0.05))
    task = asyncio.create_task(pipeline.run())
    async with asyncio.timeout(20):
        await old.until(lambda s: s.attempts == 1)
        await pipeline.reload(plan(topic, new))
        await new.until(lambda s: len(s.messages) == 5)
    pipeline.stop()
    await task
    assert (texts(old), texts(new), topic.reads) == ([], bodies(5), 2)


async def test_waiting_for_a_sink_that_is_away() -> None:
    """That is when people edit: the new sink takes what the old one could not, at once."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    async with running(plan(topic, old)) as pipeline:
        await old.until(lambda s: len(s.messages) == 5)
        old.unreachable = Unavailable("connection refused")
        topic.add(*bodies(5, 5))
        await until(lambda: pipeline.state is State.WAITING)
        await pipeline.reload(plan(topic, new))
        await new.until(lambda s: len(s.messages) == 5)
        await until(lambda: pipeline.state is State.RUNNING)
    assert texts(new) == bodies(5, 5)


async def test_from_one_that_is_away_to_another_and_on() -> None:
    """What is away too is taken, since it cannot become worse; the next edit is taken while it waits for that."""
    topic, old, wrong, right = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore(), MemoryStore()
    async with running(plan(topic, old)) as pipeline:
        await old.until(lambda s: len(s.messages) == 5)
        old.unreachable = wrong.unreachable = Unavailable("connection refused")
        topic.add(*bodies(5, 5))
        await until(lambda: pipeline.state is State.WAITING)
        await pipeline.reload(plan(topic, wrong))
        await until(lambda: pipeline.state is State.WAITING)
        await pipeline.reload(plan(topic, right))
        await right.until(lambda s: len(s.messages) == 5)
        assert pipeline.state is State.RUNNING


async def test_halted() -> None:
    """The edit that mends it leaves the halt by itself."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    old.fail(Drift("column is gone"))
    async with running(plan(topic, old)) as pipeline:
        await until(lambda: pipeline.state is State.HALTED)
        await pipeline.reload(plan(topic, new))
        await new.until(lambda s: len(s.messages) == 5)
        assert (pipeline.state, pipeline.reason) == (State.RUNNING, "")


async def test_halted_and_no_better() -> None:
    """What cannot be opened is refused, and the old reason stays; `resume` takes the old components."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    old.fail(Drift("column is gone"))
    new.unreachable = Drift("no such table")
    async with running(plan(topic, old)) as pipeline:
        await until(lambda: pipeline.state is State.HALTED)
        with pytest.raises(Drift, match="no such table"):
            await pipeline.reload(plan(topic, new))
        assert (pipeline.state, pipeline.reason) == (State.HALTED, "column is gone")
        pipeline.resume()
        await old.until(lambda s: len(s.messages) == 5)


async def test_while_it_starts() -> None:
    """A sink that never was there holds nobody up; the source is read once."""
    topic, wrong, right = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    wrong.unreachable = Unavailable("connection refused")
    async with running(plan(topic, wrong)) as pipeline:
        await until(lambda: pipeline.state is State.WAITING)
        await pipeline.reload(plan(topic, right))
        await right.until(lambda s: len(s.messages) == 5)
        assert topic.reads == 1


async def test_halted_while_it_starts() -> None:
    """A missing table, and the edit that names another one."""
    topic, wrong, right = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    wrong.unreachable = Drift("no such table")
    async with running(plan(topic, wrong)) as pipeline:
        await until(lambda: pipeline.state is State.HALTED)
        await pipeline.reload(plan(topic, right))
        await right.until(lambda s: len(s.messages) == 5)
        assert pipeline.state is State.RUNNING


async def test_paused() -> None:
    """It stays paused, and goes on with the new sink."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    async with running(plan(topic, old)) as pipeline:
        await old.until(lambda s: len(s.messages) == 5)
        pipeline.pause()
        topic.add(*bodies(5, 5))
        await pipeline.reload(plan(topic, new))
        assert (pipeline.state, new.messages) == (State.PAUSED, [])
        pipeline.resume()
        await new.until(lambda s: len(s.messages) == 5)
        assert pipeline.state is State.RUNNING


async def test_another_number_of_lanes() -> None:
    """Partitions are dealt anew and claimed again, and nothing is lost or doubled."""
    topic, store = MemoryTopic(*bodies(40), partitions=4, endless=True), MemoryStore()
    async with running(plan(topic, store)) as pipeline:
        await store.until(lambda s: len(s.messages) == 40)
        await pipeline.reload(plan(topic, store, delivery={"lanes": 3}))
        topic.add(*bodies(40, 40))
        await store.until(lambda s: len(s.messages) == 80)
    assert sorted(texts(store)) == sorted(bodies(80))
    assert store.breaks() == []


async def test_other_limits_hold_from_the_next_batch() -> None:
    """Options of `delivery` alone open and close nothing."""
    topic, store = MemoryTopic(endless=True), MemoryStore()
    async with running(plan(topic, store)) as pipeline:
        await until(lambda: pipeline.state is State.RUNNING)
        await pipeline.reload(plan(topic, store, delivery={"batch_max_rows": 1}))
        topic.add(*bodies(5))
        await store.until(lambda s: len(s.messages) == 5)
        assert store.opened == 1
    assert [1] * 5 == [len(commit.batch.messages) for commit in store.history]


@pytest.mark.parametrize("ahead", [0, 3])
async def test_a_ledger_that_is_elsewhere(ahead: int) -> None:
    """One that stands behind gets what it lacks, read again; nothing is lost, and the chain of each is whole."""
    topic, old, new = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()
    partition = topic.partitions[0]
    seen = new.of("contract")
    seen.starts, seen.next = {partition: ahead}, {partition: ahead}
    async with running(plan(topic, old)) as pipeline:
        await old.until(lambda s: len(s.messages) == 5)
        await pipeline.reload(plan(topic, new))
        topic.add(*bodies(5, 5))
        await new.until(lambda s: len(s.messages) == 10 - ahead)
    assert texts(new) == bodies(10)[ahead:]
    assert new.breaks() == []


async def test_the_later_of_two_wins() -> None:
    """Who is overtaken is told."""
    topic, old, one, two = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore(), MemoryStore()
    old.hold()
    async with running(plan(topic, old)) as pipeline:
        await old.until(lambda s: s.attempts == 1)
        old.unreachable = Unavailable("gone")
        old.release()
        await until(lambda: pipeline.state is State.WAITING)
        answers = await asyncio.gather(
            pipeline.reload(plan(topic, one)), pipeline.reload(plan(topic, two)), return_exceptions=True
        )
        await until(lambda: len(one.messages) + len(two.messages) >= 5)
        assert [None] == [answer for answer in answers if answer is None][:1]
        assert two.messages or one.messages


async def test_what_has_ended_is_not_reloaded() -> None:
    """It says so."""
    topic, store = MemoryTopic("a"), MemoryStore()
    pipeline = await finish(plan(topic, store))
    with pytest.raises(Unavailable, match="finished"):
        await pipeline.reload(plan(topic, store))


async def test_a_plain_sink_beside_a_ledger() -> None:
    """Added: the ledger goes on; the new one gets what comes from then on."""
    topic, store, beside = MemoryTopic(*bodies(5), endless=True), MemoryStore(), MemoryStore()

    def both() -> LaneComponents:
        one = lanes_of(store)()
        return one._replace(sinks=[*one.sinks, make(MemorySink, context("beside"), store=beside.name)])

    async with running(plan(topic, store)) as pipeline:
        await store.until(lambda s: len(s.messages) == 5)
        await pipeline.reload(blueprint(topic, make_lane=both))
        topic.add(*bodies(5, 5))
        await store.until(lambda s: len(s.messages) == 10)
        assert (store.opened, topic.reads) == (1, 1)
    assert texts(beside) == bodies(5, 5)
