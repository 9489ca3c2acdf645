"""Ledgers: fenced, rewound, lost, new, and at different offsets."""

from __future__ import annotations

from dataclasses import replace

from stockifyd.api import Batch, Partition, Retry
from stockifyd.runtime.state import State
from stockifyd.testing import MemoryLedger, MemoryRows, MemorySink, MemoryStore, MemoryTopic, make
from unit.runtime.pipelines import blueprint, bodies, context, finish, running, texts, until


async def test_committed_write_whose_answer_was_lost_is_not_doubled() -> None:
    """The retry meets the moved offset, is fenced, and the pipeline claims again."""
    topic, store = MemoryTopic(*bodies(200)), MemoryStore()
    store.lose_answer(Retry("connection lost"))
    pipeline = await finish(blueprint(topic, store))
    assert texts(store) == bodies(200)
    assert pipeline.counters.rewinds == 1


async def test_rewound_ledger_is_noticed_while_idle_and_replayed() -> None:
    """Rows and offsets are gone together; the periodic look finds it and the source reads again."""
    topic, store = MemoryTopic(*bodies(300), endless=True), MemoryStore()
    async with running(blueprint(topic, store, batch_max_rows=32)) as pipeline:
        await store.until(lambda s: len(s.messages) == 300)
        store.rewind(3)
        assert len(store.messages) < 300
        await store.until(lambda s: len(s.messages) == 300)
        assert pipeline.counters.rewinds == 1
    assert texts(store) == bodies(300)
    assert store.breaks() == []


async def test_fenced_owner_claims_again_and_goes_on() -> None:
    """A second owner moved the offset: what was in flight is forgotten, nothing is doubled."""
    topic, store = MemoryTopic(*bodies(100), endless=True), MemoryStore()
    async with running(blueprint(topic, store)) as pipeline:
        await store.until(lambda s: len(s.messages) == 100)
        other = make(MemoryLedger, context("sink0"), store=store.name)
        at = await other.claim({Partition("contract"): 0})
        assert dict(at) == {Partition("contract"): 100}
        topic.add(*bodies(50, 100))
        await store.until(lambda s: len(s.messages) == 150)
        assert pipeline.counters.rewinds == 1
    assert texts(store) == bodies(150)


async def test_fenced_too_often_halts() -> None:
    """A split group is a quarry for an operator."""
    topic, store = MemoryTopic(*bodies(10), endless=True), MemoryStore()
    async with running(blueprint(topic, store)) as pipeline:
        for n in range(8):
            await until(lambda: pipeline.state is State.HALTED or bool(pipeline.owned))
            if pipeline.state is State.HALTED:
                break
            await make(MemoryLedger, context("sink0"), store=store.name).claim({Partition("contract"): 0})
            topic.add(f"more{n}")
            await until(lambda n=n: pipeline.state is State.HALTED or pipeline.counters.rewinds > n)  # type: ignore[misc]
        assert pipeline.state is State.HALTED
        assert "fenced again and again" in pipeline.reason


async def test_two_ledgers_at_different_offsets_each_get_what_they_lack() -> None:
    """The source reads from the lesser; the one ahead is not written twice."""
    topic, first, second = MemoryTopic(*bodies(20)), MemoryStore(), MemoryStore()
    for store, upto in ((first, 5), (second, 12)):
        sink = make(MemoryLedger, context("sink0"), store=store.name)
        await sink.claim({Partition("contract"): 0})
        messages = topic.logs[Partition("contract")].messages[:upto]
        batch = Batch(tuple(messages), advance={Partition("contract"): (0, upto)})  # type: ignore[dict-item]
        from stockifyd.api import Span

        batch = replace(batch, advance={Partition("contract"): Span(0, upto)})
        await sink.write(make(MemoryRows).apply(batch))
    await finish(blueprint(topic, first, second))
    assert texts(first) == bodies(20)
    assert texts(second) == bodies(20)
    assert first.breaks() == second.breaks() == []


async def test_new_ledger_beside_an_old_one_starts_at_the_checkpoint() -> None:
    """It does not drag the other back to the beginning."""
    topic, old, new = MemoryTopic(*bodies(20), endless=True), MemoryStore(), MemoryStore()
    async with running(blueprint(topic, old)):
        await old.until(lambda s: len(s.messages) == 20)
    topic.add(*bodies(5, 20))
    topic.end()
    await finish(blueprint(topic, old, new))
    assert texts(old) == bodies(25)
    assert texts(new) == bodies(5, 20)


async def test_lost_ledger_is_refused_until_accepted() -> None:
    """The source remembers commits, the ledger nothing: halt, unless the operator says so."""
    topic, store = MemoryTopic(*bodies(10), endless=True), MemoryStore()
    topic.committed[Partition("contract")] = 7
    async with running(blueprint(topic, store)) as pipeline:
        await until(lambda: pipeline.state is State.HALTED)
        assert "no ledger knows them" in pipeline.reason
        assert store.next == {}
    topic.end()
    await finish(blueprint(topic, store), accept_new_ledger=True)
    assert texts(store) == bodies(10)


async def test_new_ledger_may_go_on_from_the_sources_own_commit() -> None:
    """`start: committed` takes a group over: nothing is skipped, so nothing is refused."""
    topic, store = MemoryTopic(*bodies(10)), MemoryStore()
    topic.committed[Partition("contract")] = 0
    await finish(blueprint(topic, store))
    assert texts(store) == bodies(10)


async def test_plain_sink_starts_at_the_sources_commit_and_commits() -> None:
    """Without a ledger the source's own offsets are the checkpoint."""
    topic, store = MemoryTopic(*bodies(10)), MemoryStore()
    topic.committed[Partition("contract")] = 4
    await finish(blueprint(topic, store, sink=MemorySink))
    assert texts(store) == bodies(6, 4)
    assert topic.committed[Partition("contract")] == 10


async def test_control_records_move_the_offset_without_messages() -> None:
    """A hole at the end of a partition is passed, so that the lag becomes 0."""
    topic, store = MemoryTopic(*bodies(3), endless=True), MemoryStore()
    topic.add_hole(2)
    async with running(blueprint(topic, store)):
        await store.until(lambda s: s.next.get(Partition("contract")) == 5)
    assert texts(store) == bodies(3)
    assert store.breaks() == []


async def test_gap_is_recorded_and_passed() -> None:
    """Retention overtook us: the ledger keeps the gap, and it is counted."""
    topic, store = MemoryTopic(*bodies(10)), MemoryStore()
    topic.lose_before(4)
    pipeline = await finish(blueprint(topic, store))
    assert pipeline.counters.gaps == 1
    assert texts(store) == bodies(6, 4)
    assert [(g.span.base, g.span.next) for g in store.gaps] == [(0, 4)]
    assert store.breaks() == []
