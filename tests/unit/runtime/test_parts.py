"""The small parts of the runtime: buffer, rejects, breaker, backoff, ledgers."""

from __future__ import annotations

import asyncio
import logging
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Batch, DeadLetter, Drift, Message, Partition, Position, Unavailable
from stockifyd.runtime import tasks
from stockifyd.runtime.breaker import Breaker
from stockifyd.runtime.buffer import Buffer, size_of
from stockifyd.runtime.journal import Journal
from stockifyd.runtime.rejects import Rejects
from stockifyd.runtime.timing import Backoff

P = Partition("t")


def messages(*sizes: int, partition: Partition = P) -> list[Message]:
    return [Message(Position(partition, n), b"x" * size, key=b"NIFTY:2026-11-24") for n, size in enumerate(sizes)]


@given(st.lists(st.lists(st.integers(0, 50), max_size=8), max_size=8), st.integers(1, 120), st.integers(1, 10))
def test_buffer_gives_all_in_order_within_its_limits(chunks: list[list[int]], max_bytes: int, max_messages: int) -> None:
    """Whatever the chunks, batches hold every message once, and are within both limits or hold one message."""

    async def all_taken() -> tuple[list[Message], list[list[Message]]]:
        buffer, put, taken = Buffer(), list[Message](), list[list[Message]]()
        for chunk in chunks:
            some = messages(*chunk)
            buffer.put(some, size_of(some))
            put += some
        while batch := buffer.take(max_bytes, max_messages):
            taken.append(batch)
        assert buffer.bytes == 0
        return put, taken

    put, taken = asyncio.run(all_taken())
    assert [m for batch in taken for m in batch] == put
    assert all(len(batch) <= max_messages for batch in taken)
    assert all(size_of(batch) <= max_bytes or len([m for m in batch if m.raw]) == 1 for batch in taken)


async def test_room_made_before_it_is_waited_for_is_not_missed() -> None:
    """Between the question for room and the wait for it a batch may be taken: that is room."""
    buffer = Buffer()
    buffer.put(messages(100), 100)
    room = asyncio.ensure_future(buffer.room())
    buffer.take(10, 10)
    await asyncio.wait_for(room, 10)


async def test_dropped_partitions_leave_the_others() -> None:
    """A revoked partition's messages go, and their bytes."""
    other = Partition("t", 1)
    buffer = Buffer()
    some = messages(1, 2) + messages(4, partition=other)
    buffer.put(some, size_of(some))
    buffer.drop({P})
    assert buffer.bytes == 4
    assert [m.position.partition for m in buffer.take(100, 100)] == [other]


def batch(good: int, bad: int, first: int = 0) -> Batch:
    made = [Message(Position(P, first + n), b"") for n in range(good + bad)]
    return Batch(tuple(made[:good]), rejected=tuple(DeadLetter(m, "bad", "decode") for m in made[good:]))


def test_nine_rejected_are_accidents_and_ten_in_a_row_are_drift() -> None:
    """The line is at ten in a row."""
    rejects = Rejects()
    rejects.judge(batch(0, 9))
    with pytest.raises(Drift, match=r"10 of the last 10 messages.*'decode': bad"):
        rejects.judge(batch(0, 10))


def test_one_percent_of_a_thousand_is_allowed() -> None:
    """Ten of a thousand pass, eleven do not, when they are not in a row."""
    rejects = Rejects()
    for n in range(99):
        rejects.record(batch(9 if n < 90 else 10, 0, n * 20))
    for n in range(10):
        some = batch(2, 1, 10_000 + n * 3)
        rejects.judge(some) if n < 9 else None
        rejects.record(some)
    with pytest.raises(Drift):
        rejects.judge(batch(10, 9, 20_000))


def test_batch_that_comes_again_is_counted_once() -> None:
    """Only what is durable counts."""
    rejects = Rejects()
    for _ in range(5):
        rejects.judge(batch(20, 5))


def test_breaker_speaks_once_when_it_breaks_and_once_when_it_mends(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is tried in between."""
    changes: list[bool] = []
    breaker = Breaker(logging.getLogger("t"), lambda: changes.append(breaker.is_open))
    with caplog.at_level("INFO"):
        for _ in range(3):
            breaker.broken("sink 'x'", Unavailable("connection refused", hint="start it"))
        breaker.mended("sink 'x'")
        breaker.mended("sink 'x'")
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "HINT: start it" in caplog.text
    assert changes == [True, False]


@given(st.integers(0, 200), st.integers())
def test_pauses_grow_to_a_cap_and_are_jittered(tries: int, seed: int) -> None:
    """Between half of the full pause and the full pause."""
    backoff = Backoff(0.05, 5.0, tries, random.Random(seed))
    full = min(5.0, 0.05 * 2.0 ** min(tries, 30))
    assert full / 2 <= backoff.next() <= full


def test_journal_names_the_last_chain(caplog: pytest.LogCaptureFixture) -> None:
    """As an operator knows it."""
    made = Batch(tuple(messages(1, 1))).flatten("options", ("n",), lambda _: [(n,) for n in range(500)])
    with caplog.at_level("INFO"):
        Journal(logging.getLogger("t"), 0.0).delivered(made, 0.125)
    assert caplog.messages == ["Stored 2 messages, last: NIFTY (500 options) in 0.125s"]


async def test_a_lost_cancellation_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a component waits for may take the first one for its own; whoever ends its task does not wait for ever."""
    monkeypatch.setattr(tasks, "AGAIN_SECS", 0.01)
    lost = asyncio.Event()

    async def lose_one() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(lose_one())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await tasks.cancelled(task)
    assert (lost.is_set(), task.cancelled()) == (True, True)
