"""What goes wrong around a source, and what it then says or does."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kit.eventually import eventually
from kit.kafka import KafkaServer
from kit.kafka_topics import create_topic, produce, produce_all
from kit.ports import free_port
from stockifyd.api import Drift, Message, Partition, Unavailable
from stockifyd_kafka.assignment import Resume
from stockifyd_kafka.member import Action, Member


async def test_no_broker_is_unavailable(bench: Any) -> None:
    """The reason of each broker is said; the runtime opens again."""
    port = free_port()
    source = bench.source(brokers=f"127.0.0.1:{port}")
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}: ConnectionRefusedError"):
        await source.open()


async def test_open_may_be_called_again(bench: Any, tmp_path: Path) -> None:
    """After a failure the same object connects, once the broker is there."""
    server = KafkaServer(tmp_path / "kafka")
    source = bench.source(brokers=server.bootstrap)
    with pytest.raises(Unavailable):
        await source.open()
    try:
        await asyncio.to_thread(server.start)
        await create_topic(server.direct, bench.topic)
        await source.open()
        await source.close()
    finally:
        await asyncio.to_thread(server.kill)


async def test_an_unknown_topic_is_drift(bench: Any) -> None:
    """It is not made; how to make it is said."""
    with pytest.raises(Drift, match=f"no topic '{bench.topic}'.*none is created") as raised:
        await bench.source().open()
    assert "--create" in raised.value.hint


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_password_opens_and_a_wrong_one_is_drift(bench: Any, mechanism: str) -> None:
    """Each mechanism; a wrong password halts, and is not printed."""
    await bench.topic_with(1)
    door = {"brokers": bench.kafka.sasl, "security": "SASL_PLAINTEXT", "mechanism": mechanism, "username": "reader"}
    await bench.source(**door, password="reader-secret").open()
    with pytest.raises(Drift) as raised:
        await bench.source(**door, password="hunter2").open()
    assert "password" in raised.value.hint
    assert "hunter2" not in str(raised.value)


async def test_a_password_at_an_open_door_says_what_to_do(bench: Any) -> None:
    """SASL where none is asked for."""
    await bench.topic_with(1)
    with pytest.raises((Drift, Unavailable)) as raised:
        await bench.source(security="SASL_PLAINTEXT", username="reader", password="x").open()
    assert "security" in raised.value.hint


async def test_lists_come_each_second_while_paused(bench: Any) -> None:
    """A paused source yields empty lists, stays a member, and reads on when resumed."""
    await bench.topic_with(2)
    source, ledger = bench.source(), bench.ledger()
    await source.open()
    source.pause()
    await produce_all(bench.direct, bench.topic, {0: [b"a"], 1: [b"b"]})
    reading = source.read(ledger)
    for _ in range(8):
        assert await asyncio.wait_for(anext(reading), 2) == []
    await eventually(lambda: ledger.taken)
    source.resume()
    found: list[Message] = []
    while len(found) < 2:
        found += await asyncio.wait_for(anext(reading), 2)
    assert sorted(m.raw for m in found) == [b"a", b"b"]
    await reading.aclose()


async def test_a_rewind_reads_again_from_the_ledger(bench: Any) -> None:
    """Closed and called again, what was not stored comes again, after a proof of membership."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"a", b"b"])
    source, ledger = bench.source(), bench.ledger()
    await source.open()
    for _ in range(3):
        reading = source.read(ledger)
        found: list[Message] = []
        while len(found) < 2:
            found += await anext(reading)
        assert [m.raw for m in found] == [b"a", b"b"]
        await reading.aclose()
    assert len(ledger.taken) == 3


async def test_a_claim_that_fails_is_tried_again(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A ledger that is away: tried until it is back, and the group is kept. The runtime says it; the source is silent."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"a"])
    ledger = bench.ledger()
    take, failures = ledger.take, iter(range(3))

    async def failing(starts: Mapping[Partition, int], committed: Mapping[Partition, int]) -> Mapping[Partition, int]:
        if next(failures, None) is not None:
            raise Unavailable("the database is away")
        return await take(starts, committed)

    ledger.take = failing
    caplog.set_level(logging.INFO)
    async with bench.reading(ledger) as task:
        assert await bench.stored(ledger, 1, task) == [b"a"]
    said = [r.message for r in caplog.records if r.name == "stockifyd.kafka"]
    assert next(failures, None) is None
    assert [line for line in said if "away" in line or "works again" in line] == []


async def test_a_drift_in_a_claim_ends_the_reading(bench: Any) -> None:
    """What an operator must decide is raised out of `read`."""
    await bench.topic_with(1)
    ledger = bench.ledger()

    async def refuse(starts: Mapping[Partition, int], committed: Mapping[Partition, int]) -> Mapping[Partition, int]:
        raise Drift("the ledger is gone")

    ledger.take = refuse
    async with bench.reading(ledger) as task:
        with pytest.raises(Drift, match="the ledger is gone"):
            await task


async def test_a_bug_in_the_runtime_is_not_swallowed(bench: Any) -> None:
    """An error of no known kind is raised as it is."""
    await bench.topic_with(1)
    ledger = bench.ledger()

    async def broken(partitions: Sequence[Partition], committed: object) -> Mapping[Partition, int]:
        raise ZeroDivisionError

    ledger.take = broken
    async with bench.reading(ledger) as task:
        with pytest.raises(ZeroDivisionError):
            await task


async def test_commit_leaves_out_what_is_not_ours(bench: Any) -> None:
    """Other partitions, another cluster, an unopened source: nothing is raised."""
    await bench.topic_with(1)
    source, ledger = bench.source(), bench.ledger()
    await source.commit({Partition(bench.topic, 0): 1})
    await source.open()
    await source.commit({Partition(bench.topic, 7): 1, Partition("other"): 2})
    reading = source.read(ledger)
    while not source.lag():
        await anext(reading)
    ours = next(iter(source.lag()))
    await source.commit({ours: 0, Partition(bench.topic, 0, "another cluster"): 99})
    await reading.aclose()


async def test_closing_unopened_and_twice(bench: Any) -> None:
    """`close` works whatever happened before."""
    source = bench.source()
    await source.close()
    await source.close()


@pytest.fixture
async def own(tmp_path: Path) -> Any:
    """A Kafka that this test may break."""
    server = KafkaServer(tmp_path / "kafka")
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.kill)


