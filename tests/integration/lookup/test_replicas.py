"""Which server is read when replicas stand still, die, conflict, are promoted, or nobody knows how far they are behind.

Two real streaming replicas behind PgBouncers; RELIABILITY 9, row 37.
"""
# what is expected stands first in an assert

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Any

import pytest

from kit.eventually import eventually
from kit.house import House, Opened
from kit.sensors import TOPIC, reading, readings
from stockifyd.api import Retry, Unavailable
from stockifyd_postgres.connection import Transaction
from stockifyd_postgres.lookup import Lookup
from stockifyd_postgres.standing import RETURN_LOOKS, Standing

MAX_LAG_SECS = 2.0


def port(lookup: Lookup) -> int:
    """Where the next batch is read; 0: nowhere."""
    assert lookup._replicas is not None
    address = lookup._replicas.reading
    return address.port if address else 0


async def room(lookup: Lookup) -> Any:
    """What is looked up of sensor 1."""
    return (await lookup.apply(readings([[reading(1)]]))).tables["readings"].rows[0][3]


async def room_or_none(lookup: Lookup) -> Any:
    """The same; None where nothing may be read."""
    try:
        return await room(lookup)
    except Unavailable:
        return None


async def leaves(lookup: Lookup, left: int) -> None:
    """Looks up until that server is not read any more."""

    async def look() -> None:
        while port(lookup) == left:
            await room_or_none(lookup)
            await asyncio.sleep(0.05)

    await asyncio.wait_for(look(), 60)


async def test_the_first_replica_is_read(house: House, opened: Opened) -> None:
    """Not the primary, and not the second one: what the first has not replayed is not seen."""
    lookup = await opened()
    house.hold(0)
    house.primary.sql("UPDATE sensors SET room = 'new' WHERE sensor_id = 1")
    house.replicas[1].catch_up()
    assert (house.port(0), "room 1") == (port(lookup), await room(lookup))


