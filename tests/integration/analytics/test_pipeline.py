"""The analytics pipeline as it ships, on real servers: every chain sent is a row of analytics, and a row for each option."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from zlib import crc32

import pytest

from kit.bed import Bed
from kit.fixtures_bed import MakeBed
from kit.kafka_topics import create_topic, producer, read_all
from kit.market import enriched, write_spec
from kit.stream import copies
from stockifyd_optionchain.simulator import Simulator

CHAINS, STRIKES = 120, 40


@pytest.fixture
def bed(make_bed: MakeBed) -> Iterator[Bed]:
    """A bed whose spec is the analytics pipeline, with topics and a group of its own."""
    made = make_bed(keyed=True)

    def placed(spec: dict[str, Any]) -> None:
        spec["source"] |= {"topics": [made.topic], "group": made.group}
        spec["sinks"][0]["topic"] = f"{made.topic}.analytics"

    write_spec("analytics", made.spec, placed)
    yield made
    made.end()


async def test_every_chain_has_its_analytics(bed: Bed) -> None:
    """Each chain once, in the table and in the topic, with what is computed of it; each option once, with its build-up."""
    simulator = Simulator(7, datetime.now(UTC).date(), underlyings=["NIFTY", "SENSEX"], strikes=STRIKES, interval_secs=900)
    chains = await enriched(islice(simulator.raw("dhan"), CHAINS))
    for topic in (bed.topic, f"{bed.topic}.analytics"):
        await create_topic(bed.kafka.direct, topic, bed.partitions)
    await bed.migrate()
    async with producer(bed.kafka.direct) as client:
        for one in chains:
            await client.send(bed.topic, one.value, key=one.key, partition=crc32(one.key) % bed.partitions)
        await client.flush()
    worker = bed.worker()
    await worker.until(lambda status: status["messages_delivered"] == CHAINS)
    assert await worker.stop() == 0

    each = "SELECT count(*), count(DISTINCT (symbol_id, expiry, timestamp)) FROM option_analytics"
    wanting = "SELECT count(*) FROM option_analytics WHERE market_mood IS NULL OR cardinality(support_strikes) <> 3"
    assert await bed.sql(each) == f"{CHAINS}|{CHAINS}"
    assert await bed.sql("SELECT count(*) FROM option_buildups") == str(CHAINS * 2 * STRIKES)
    assert await bed.sql(wanting) == "0"
    assert await bed.sql("SELECT count(*) FROM stockifyd.dead_letters") == "0"
    told = copies(await read_all(bed.kafka.direct, f"{bed.topic}.analytics"))
    assert CHAINS == len({one.origin for one in told}) == len(told)