@pytest.mark.slow
async def test_a_killed_broker_is_ridden_out(bench: Any, own: KafkaServer, caplog: pytest.LogCaptureFixture) -> None:
    """kill -9 and a start later: said once each way, all read once."""
    bench.kafka = own
    await bench.topic_with(3)
    caplog.set_level(logging.INFO)
    ledger = bench.ledger()
    async with bench.reading(ledger) as task:
        await produce(bench.direct, bench.topic, [b"a"])
        await bench.stored(ledger, 1, task)
        await asyncio.to_thread(own.kill)
        await eventually(lambda: "does not answer" in caplog.text)
        await asyncio.to_thread(own.start)
        await produce(bench.direct, bench.topic, [b"b"])
        assert await bench.stored(ledger, 2, task) == [b"a", b"b"]
        await eventually(lambda: "answers again" in caplog.text)  # it is looked at after a fetch, not before what it brought
    assert caplog.text.count("does not answer") == 1
    assert caplog.text.count("answers again") == 1


@pytest.mark.slow
async def test_a_broker_that_swallows_is_connected_anew(bench: Any, own: KafkaServer) -> None:
    """Frozen past `stall_secs`: the consumer is rebuilt, and reads on when the broker is back."""
    bench.kafka = own
    await bench.topic_with(3)
    ledger = bench.ledger()
    async with bench.reading(ledger, stall_secs=6) as task:
        await produce(bench.direct, bench.topic, [b"a"])
        await bench.stored(ledger, 1, task)
        before = bench.sources[-1]._keeper.member
        own.freeze()
        await eventually(lambda: before.closed, within_secs=60)
        own.thaw()
        await produce(bench.direct, bench.topic, [b"b"])
        assert await bench.stored(ledger, 2, task) == [b"a", b"b"]
        assert bench.sources[-1]._keeper.member is not before


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_what_it_began_ends_with_it(bench: Any, own: KafkaServer, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """A broker that has gone or is silent: commits under way, fetches, heartbeats and connections go with the source."""
    bench.kafka = own
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"a"])
    before, source = asyncio.all_tasks(), bench.source()
    await source.open()
    reading = source.read(bench.ledger())
    while not (found := await anext(reading)):
        pass
    await asyncio.to_thread(getattr(own, fault))
    offsets = {found[0].position.partition: 1}
    await asyncio.gather(source.commit(offsets), source.commit(offsets))
    await reading.aclose()
    await source.close()
    own.thaw()
    await eventually(lambda: asyncio.all_tasks() <= before)
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.slow
async def test_a_rewind_while_it_connects_anew_loses_nothing(
    bench: Any, own: KafkaServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Cut off while no broker answered, connecting anew goes on in the next reading."""
    bench.kafka = own
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"a"])
    ledger, source = bench.ledger(), bench.source(stall_secs=1.5)
    await source.open()
    reading = source.read(ledger)
    while not await anext(reading):
        pass
    own.freeze()
    while "trying again until it works" not in caplog.text:
        assert await anext(reading) == []
    await reading.aclose()
    own.thaw()
    reading = source.read(ledger)
    async with asyncio.timeout(60):
        while not (found := await anext(reading)):
            pass
    assert [m.raw for m in found] == [b"a"]
    await reading.aclose()


async def test_several_topics(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A list of partitions for each."""
    await bench.topic_with(2)
    other = f"{bench.topic}-other"
    await create_topic(bench.direct, other, 2)
    await produce(bench.direct, other, [b"a"])
    caplog.set_level(logging.INFO)
    ledger = bench.ledger()
    async with bench.reading(ledger, topics=[bench.topic, other]):
        await eventually(lambda: ledger.stored(other))
    assert f"✓ Assigned partitions: {bench.topic} [0, 1], {other} [0, 1]" in caplog.text


@pytest.mark.slow
async def test_a_stall_that_nothing_cures_ends_the_reading(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """More to read, nothing comes: connected anew three times, then Unavailable."""
    await bench.topic_with(1)
    await produce(bench.direct, bench.topic, [b"a"])
    perform = Member.perform

    def deaf(member: Member, actions: Sequence[Action]) -> None:
        perform(member, [action for action in actions if not isinstance(action, Resume)])

    monkeypatch.setattr(Member, "perform", deaf)
    async with bench.reading(bench.ledger(), stall_secs=1.5) as task:
        with pytest.raises(Unavailable, match=r"more to read, but nothing came .* connecting anew 3 times"):
            await task
