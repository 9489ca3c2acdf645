"""The analytics pipeline as it ships, on real servers: every chain sent is a row of analytics, and two rows for each option."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zlib import crc32

import pytest

from kit.bed import Bed
from kit.fixtures_bed import MakeBed
from kit.fixtures_postgres import Database
from kit.kafka_topics import create_topic, producer, read_all
from kit.market import enriched
from kit.past import beside, recent_buildups, write_analytics
from kit.pgbouncer import PgBouncer
from kit.postgres_replica import PostgresReplica
from kit.stream import copies
from stockifyd_optionchain.simulator import Produced, Simulator

CHAINS, STRIKES = 120, 40


@pytest.fixture
def storage(make_bed: MakeBed, own_database: Database) -> Iterator[Bed]:
    """A bed of the storage pipeline."""
    made = make_bed(database=own_database, keyed=True)
    yield made
    made.end()


@pytest.fixture
def bed(make_bed: MakeBed, storage: Bed, replica: PostgresReplica) -> Iterator[Bed]:
    """A bed whose spec is the analytics pipeline, on the same topic, with a streaming replica in its environment."""
    with PgBouncer(replica) as pooler:
        made = beside(storage, make_bed, [pooler])
        yield made
        made.end()


async def chains() -> list[Produced]:
    """Of two symbols, 3 seconds apart, as the processor makes them."""
    day = datetime.now(UTC).date() - timedelta(days=1)
    simulator = Simulator(7, day, underlyings=["NIFTY", "SENSEX"], strikes=STRIKES, interval_secs=3)
    return await enriched(islice(simulator.raw("dhan"), CHAINS))


async def send(bed: Bed, sent: list[Produced]) -> None:
    async with producer(bed.kafka.direct) as client:
        for one in sent:
            await client.send(bed.topic, one.value, key=one.key, partition=crc32(one.key) % bed.partitions)
        await client.flush()


async def test_every_chain_has_its_analytics(bed: Bed, storage: Bed) -> None:
    """Each chain once, in the table and in the topic, with what is computed of it; each option once, with its build-up of the
    day, and with that of the last seconds, against what storage had, which comes when it comes: analytics waits for it.
    """
    sent = await chains()
    await storage.prepare()
    await create_topic(bed.kafka.direct, f"{bed.topic}.analytics", bed.partitions)
    write_analytics(storage, bed)
    await bed.migrate()
    await send(bed, sent)
    worker = bed.worker()
    await worker.until(lambda status: bool(status["partitions"]))
    storage.worker()
    await worker.until(lambda status: status["messages_delivered"] == CHAINS, within_secs=90)
    assert await worker.stop() == 0

    each = "SELECT count(*), count(DISTINCT (symbol_id, expiry, timestamp)) FROM option_analytics"
    wanting = "SELECT count(*) FROM option_analytics WHERE market_mood IS NULL OR cardinality(support_strikes) <> 3"
    assert await bed.sql(each) == f"{CHAINS}|{CHAINS}"
    assert await bed.sql("SELECT count(*) FROM option_buildups") == str(CHAINS * 2 * STRIKES)
    assert await bed.sql(wanting) == "0"
    assert await bed.sql("SELECT count(*) FROM stockifyd.dead_letters") == "0"
    told = copies(await read_all(bed.kafka.direct, f"{bed.topic}.analytics"))
    assert len({one.origin for one in told}) == len(told) == CHAINS
    async with bed.books.reading() as connection:
        rows = [tuple(row) for row in await connection.fetch("SELECT * FROM option_recent_buildups")]
    assert len(rows) == CHAINS * 2 * STRIKES
    assert set(rows) == recent_buildups(sent)
    assert {row[-1] is None for row in rows} == {True, False}


async def test_without_storage(bed: Bed, storage: Bed) -> None:
    """Where nobody has migrated storage, analytics halts at the start, and says what is missing and what makes it."""
    for topic in (bed.topic, f"{bed.topic}.analytics"):
        await create_topic(bed.kafka.direct, topic, bed.partitions)
    write_analytics(storage, bed)
    await bed.migrate()
    worker = bed.worker()
    await worker.until(lambda status: status["state"] == "halted", within_secs=90)
    assert "from: there is no table 'option_contracts', or no right to read it" in worker.log
    assert "run `stockifyd migrate` of the pipeline that writes it" in worker.log
