"""Fault 37: replicas that stand still, die, come back or are promoted, while analytics looks up on them what storage stored."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from itertools import islice

import pytest
import yaml

from faults.conftest import Sight
from kit.bed import Bed
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.house import House
from kit.market import answers, enriched
from kit.massacre import at_work
from kit.past import beside, recent_buildups, write_analytics
from kit.pgbouncer import PgBouncer
from kit.postgres_replica import PostgresReplica
from kit.stream import Stream

RATE, STRIKES = 40, 10
STORED_SECS = 120.0


@pytest.fixture
def second(own_database: Database) -> Iterator[PostgresReplica]:
    """Another standby."""
    with PostgresReplica(own_database.server) as server:
        yield server


@pytest.fixture
def house(own_database: Database, replica: PostgresReplica, second: PostgresReplica) -> Iterator[House]:
    """A primary and two replicas, each behind a PgBouncer."""
    with PgBouncer(replica) as one, PgBouncer(second) as two:
        yield House(own_database, (replica, second), (one, two))


@pytest.fixture
def beds(make_bed: MakeBed, house: House) -> Iterator[tuple[Bed, Bed]]:
    """Storage, and analytics on the same topic, with the replicas in its environment."""
    storage = make_bed(database=house.primary, keyed=True, on_conflict="ignore")
    analytics = beside(storage, make_bed, house.poolers)
    yield storage, analytics
    for bed in (storage, analytics):
        bed.end()


async def test_no_buildup_is_of_a_stale_replica(
    beds: tuple[Bed, Bed], house: House, sight: Sight, chance: random.Random, fault_secs: float
) -> None:
    """Each build-up is against the chain that storage stored before, and no older one, whichever replicas are there to ask."""
    storage, analytics = beds
    await storage.prepare()
    spec = write_analytics(storage, analytics)
    [lookup] = [one for one in spec["transforms"] if one["type"] == "lookup"]
    lookup["max_lag_ms"] = 2000
    analytics.spec.write_text(yaml.safe_dump({**spec, "sinks": spec["sinks"][1:]}, sort_keys=False))  # the table alone
    await analytics.migrate()
    chains = await enriched(islice(answers(storage.seed, strikes=STRIKES), int(RATE * fault_secs * 4)))
    stream = Stream(storage.kafka.direct, storage.topic, storage.partitions, chains)
    workers = storage.worker(), analytics.worker()
    await asyncio.gather(*map(at_work, workers))
    async with stream.flowing(RATE):
        turns = await trouble(house, chance, fault_secs)
        await asyncio.to_thread(house.replicas[1].promote)
        await asyncio.sleep(1)
    async with asyncio.timeout(STORED_SECS):
        while {p: n for p, n in (await analytics.books.next()).items() if n} != stream.ends:
            await asyncio.sleep(0.2)
    async with analytics.books.reading() as connection:
        rows = await connection.fetch("SELECT * FROM option_recent_buildups")
    wanted = recent_buildups(stream.sent.values())
    wrong = [row for row in map(tuple, rows) if row not in wanted]
    assert not wrong, f"seed {storage.seed}, {len(wrong)} of {len(rows)} build-ups are wrong: {wrong[:5]}\n{analytics.last_words}"
    assert len(wanted) == len(rows)
    assert await analytics.sql("SELECT count(*) FROM stockifyd.dead_letters") == "0"
    known = sum(row["buildup"] is not None for row in rows)
    left = analytics.workers[0].log.count("is not read any more")
    assert left, "no replica was ever left"
    sight.runs = turns
    sight.note(chains=len(stream.sent), buildups=known, replicas_left=left)


async def trouble(house: House, chance: random.Random, secs: float) -> int:
    """One replica or the other stands still or is killed for a while; now and then both. Both are well in the end."""
    until, turns = time.monotonic() + secs, 0
    while time.monotonic() < until or turns < 4:
        victims = chance.sample((0, 1), chance.choice((1, 1, 2)))
        kills = chance.random() < 0.4
        for victim in victims:
            await asyncio.to_thread(house.replicas[victim].kill if kills else lambda at=victim: house.hold(at))
        await asyncio.sleep(chance.uniform(0.5, 4))
        for victim in victims:
            await asyncio.to_thread(house.replicas[victim].start if kills else lambda at=victim: house.go_on(at))
        await asyncio.sleep(chance.uniform(0, 2))
        turns += 1
    return turns
