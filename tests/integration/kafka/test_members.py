"""Several members of a group, as processes: killed, stopped, slow, and joining."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kit.eventually import eventually
from kit.kafka_member import MemberProcess
from kit.kafka_topics import produce_all

Start = Callable[..., MemberProcess]
GIVEN_BACK = "partitions are given back"


@pytest.fixture
def start(bench: Any) -> Iterator[Start]:
    """Starts members on one ledger; what still runs at the end is killed."""
    members: list[MemberProcess] = []

    def start(owner: str, *, take_secs: float = 0.0, **options: Any) -> MemberProcess:
        bench.ledger().db.close()  # makes its tables before two processes try to
        found = MemberProcess(bench.folder / "ledger.db", owner, bench.options(**options), take_secs=take_secs)
        members.append(found)
        return found

    yield start
    for member in members:
        member.kill()


async def feed(bench: Any, partitions: int, *, first: int = 0, count: int = 20) -> None:
    lots = {p: [b"%d-%d" % (p, n) for n in range(first, first + count)] for p in range(partitions)}
    await produce_all(bench.direct, bench.topic, lots)


async def exactly(bench: Any, partitions: int, count: int) -> None:
    """Each partition's messages are stored once and in order."""
    ledger = bench.ledger()
    wanted = {p: list(range(count)) for p in range(partitions)}
    await eventually(lambda: sum(map(len, ledger.stored(bench.topic).values())) >= partitions * count)
    assert wanted == ledger.stored(bench.topic)


async def test_two_instances_share_sixty_partitions(bench: Any, start: Start) -> None:
    """By range: thirty each, in one piece, and said so."""
    await bench.topic_with(60)
    one, two = start("one"), start("two")
    ledger = bench.ledger()
    await eventually(lambda: ledger.owners() == {"one": 30, "two": 30})
    await feed(bench, 60)
    await exactly(bench, 60, 20)
    said = {line.split("✓ ")[1] for m in (one, two) for line in m.log.splitlines() if "✓ Assigned" in line}
    assert {"Assigned partitions: [0, 1, 2, ..., 29]", "Assigned partitions: [30, 31, 32, ..., 59]"} <= said
    assert f"✓ Kafka consumer started with group '{bench.group}'" in one.log
    assert one.end() == 0
    await eventually(lambda: ledger.owners() == {"two": 60})


async def test_a_killed_members_partitions_flow_elsewhere(bench: Any, start: Start, record_property: Any) -> None:
    """kill -9 of one: the other claims all; nothing lost, nothing twice."""
    await bench.topic_with(6)
    one, _ = start("one"), start("two")
    ledger = bench.ledger()
    await eventually(lambda: ledger.owners() == {"one": 3, "two": 3})
    await feed(bench, 6)
    one.kill()
    killed = time.time()
    await feed(bench, 6, first=20)
    await eventually(lambda: ledger.owners() == {"two": 6})
    secs = ledger.events("two", "take")[-1][0] - killed
    record_property("seconds until the other had them", round(secs, 2))
    print(f"killed: the other had its partitions after {secs:.2f} s")
    await exactly(bench, 6, 40)


async def test_a_stopped_member_delivers_nothing_that_is_not_its_own(bench: Any, start: Start) -> None:
    """SIGSTOP past the session, the other takes over; after SIGCONT it comes back as an ordinary member."""
    await bench.topic_with(6)
    one, two = start("one"), start("two")
    ledger = bench.ledger()
    await eventually(lambda: ledger.owners() == {"one": 3, "two": 3})
    await feed(bench, 6)
    await exactly(bench, 6, 20)
    one.send(signal.SIGSTOP)
    await feed(bench, 6, first=20)
    await eventually(lambda: ledger.owners() == {"two": 6})
    await exactly(bench, 6, 40)
    fenced_before = len(ledger.events("two", "fenced"))
    one.send(signal.SIGCONT)
    await feed(bench, 6, first=40)
    await eventually(lambda: ledger.owners() == {"one": 3, "two": 3})
    await exactly(bench, 6, 60)
    assert "longer than the session" in one.log
    assert fenced_before == len(ledger.events("two", "fenced")), "the true owner was fenced by the sleeper"
    assert not ledger.events("one", "fenced"), "the sleeper tried to store"
    assert two.end() == 0


async def test_a_slow_claim_does_not_evict(bench: Any, start: Start) -> None:
    """A claim of twice the session: the member stays one, and reads in the end."""
    await bench.topic_with(2)
    await feed(bench, 2)
    slow = start("slow", take_secs=12)
    await exactly(bench, 2, 20)
    takes = bench.ledger().events("slow", "take")
    assert len(takes) == 1, slow.log


async def test_a_revocation_drains(bench: Any, start: Start) -> None:
    """When another joins, what was held is released before anything is claimed again."""
    await bench.topic_with(4)
    start("one")
    ledger = bench.ledger()
    await eventually(lambda: ledger.owners() == {"one": 4})
    await feed(bench, 4)
    start("two")
    await eventually(lambda: ledger.owners() == {"one": 2, "two": 2})
    await feed(bench, 4, first=20)
    await exactly(bench, 4, 40)
    order = ledger.db.execute("SELECT what, partitions FROM events WHERE owner = 'one' ORDER BY at").fetchall()
    assert order == [("take", 4), ("release", 4), ("take", 2)]


@pytest.mark.slow
async def test_nothing_is_committed_while_the_group_deals_anew(
    bench: Any, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Behind a join it is answered as of a generation that is gone, and the member joins again: by its claims for ever."""
    caplog.set_level(logging.INFO)
    await bench.topic_with(6)
    ledger = bench.ledger("us")
    async with bench.reading(ledger):
        asleep = start("asleep")
        await eventually(lambda: ledger.owners() == {"us": 3, "asleep": 3})
        asleep.send(signal.SIGSTOP)  # the join waits for it until its session is over
        before = caplog.text.count(GIVEN_BACK)
        start("new")
        await eventually(lambda: caplog.text.count(GIVEN_BACK) > before)
        stored = dict.fromkeys(ledger.taken[-1], 0)
        await bench.sources[-1].commit(stored)
        await feed(bench, 6)
        await eventually(lambda: ledger.owners() == {"us": 3, "new": 3})
        await exactly(bench, 6, 20)
        assert caplog.text.count(GIVEN_BACK) == before + 1


async def test_a_static_member_is_back_at_once(bench: Any, start: Start) -> None:
    """Killed and started within the session, it has its own partitions again, and the other kept its own."""
    await bench.topic_with(4)
    first = start("one", membership="static")
    ledger = bench.ledger()
    await eventually(lambda: ledger.owners() == {"one": 4})
    await feed(bench, 4)
    await exactly(bench, 4, 20)
    first.kill()
    start("again", membership="static")
    await feed(bench, 4, first=20)
    await exactly(bench, 4, 40)
    assert ledger.owners() == {"again": 4}


async def test_members_come_and_go(bench: Any, start: Start) -> None:
    """Some joins, ends and kills under load: nothing lost, nothing twice."""
    await bench.topic_with(6)
    start("a")
    for turn, owner in enumerate("bcdef"):
        other = start(owner)
        await feed(bench, 6, first=20 * turn)
        await asyncio.sleep(1.5)
        if turn % 2:
            other.kill()
        else:
            other.end()
    await exactly(bench, 6, 100)