async def test_a_replica_that_stands_still_is_left_and_taken_back(
    house: House, opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Past `max_lag_ms` the second is read; the first is read again after several good looks in a row; each is told once."""
    caplog.set_level(logging.INFO, "stockifyd.tests.lookup")
    lookup = await opened()
    house.hold(0)
    await leaves(lookup, house.port(0))
    house.primary.sql("UPDATE sensors SET room = 'new' WHERE sensor_id = 1")
    house.replicas[1].catch_up()
    assert (house.port(1), "new") == (port(lookup), await room(lookup))
    looks: list[int] = []
    seen = Standing.seen

    def watched(self: Standing, lag_ms: float, max_lag_ms: float | None) -> None:
        if not self.is_up:
            looks.append(round(lag_ms))
        seen(self, lag_ms, max_lag_ms)

    monkeypatch.setattr(Standing, "seen", watched)
    house.go_on(0)
    await eventually(lambda: port(lookup) == house.port(0), within_secs=60)
    assert [True] * RETURN_LOOKS == [lag <= MAX_LAG_SECS * 500 for lag in looks[-RETURN_LOOKS:]]
    assert "new" == await room(lookup)
    told = [record.getMessage() for record in caplog.records if f":{house.port(0)} is" in record.getMessage()]
    assert ["is not read any more", "is read again"] == [
        next(w for w in ("is not read any more", "is read again") if w in t) for t in told
    ]


async def test_without_another_server_it_is_waited(house: House, opened: Opened) -> None:
    """Both stand still: Unavailable with each one's lag, again and again, until one has caught up."""
    lookup = await opened()
    house.hold(0)
    house.hold(1)
    await leaves(lookup, house.port(0))
    await leaves(lookup, house.port(1))
    with pytest.raises(Unavailable, match=r"nothing to look up sensors in: .*s behind.*; .*s behind") as told:
        await room(lookup)
    assert "max_lag_ms" in told.value.hint
    house.go_on(1)
    await eventually(lambda: port(lookup) == house.port(1), within_secs=60)
    assert "room 1" == await room(lookup)


async def test_the_primary_only_where_the_spec_allows_it(house: House, opened: Opened) -> None:
    """`fallback: primary`: with both replicas standing still the primary is read; else never."""
    lookup = await opened(fallback="primary")
    house.hold(0)
    house.hold(1)
    await leaves(lookup, house.port(0))
    await leaves(lookup, house.port(1))
    house.primary.sql("UPDATE sensors SET room = 'new' WHERE sensor_id = 1")
    assert (house.primary.pooler.port, "new") == (port(lookup), await room(lookup))


async def test_a_replica_that_is_killed(house: House, opened: Opened) -> None:
    """kill -9: the batch that met it is read from the second; when it is back, the first is read again."""
    lookup = await opened()
    house.replicas[0].kill()
    assert "room 1" == await room(lookup)
    assert house.port(1) == port(lookup)
    house.replicas[0].start()
    await eventually(lambda: port(lookup) == house.port(0), within_secs=60)
    assert "room 1" == await room(lookup)


async def test_a_pooler_that_is_killed(house: House, opened: Opened) -> None:
    """The same with the PgBouncer before it."""
    lookup = await opened()
    house.poolers[0].kill()
    assert "room 1" == await room(lookup)
    assert house.port(1) == port(lookup)
    house.poolers[0].start()
    await eventually(lambda: port(lookup) == house.port(0), within_secs=60)


async def test_a_lag_that_nobody_knows_is_not_trusted(house: House, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a primary's heartbeat no replica is read; with `max_lag_ms: null` nobody asks for one."""
    nowhere = house.primary.server.url(house.primary.name, port=1)
    with pytest.raises(Unavailable, match="how far it is behind nobody knows"):
        await opened(primary=nowhere)
    assert "room 1" == await room(await opened(primary=nowhere, max_lag_ms=None))


async def test_a_database_without_a_heartbeat(house: House, opened: Opened) -> None:
    """A database that was migrated by an older version: said, with the cure, and right as soon as it is migrated."""
    house.primary.sql("ALTER TABLE stockifyd.heartbeat RENAME TO gone")
    house.catch_up()
    with pytest.raises(Unavailable, match=r"there is no table stockifyd\.heartbeat") as told:
        await opened()
    assert "stockifyd migrate" in told.value.hint
    house.primary.sql("ALTER TABLE stockifyd.gone RENAME TO heartbeat")
    house.catch_up()
    assert "room 1" == await room(await opened())


async def test_the_primary_alone_needs_no_heartbeat(house: House, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """`database: primary`: read without one; but not where a standby is behind that name."""
    house.primary.sql("DROP TABLE stockifyd.heartbeat")
    lookup = await opened(url="primary")
    assert (house.primary.pooler.port, "room 1") == (port(lookup), await room(lookup))
    monkeypatch.setenv("DATABASE_PORT", str(house.port(0)))
    with pytest.raises(Unavailable, match="a standby, where the primary is asked for"):
        await opened(url="primary")


async def test_a_primary_that_dies_leaves_no_fresh_replica(house: House, opened: Opened) -> None:
    """Nobody stamps, so nobody can say that a replica is fresh: not read past the limit. When the primary is back, it is."""
    lookup = await opened()
    house.primary.server.kill()
    await leaves(lookup, house.port(0))
    await leaves(lookup, house.port(1))
    house.primary.server.start()
    await eventually(lambda: port(lookup) == house.port(0), within_secs=60)
    assert "room 1" == await room(lookup)


async def test_a_replica_promoted_beside_a_living_primary(house: House, opened: Opened) -> None:
    """It is no standby any more, and gets no heartbeat either: it is left, though it never says that it is behind."""
    lookup = await opened()
    house.replicas[0].promote()
    await leaves(lookup, house.port(0))
    house.primary.sql("UPDATE sensors SET room = 'new' WHERE sensor_id = 1")
    house.replicas[1].catch_up()
    assert (house.port(1), "new") == (port(lookup), await room(lookup))


async def test_a_conflict_with_replay_is_read_elsewhere(house: House, opened: Opened) -> None:
    """A replica whose replay ends our connection: the same question goes to the second, and the first is read on."""
    house.replicas[0].sql("ALTER SYSTEM SET max_standby_streaming_delay = 0")
    house.replicas[0].sql("SELECT pg_reload_conf()")
    lookup = await opened()
    replicas = lookup._replicas
    assert replicas is not None
    asked: list[int] = []

    async def ask(transaction: Transaction) -> Any:
        asked.append(transaction.address.port)
        before = await transaction.value("SELECT room FROM sensors WHERE sensor_id = 2")
        if len(asked) == 1:
            house.primary.sql("ALTER TABLE sensors ADD COLUMN windows int")  # its lock is replayed, and ours is in its way
            await asyncio.to_thread(house.replicas[0].catch_up)
        await transaction.value("SELECT count(*) FROM sensors")
        return before

    assert "room 2" == await replicas.read(ask)
    assert [house.port(0), house.port(1)] == asked
    assert house.port(0) == port(lookup)


async def test_rows_of_another_pipeline_by_its_offsets(house: House, opened: Opened) -> None:
    """`after`: a replica that has not replayed them is passed over for one that has; where none has, Retry."""
    lookup = await opened(after={"consumer": "storage-group"})
    batch = readings([[reading(1)]], first=10)
    house.hold(0)
    insert = "INSERT INTO stockifyd.offsets (consumer, sink, cluster, topic, partition, next_offset)"
    stored = f"{insert} VALUES ('storage-group', 'postgres', '{TOPIC.cluster}', 'readings', 0, 10)"
    with pytest.raises(Retry, match="has not stored readings/0 up to 10 here yet"):
        await lookup.apply(batch)
    house.primary.sql(f"BEGIN; UPDATE sensors SET room = 'stored with it' WHERE sensor_id = 1; {stored}; COMMIT")
    house.replicas[1].catch_up()
    assert "stored with it" == (await lookup.apply(batch)).tables["readings"].rows[0][3]


async def test_never_stale(house: House, opened: Opened) -> None:
    """While replicas stand still and go on in turn, nothing is found that was replaced more than `max_lag_ms` before."""
    house.primary.sql("CREATE TABLE log (n serial, at timestamptz)")
    change = """BEGIN; INSERT INTO log (at) VALUES (clock_timestamp());
    UPDATE sensors SET room = (SELECT max(n)::text FROM log) WHERE sensor_id = 1; COMMIT"""
    lookup = await opened()
    found: list[tuple[datetime, int]] = []
    for turn in range(60):
        await asyncio.to_thread(house.primary.sql, change)
        if turn in (5, 30):
            house.hold(0)
        if turn in (20, 45):
            house.go_on(0)
        if turn == 15:
            house.hold(1)
        if turn == 30:
            house.go_on(1)
        asked = datetime.fromisoformat(await asyncio.to_thread(house.primary.sql, "SELECT clock_timestamp()"))
        if (value := await room_or_none(lookup)) is not None and value.isdigit():
            found.append((asked, int(value)))
        await asyncio.sleep(0.05)
    times = [datetime.fromisoformat(text) for text in house.primary.sql("SELECT at FROM log ORDER BY n").splitlines()]
    stale = [(asked - times[n]).total_seconds() for asked, n in found if n < len(times)]  # times[n] replaced the n-th
    assert 10 < len(found)
    assert MAX_LAG_SECS >= max(stale)
    assert any(n < len(times) and (asked - times[n]).total_seconds() > 0 for asked, n in found)


async def test_probe_tells_each_server(house: House, opened: Opened) -> None:
    """For `doctor`: which one is not fit, why, and the cure; nothing where all are."""
    lookup = await opened()
    assert [] == await lookup.probe()
    house.replicas[1].kill()
    [finding] = await lookup.probe()
    assert f"127.0.0.1:{house.port(1)}" in finding
    assert "HINT" in finding
