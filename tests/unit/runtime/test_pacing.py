"""The pace: what is due when, in which order, and a pipeline that keeps it."""

from __future__ import annotations

from time import monotonic

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.api import Message, Partition, Position
from stockifyd.runtime.pacing import PAUSE_SECS, Pace
from stockifyd.testing import MemoryStore, MemoryTopic
from unit.runtime.pipelines import blueprint, bodies, finish, running, texts, until

ONE, OTHER = Partition("t", 1), Partition("t", 2)


def message(partition: Partition, offset: int, stamp_ms: int) -> Message:
    return Message(Position(partition, offset), b"12345678", timestamp_ms=stamp_ms)


def test_messages_are_as_far_apart_as_their_times() -> None:
    """Twice as fast: two seconds of theirs are one of ours, counted from the first."""
    pace, found = Pace(), [message(ONE, n, 1_000_000 + 2_000 * n) for n in range(3)]
    pace.hold(found, {})
    assert (found[:1], {}) == pace.due(100.0, 2)
    assert (([], {}), 0.25) == (pace.due(100.75, 2), pace.wait(100.75, 2))
    assert (found[1:], {}) == pace.due(102.0, 2)


def test_partitions_are_merged_by_time() -> None:
    """What was read of one partition far ahead waits for what is older in another."""
    pace, ahead, behind = Pace(), [message(ONE, n, 1_000 * n) for n in range(5)], [message(OTHER, n, 1_000 * n) for n in range(5)]
    pace.hold(ahead, {})
    pace.hold(behind, {})
    assert [ahead[0], behind[0], ahead[1], behind[1]] == pace.due(0.0, 1)[0] + pace.due(1.0, 1)[0]


def test_a_long_pause_is_cut() -> None:
    """A night lasts a minute, and after it the pace is as before."""
    pace = Pace()
    pace.hold([message(ONE, 0, 1_000), message(ONE, 1, 80_000_000), message(ONE, 2, 80_001_000)], {})
    pace.due(0.0, 1)
    assert PAUSE_SECS - 1 == pace.wait(1.0, 1)
    assert 1 == len(pace.due(PAUSE_SECS, 1)[0])
    assert 1.0 == pace.wait(PAUSE_SECS, 1)


def test_a_position_comes_after_its_messages() -> None:
    """Where reading stands beyond them is told when they were dealt, not before."""
    pace = Pace()
    pace.hold([message(ONE, 0, 1_000), message(ONE, 1, 3_000)], {ONE: 9})
    assert {} == pace.due(0.0, 1)[1]
    assert {ONE: 9} == pace.due(2.0, 1)[1]


def test_without_a_speed_all_is_due() -> None:
    """A reload that takes the speed away lets go of everything."""
    pace = Pace()
    pace.hold([message(ONE, n, 1_000_000 * n) for n in range(3)], {})
    pace.due(0.0, 1)
    assert (2, False, 0) == (len(pace.due(0.0, 0)[0]), bool(pace), pace.bytes)


@given(
    st.lists(st.tuples(st.sampled_from([ONE, OTHER]), st.integers(-5, 10**7)), max_size=30),
    st.lists(st.floats(0, 50), max_size=40),
    st.floats(0.1, 1000),
)
def test_nothing_is_lost_and_order_holds(made: list[tuple[Partition, int]], steps: list[float], speed: float) -> None:
    """Whatever times messages have: each comes once, a partition's in the order in which they were read."""
    pace, held = Pace(), [message(partition, n, stamp) for n, (partition, stamp) in enumerate(made)]
    pace.hold(held, {})
    found, now = list[Message](), 0.0
    for step in steps:
        now += step
        found += pace.due(now, speed)[0]
    found += pace.due(now, 0)[0]
    for partition in (ONE, OTHER):
        assert [m for m in held if m.position.partition == partition] == [m for m in found if m.position.partition == partition]


async def test_a_pipeline_keeps_the_pace() -> None:
    """It takes no less time than the messages' own divided by the speed, and delivers all of them, over a hole too."""
    topic, store = MemoryTopic(*bodies(4)), MemoryStore()
    topic.add_hole(3)
    [log] = topic.logs.values()
    log.messages[:] = [msgspec.structs.replace(m, timestamp_ms=1_000_000 + 1_000 * n) for n, m in enumerate(log.messages)]
    began = monotonic()
    await finish(blueprint(topic, store, speed=10.0))
    assert monotonic() - began >= 0.3
    assert (bodies(4), [7]) == (texts(store), list(topic.committed.values()))


async def test_what_is_not_due_is_not_dealt_after_a_stop() -> None:
    """A stop waits for what is in flight, and for nothing that is only held."""
    topic, store = MemoryTopic(*bodies(2)), MemoryStore()
    [log] = topic.logs.values()
    log.messages[:] = [msgspec.structs.replace(m, timestamp_ms=1 + 50_000 * n) for n, m in enumerate(log.messages)]
    async with running(blueprint(topic, store, speed=1.0)):
        await until(lambda: len(store.messages) == 1)
    assert bodies(1) == texts(store)
