"""The pipeline on fakes: whatever fails, each message is there exactly once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from unit.runtime.pipelines import FAST, blueprint, context, finish, running, until

from stockifyd.api import Batch, Drift, Partition, Receipt, Reject, Retry, Sink, Transform, Unavailable
from stockifyd.runtime.blueprint import LaneComponents
from stockifyd.runtime.pipeline import State
from stockifyd.runtime.tasks import GaveUpError
from stockifyd.testing import MemoryLedger, MemoryRows, MemorySink, MemoryStore, MemoryTopic, make
from stockifyd.testing.fakes import MemoryRowsOptions, MemorySinkOptions


def bodies(count: int, first: int = 0) -> list[str]:
    return [f"m{n}" for n in range(first, first + count)]


def texts(store: MemoryStore) -> list[str]:
    return [text for _, text in store.rows.get("options", [])]


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


async def test_bad_message_is_a_dead_letter_in_the_same_write() -> None:
    """Its neighbours are stored, and the dead letter names stage and position."""
    topic, store = MemoryTopic("a", "bad", "c"), MemoryStore()
    await finish(blueprint(topic, store))
    assert texts(store) == ["a", "c"]
    assert [(d.message.position.offset, d.stage) for d in store.dead_letters] == [(1, "rows")]
    assert store.breaks() == []


@pytest.mark.parametrize("by", ["row", "batch"])
async def test_row_that_a_ledger_refuses_is_isolated(by: str) -> None:
    """Named or not, the message is found; the others are stored once."""
    topic, store = MemoryTopic(*bodies(100)), MemoryStore()
    store.reject_by = by  # type: ignore[assignment]
    store.reject_row = lambda row: row[1] in ("m17", "m63")
    await finish(blueprint(topic, store))
    assert texts(store) == [b for b in bodies(100) if b not in ("m17", "m63")]
    assert [(d.message.raw, d.stage, d.code) for d in store.dead_letters] == [
        (b"m17", "sink0", "M0001"),
        (b"m63", "sink0", "M0001"),
    ]
    assert store.breaks() == []


async def test_many_bad_messages_halt_without_storing_them() -> None:
    """All malformed: halted with the reason, the offset has not moved; resume after the cure goes on."""
    topic, store = MemoryTopic(*["bad"] * 50, endless=True), MemoryStore()
    async with running(blueprint(topic, store)) as pipeline:
        await until(lambda: pipeline.state is State.HALTED)
        assert "says that it is bad" in pipeline.reason
        assert store.dead_letters == []


async def test_many_bad_messages_go_on_where_the_spec_says_so() -> None:
    """`on_drift: continue` makes dead letters of them all."""
    topic, store = MemoryTopic(*["bad"] * 50), MemoryStore()
    await finish(blueprint(topic, store, on_drift="continue"))
    assert len(store.dead_letters) == 50


@pytest.mark.parametrize("error", [Retry("deadlock"), Unavailable("down"), RuntimeError("bug")])
async def test_failed_write_is_tried_again(error: Exception) -> None:
    """Once each, nothing is lost or doubled."""
    topic, store = MemoryTopic(*bodies(50)), MemoryStore()
    store.fail(error)
    await finish(blueprint(topic, store))
    assert texts(store) == bodies(50)


async def test_committed_write_whose_answer_was_lost_is_not_doubled() -> None:
    """The retry meets the moved offset, is fenced, and the pipeline claims again."""
    topic, store = MemoryTopic(*bodies(200)), MemoryStore()
    store.lose_answer(Retry("connection lost"))
    pipeline = await finish(blueprint(topic, store))
    assert texts(store) == bodies(200)
    assert pipeline.counters.rewinds == 1


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


async def test_source_that_gives_up_again_and_again_fails_the_pipeline() -> None:
    """A new process may help; the exit code says so."""
    topic, store = MemoryTopic("a", endless=True), MemoryStore()
    topic.fail(*[Unavailable("nothing comes")] * (FAST.retries + 1))
    with pytest.raises(GaveUpError, match="nothing comes"):
        await finish(blueprint(topic, store))


async def test_plain_sink_starts_at_the_sources_commit_and_commits() -> None:
    """Without a ledger the source's own offsets are the checkpoint."""
    topic, store = MemoryTopic(*bodies(10)), MemoryStore()
    topic.committed[Partition("contract")] = 4
    await finish(blueprint(topic, store, sink=MemorySink))
    assert texts(store) == bodies(6, 4)
    assert topic.committed[Partition("contract")] == 10


