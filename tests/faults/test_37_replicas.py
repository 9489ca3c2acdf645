"""Fault 37: replicas that stand still, die, come back or are promoted, while analytics looks up on them what storage stored."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from faults.conftest import Sight
from kit.bed import Bed
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import WRITER, Database
from kit.house import House
from kit.market import answers, enriched, write_spec
from kit.massacre import at_work
from kit.pgbouncer import PgBouncer
from kit.postgres import PASSWORD
from kit.postgres_replica import PostgresReplica
from kit.stream import Stream
from stockifyd_optionchain import Chain
from stockifyd_optionchain.simulator import Produced

RATE, STRIKES = 40, 10
AGO_SECS, WITHIN_SECS = 6, 30
STORED_SECS = 120.0
KINDS = {(1, 1): "long_buildup", (-1, 1): "short_buildup", (-1, -1): "long_unwinding", (1, -1): "short_covering"}
Row = tuple[datetime, int, date, float, str, float | None, int | None, str | None]


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
async def beds(make_bed: MakeBed, house: House, tmp_path: Path) -> AsyncIterator[tuple[Bed, Bed]]:
    """Storage, and analytics on the same topic, with the replicas in its environment."""
    storage = make_bed(database=house.primary, keyed=True, on_conflict="ignore")
    (folder := tmp_path / "analytics").mkdir()
    environment = {
        "DATABASE_REPLICA_HOSTS": ",".join(f"127.0.0.1:{pooler.port}" for pooler in house.poolers),
        "DATABASE_NAME": house.primary.name,
        "DATABASE_USER": WRITER,
        "DATABASE_PASSWORD": PASSWORD,
    }
    analytics = make_bed(database=house.primary, topic=storage.topic, folder=folder, environment=environment)
    yield storage, analytics
    for bed in (storage, analytics):
        bed.end()


async def test_no_buildup_is_of_a_stale_replica(
    beds: tuple[Bed, Bed], house: House, sight: Sight, chance: random.Random, fault_secs: float
) -> None:
    """Each build-up is against the chain that storage stored before, and no older one, whichever replicas are there to ask."""
    storage, analytics = beds
    await storage.prepare()
    write_spec("analytics", analytics.spec, lambda spec: with_history(spec, storage))
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
        while await stored(analytics) != stream.ends:
            await asyncio.sleep(0.2)
    async with analytics.books.reading() as connection:
        rows = await connection.fetch("SELECT * FROM option_buildups")
    wanted = expected(stream.sent.values())
    wrong = [row for row in map(tuple, rows) if row not in wanted]
    assert not wrong, f"seed {storage.seed}, {len(wrong)} of {len(rows)} build-ups are wrong: {wrong[:5]}\n{analytics.last_words}"
    assert len(wanted) == len(rows)
    assert await analytics.sql("SELECT count(*) FROM stockifyd.dead_letters") == "0"
    known = sum(row["buildup"] is not None for row in rows)
    left = analytics.workers[0].log.count("is not read any more")
    assert left, "no replica was ever left"
    sight.runs = turns
    sight.note(chains=len(stream.sent), buildups=known, replicas_left=left)


def with_history(spec: dict[str, Any], storage: Bed) -> None:
    """The analytics pipeline, its build-ups against what storage stored AGO_SECS ago, into the table alone."""
    spec["source"] |= {"topics": [storage.topic], "group": f"{storage.topic}-analytics-group"}
    spec["sinks"] = spec["sinks"][1:]
    key = ("symbol_id", "expiry", "strike_price", "option_type")
    as_of = {"column": "timestamp", "time": "timestamp", "ago_secs": AGO_SECS, "within_secs": WITHIN_SECS}
    lookup = {
        "type": "lookup",
        "table": "options",
        "from": "option_contracts",
        "match": {name: name for name in key},
        "columns": ["ltp", "oi"],
        "as_of": as_of,
        "after": {"consumer": storage.group},
        "into": "history",
        "max_lag_ms": 2000,
    }
    decode, buildup, *others = spec["transforms"]
    spec["transforms"] = [{"type": "flatten_chain"}, lookup, decode, {**buildup, "history": "history"}, *others]


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


async def stored(analytics: Bed) -> Mapping[int, int]:
    """The offsets of the analytics pipeline, whose group is not the bed's."""
    async with analytics.books.reading() as connection:
        ask = "SELECT partition, next_offset FROM stockifyd.offsets WHERE consumer = $1 AND next_offset > 0"
        rows = await connection.fetch(ask, f"{analytics.topic}-analytics-group")
    return {row[0]: row[1] for row in rows}


def expected(sent: Iterable[Produced]) -> set[Row]:
    """The build-ups by their definition, from the chains themselves."""
    found: set[Row] = set()
    series = defaultdict[bytes, list[Chain]](list)
    for one in sent:
        chain = msgspec.json.decode(one.value, type=Chain)
        at, newest = chain.timestamp, chain.timestamp - timedelta(seconds=AGO_SECS)
        earlier = [c for c in series[one.key] if timedelta(0) <= newest - c.timestamp <= timedelta(seconds=WITHIN_SECS)]
        past = {(o.strike, o.option_type): o for o in earlier[-1].options} if earlier else {}
        for option in chain.options:
            before = past.get((option.strike, option.option_type))
            price = oi = kind = None
            if before is not None:
                price = None if None in (option.ltp, before.ltp) else round(option.ltp - before.ltp, 6)  # type: ignore[operator]
                oi = None if None in (option.oi, before.oi) else option.oi - before.oi  # type: ignore[operator]
                kind = KINDS.get((_sign(price), _sign(oi)))
            found.add((at, chain.symbol_id, option.expiry, option.strike, option.option_type, price, oi, kind))
        series[one.key].append(chain)
    return found


def _sign(change: float | None) -> int:
    return 0 if change is None else (change > 0) - (change < 0)
