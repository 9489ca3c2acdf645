"""Fault 42: kill -9 of workers of the analytics pipeline at random, under load: into tables without keys, and into a topic."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import pytest
import yaml

from faults.conftest import Sight
from kit.bed import Bed
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.kafka_topics import create_topic, read_all
from kit.market import analysed, answers, enriched
from kit.massacre import at_work, massacre
from kit.past import RECENT, beside, recent_buildups, write_analytics
from kit.pgbouncer import PgBouncer
from kit.postgres_replica import PostgresReplica
from kit.stream import Stream, copies, unlike
from stockifyd_optionchain.simulator import Produced

RATE, STRIKES = 60, 10
STORED_SECS = 120.0
TABLES = {"analytics": "option_analytics", "buildups": "option_buildups", RECENT: "option_recent_buildups"}


@pytest.fixture
def storage(make_bed: MakeBed, own_database: Database) -> Iterator[Bed]:
    """Where the storage pipeline will run, whose rows are the history."""
    made = make_bed(database=own_database, keyed=True, on_conflict="ignore")
    yield made
    made.end()


@pytest.fixture
def bed(make_bed: MakeBed, storage: Bed, replica: PostgresReplica) -> Iterator[Bed]:
    """Where two workers of analytics will run, that look up on a replica."""
    with PgBouncer(replica) as pooler:
        made = beside(storage, make_bed, [pooler])
        yield made
        made.end()


async def test_analytics_are_exact(bed: Bed, storage: Bed, sight: Sight, chance: random.Random, fault_secs: float) -> None:
    """Each chain has its row, and each option its own, once, though nothing but the ledger keeps them from coming twice; each
    recent build-up is against what storage had stored, whoever computed it and however often.

    What is in the table is in the topic too, at least once, in the partition of its chain.
    """
    await storage.prepare()
    out, seed = await prepare(bed, storage), storage.seed
    chains = await enriched(islice(answers(seed, strikes=STRIKES), int(RATE * (fault_secs + 60))))
    stream = Stream(bed.kafka.direct, bed.topic, bed.partitions, chains)
    workers = [bed.worker(1, 2), bed.worker(2, 2)]
    await asyncio.gather(*map(at_work, [storage.worker(), *workers]))
    async with stream.flowing(RATE):
        deaths = await massacre(workers, chance, secs=fault_secs)
    async with asyncio.timeout(STORED_SECS):
        while {p: n for p, n in (await bed.books.next()).items() if n} != stream.ends:
            await asyncio.sleep(0.2)
    made = copies(await read_all(bed.kafka.direct, out))
    faults = [*unlike(made, stream.sent), *await unlike_tables(bed, list(stream.sent.values())), *await bed.objections()]
    faults += await unlike_the_topic(bed, {one.value for one in made})
    assert not faults, f"seed {seed}, {len(faults)} faults: {faults[:10]}\n{bed.last_words}"
    sight.runs = deaths
    known = int(await bed.sql(f"SELECT count(since) FROM plain_{RECENT}"))
    assert known, "no build-up had history"
    sight.note(chains=len(stream.sent), with_history=known, twice_in_the_topic=len(made) - len(stream.sent))


async def prepare(bed: Bed, storage: Bed) -> str:
    """The topic that it writes, tables without keys, the pipeline; answers with the topic."""
    await create_topic(bed.kafka.direct, out := f"{bed.topic}.analytics", bed.partitions)
    spec = write_analytics(storage, bed, membership="static")
    await bed.migrate()
    for name, table in TABLES.items():
        bed.database.sql(f"CREATE TABLE plain_{name} (LIKE {table})")
    spec["sinks"][1]["tables"] = {name: {"into": f"plain_{name}"} for name in TABLES}
    bed.spec.write_text(yaml.safe_dump(spec, sort_keys=False))
    await bed.migrate()
    return out


async def unlike_tables(bed: Bed, chains: list[Produced]) -> list[str]:
    """Rows that are missing, too many, or not as they should be."""
    expected = {**await analysed(chains), RECENT: list(recent_buildups(chains))}
    letters = await bed.sql("SELECT count(*) FROM stockifyd.dead_letters")
    found = [] if letters == "0" else [f"{letters} dead letters"]
    async with bed.books.reading() as connection:
        for name in TABLES:
            there = Counter(map(_told, await connection.fetch(f"SELECT * FROM plain_{name}")))
            wanted = Counter(map(_told, expected[name]))
            found += [f"{name} has not {row}" for row in wanted - there]
            found += [f"{name} should not have {row}" for row in there - wanted]
    return found


async def unlike_the_topic(bed: Bed, values: set[bytes]) -> list[str]:
    """Moods in the topic that are not in the table, and the other way round."""
    records = [json.loads(value) for value in values]
    said = {(datetime.fromisoformat(r["timestamp"]), r["symbol_id"], r["expiry"], r["market_mood"]) for r in records}
    async with bed.books.reading() as connection:
        rows = await connection.fetch('SELECT "timestamp", symbol_id, expiry::text, market_mood FROM plain_analytics')
    return [f"{one} is on one side only" for one in said ^ {tuple(row) for row in rows}]


def _told(row: Any) -> tuple[object, ...]:
    """A row that can be counted: lists as tuples, floats to ten digits."""
    return tuple(map(_plain, row))


def _plain(value: Any) -> object:
    if isinstance(value, list):
        return tuple(map(_plain, value))
    return float(f"{value:.10g}") if isinstance(value, float) else value
