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

from faults.conftest import Sight
from kit.bed import Bed
from kit.evidence import AUDIT
from kit.fixtures_bed import MakeBed
from kit.kafka_topics import create_topic, read_all
from kit.market import analysed, answers, enriched, write_spec
from kit.massacre import at_work, massacre
from kit.stream import Stream, copies, unlike
from stockifyd_optionchain.simulator import Produced

RATE, STRIKES = 60, 10
STORED_SECS = 120.0
TABLES = {"analytics": "option_analytics", "buildups": "option_buildups"}


@pytest.fixture
def bed(make_bed: MakeBed) -> Iterator[Bed]:
    """Where two workers of analytics will run."""
    made = make_bed()
    yield made
    made.end()


async def test_analytics_are_exact(bed: Bed, sight: Sight, chance: random.Random, fault_secs: float, seed: int) -> None:
    """Each chain has its row, and each option its own, once, though nothing but the ledger keeps them from coming twice.

    What is in the table is in the topic too, at least once, in the partition of its chain.
    """
    out = await prepare(bed)
    chains = await enriched(islice(answers(seed, strikes=STRIKES), int(RATE * (fault_secs + 60))))
    stream = Stream(bed.kafka.direct, bed.topic, bed.partitions, chains)
    workers = [bed.worker(1, 2), bed.worker(2, 2)]
    await asyncio.gather(*map(at_work, workers))
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
    sight.note(chains=len(stream.sent), twice_in_the_topic=len(made) - len(stream.sent))


async def prepare(bed: Bed) -> str:
    """Topics, tables without keys, the pipeline; answers with the topic that it writes."""
    out = f"{bed.topic}.analytics"
    for topic in (bed.topic, out):
        await create_topic(bed.kafka.direct, topic, bed.partitions)

    def placed(spec: dict[str, Any], *, plain: bool = True) -> None:
        spec["source"] |= {"topics": [bed.topic], "group": bed.group, "membership": "static"}
        spec["sinks"][0]["topic"] = out
        if plain:
            spec["sinks"][1]["tables"] = {name: {"into": f"plain_{name}"} for name in TABLES}

    write_spec("analytics", bed.spec, lambda spec: placed(spec, plain=False))
    await bed.migrate()
    for name, table in TABLES.items():
        bed.database.sql(f"CREATE TABLE plain_{name} (LIKE {table})")
    write_spec("analytics", bed.spec, placed)
    await bed.migrate()
    bed.database.sql(AUDIT)
    return out


async def unlike_tables(bed: Bed, chains: list[Produced]) -> list[str]:
    """Rows that are missing, too many, or not as they should be."""
    expected, letters = await analysed(chains), await bed.sql("SELECT count(*) FROM stockifyd.dead_letters")
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