async def test_rejection_without_a_place_for_it_halts() -> None:
    """No ledger and no `dead_letters`: nothing is dropped."""
    topic, store = MemoryTopic("a", "bad", "c", endless=True), MemoryStore()
    async with running(blueprint(topic, store, sink=MemorySink)) as pipeline:
        await until(lambda: pipeline.state is State.HALTED)
        assert "no sink keeps dead letters" in pipeline.reason
        assert topic.committed == {}


async def test_dead_letter_sink_gets_a_table() -> None:
    """Plain sinks: dead letters go to the sink that the spec names."""
    topic, store, letters = MemoryTopic("a", "bad", "c"), MemoryStore(), MemoryStore()

    def lane() -> LaneComponents:
        dead = make(MemorySink, context("letters"), store=letters.name)
        return LaneComponents([make(MemoryRows, context("rows"))], [make(MemorySink, context("s"), store=store.name)], (), dead)

    await finish(blueprint(topic, store, make_lane=lane))
    assert texts(store) == ["a", "c"]
    assert [row[:3] for row in letters.rows["dead_letters"]] == [("contract", 0, 1)]


async def test_ledger_sink_may_keep_dead_letters_and_is_no_ledger_of_the_pipeline() -> None:
    """It gets the table and nothing else, and its offsets are not the pipeline's."""
    topic, store, letters = MemoryTopic("a", "bad", "c"), MemoryStore(), MemoryStore()

    def lane() -> LaneComponents:
        dead = make(MemoryLedger, context("letters"), store=letters.name)
        return LaneComponents([make(MemoryRows, context("rows"))], [make(MemorySink, context("s"), store=store.name)], (), dead)

    await finish(blueprint(topic, store, make_lane=lane))
    assert list(letters.rows) == ["dead_letters"]
    assert letters.next == {}
    assert topic.committed == {Partition("contract"): 3}


async def test_receipt_that_rejects_is_followed() -> None:
    """A plain sink may answer with what it refused; the rest is durable."""
    topic, store, letters = MemoryTopic(*bodies(10)), MemoryStore(), MemoryStore()
    store.reject_by, store.reject_row = "receipt", lambda row: row[1] == "m3"

    def lane() -> LaneComponents:
        dead = make(MemorySink, context("letters"), store=letters.name)
        return LaneComponents([make(MemoryRows, context("rows"))], [make(MemorySink, context("s"), store=store.name)], (), dead)

    await finish(blueprint(topic, store, make_lane=lane))
    assert texts(store) == [b for b in bodies(10) if b != "m3"]
    assert len(letters.rows["dead_letters"]) == 1


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


async def test_control_records_move_the_offset_without_messages() -> None:
    """A hole at the end of a partition is passed, so that the lag becomes 0."""
    topic, store = MemoryTopic(*bodies(3), endless=True), MemoryStore()
    topic.add_hole(2)
    async with running(blueprint(topic, store)):
        await store.until(lambda s: s.next.get(Partition("contract")) == 5)
    assert texts(store) == bodies(3)
    assert store.breaks() == []


async def test_gap_is_recorded_and_passed() -> None:
    """Retention overtook us: the ledger keeps the gap."""
    topic, store = MemoryTopic(*bodies(10)), MemoryStore()
    topic.lose_before(4)
    await finish(blueprint(topic, store))
    assert texts(store) == bodies(6, 4)
    assert [(g.span.base, g.span.next) for g in store.gaps] == [(0, 4)]
    assert store.breaks() == []


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


class Picky(Transform[MemoryRowsOptions]):
    """Rejects a whole batch without saying which message."""

    type = "picky"

    def apply(self, batch: Batch) -> Batch:
        if any(m.raw == b"m7" for m in batch.messages):
            raise Reject("something here is wrong")
        return batch


async def test_transform_that_rejects_a_batch_is_searched() -> None:
    """The message is found, and it alone becomes a dead letter."""
    topic, store = MemoryTopic(*bodies(20)), MemoryStore()

    def lane() -> LaneComponents:
        transforms = [make(Picky, context("picky")), make(MemoryRows, context("rows"))]
        return LaneComponents(transforms, [make(MemoryLedger, context("s"), store=store.name)])

    await finish(blueprint(topic, store, make_lane=lane))
    assert texts(store) == [b for b in bodies(20) if b != "m7"]
    assert [(d.message.raw, d.stage) for d in store.dead_letters] == [(b"m7", "picky")]


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
