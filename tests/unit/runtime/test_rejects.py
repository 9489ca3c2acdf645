"""What is refused: a dead letter, a search, or a halt."""

from __future__ import annotations

import pytest

from stockifyd.api import Batch, Partition, Reject, Transform
from stockifyd.runtime.blueprint import LaneComponents
from stockifyd.runtime.state import State
from stockifyd.testing import MemoryLedger, MemoryRows, MemorySink, MemoryStore, MemoryTopic, make
from stockifyd.testing.fakes import MemoryRowsOptions
from unit.runtime.pipelines import blueprint, bodies, context, finish, running, texts, until


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
