"""The fakes' far sides: what a test of a runtime may make them do."""

import asyncio
from dataclasses import replace

import pytest

from stockifyd.api import Fenced, Message, Partition, Retry, Span, Unavailable
from stockifyd.testing import (
    PARTITION,
    FakeClock,
    MemoryClaims,
    MemoryLedger,
    MemoryRows,
    MemorySink,
    MemorySource,
    MemoryStore,
    MemoryTopic,
    flow,
    make,
    make_batch,
    make_message,
    run,
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def claimed(store: MemoryStore) -> MemoryLedger:
    ledger = make(MemoryLedger, store=store.name)
    await ledger.claim({PARTITION: 0})
    return ledger


async def test_a_scripted_failure_stores_nothing(store: MemoryStore) -> None:
    """Writes raise what they were told to, in order, and then work."""
    ledger = await claimed(store)
    store.fail(Retry("deadlock"), Unavailable("away"))
    for expected in (Retry, Unavailable):
        with pytest.raises(expected):
            await ledger.write(make_batch(2))
    await ledger.write(make_batch(2))
    assert (3, 1, {PARTITION: 2}) == (store.attempts, len(store.history), store.next)


async def test_a_lost_answer_is_a_commit(store: MemoryStore) -> None:
    """The write raises, and its rows and offsets are there."""
    ledger = await claimed(store)
    store.lose_answer(Unavailable("reset by peer"))
    with pytest.raises(Unavailable):
        await ledger.write(make_batch(2))
    with pytest.raises(Fenced):
        await ledger.write(make_batch(2))
    assert (2, {PARTITION: 2}) == (len(store.rows["options"]), store.next)


async def test_a_held_write_waits(store: MemoryStore) -> None:
    """Nothing is stored until the store lets go."""
    ledger = await claimed(store)
    store.hold()
    writing = asyncio.ensure_future(ledger.write(make_batch(2)))
    await store.until(lambda s: s.attempts == 1)
    assert (False, []) == (writing.done(), store.history)
    store.release()
    assert 2 == (await writing).rows


async def test_a_rewind_takes_rows_and_offsets(store: MemoryStore) -> None:
    """A failover to a stale server: the last commits are gone, whole."""
    ledger = await claimed(store)
    for first in (0, 2, 4):
        await ledger.write(make_batch(2, first=first).reject({1: "bad"}))
    store.rewind(2)
    assert ({PARTITION: 2}, [(0, "row 0")], 1) == (store.next, store.rows["options"], len(store.dead_letters))


async def test_a_broken_chain_is_found(store: MemoryStore) -> None:
    """Spans must follow each other from the first claim on; what does not is told."""
    ledger = await claimed(store)
    await ledger.write(make_batch(2))
    assert [] == store.breaks()
    store.history.append(replace(store.history[0], batch=make_batch(1, first=5)))
    assert [f"{PARTITION}: {Span(5, 6)} follows 2"] == store.breaks()


def test_a_store_lives_as_long_as_its_test() -> None:
    """A name finds nothing when nobody holds the store: no state leaks from one test into the next."""
    with pytest.raises(LookupError, match="no MemoryStore is called 'gone'"):
        MemoryStore.named("gone")


def test_a_pipeline_in_miniature(store: MemoryStore) -> None:
    """`run` moves a source through transforms into sinks, and gives ledgers what they need."""
    topic = MemoryTopic("one", "two", "bad", "four", partitions=2)
    topic.add_hole(3, number=1)
    source = make(MemorySource, topic=topic.name, read_max_messages=3)
    batches = run(source, make(MemoryRows), make(MemoryLedger, store=store.name))
    assert [(0, "one"), (0, "two"), (1, "four")] == sorted(store.rows["options"])
    assert ([], [2, 5], ["bad"]) == (
        store.breaks(),
        sorted(store.next.values()),
        [d.message.raw.decode() for d in store.dead_letters],
    )
    assert len(store.history) == len(batches)


async def test_a_batch_in_miniature(store: MemoryStore) -> None:
    """`flow` takes a batch in place of a source, wherever it begins."""
    await flow(make_batch(2, first=7), make(MemorySink, store=store.name), make(MemoryLedger, store=store.name))
    assert ({PARTITION: 9}, 4, 2) == (store.next, len(store.rows["options"]), store.closed)


async def test_a_rebalance(store: MemoryStore) -> None:
    """Partitions that go are released, those that come are claimed; offsets of the others go on."""
    topic, claims = MemoryTopic("a", "b", partitions=2, endless=True), MemoryClaims()
    first, second = topic.partitions
    topic.assign(1, [first])
    reading = make(MemorySource, topic=topic.name, idle_ms=1).read(claims)
    assert ["a"] == texts(await anext(reading))
    topic.assign(1, [second])
    assert ["b"] == texts(await anext(reading))
    assert ([(first,)], {second}) == (claims.released, claims.owned)


async def test_offsets_lost_to_retention_are_skipped() -> None:
    """A claim below the first offset that is still there becomes a gap, and reading goes on behind it."""
    topic, claims = MemoryTopic("a", "b", "c"), MemoryClaims()
    topic.lose_before(2)
    reading = make(MemorySource, topic=topic.name).read(claims)
    assert ["c"] == texts(await anext(reading))
    assert [(PARTITION, Span(0, 2), "retention")] == [(g.partition, g.span, g.reason) for g in claims.gaps]


async def test_the_message_before_the_claim_is_shown() -> None:
    """A source that resumes lets the ledgers recognise what they stored last."""
    topic, claims = MemoryTopic("a", "b", "c"), MemoryClaims({PARTITION: 2})
    assert ["c"] == texts(await anext(make(MemorySource, topic=topic.name).read(claims)))
    assert ["b"] == texts(claims.recognised)


async def test_time_moves_when_somebody_sleeps() -> None:
    """A fake clock takes no time, and remembers who slept how long."""
    clock = FakeClock(100.0)
    await clock.sleep(2.5)
    assert (102.5, [2.5]) == (clock(), clock.slept)


def test_a_message_is_made_in_one_line() -> None:
    """Offset, body and partition are all that a test cares for."""
    made = make_message(7, b"body", partition=Partition("t", 1))
    assert (7, b"body", 1) == (made.position.offset, made.raw, made.position.partition.number)


def texts(messages: object) -> list[str]:
    return [message.raw.decode() for message in messages if isinstance(message, Message)]  # type: ignore[attr-defined]
