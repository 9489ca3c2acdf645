"""The analytics pipeline as it ships, on real servers: every chain sent is a row of analytics, and a row for each option."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
import yaml

from kit.bed import Bed
from kit.fixtures_bed import MakeBed
from kit.kafka_topics import create_topic, producer
from stockifyd.api import Batch
from stockifyd.testing import flow, make, make_message
from stockifyd_optionchain import EnrichGreeks
from stockifyd_optionchain.reading import typed
from stockifyd_optionchain.simulator import Produced, Simulator

SPEC = Path(__file__).parents[3] / "pipelines" / "analytics.yaml"
CHAINS, STRIKES = 120, 40


@pytest.fixture
def bed(make_bed: MakeBed) -> Iterator[Bed]:
    """A bed whose spec is the analytics pipeline, with a topic and a group of its own."""
    made = make_bed(keyed=True)
    spec = yaml.safe_load(SPEC.read_text())
    spec["source"] |= {"topics": [made.topic], "group": made.group}
    made.spec.write_text(yaml.safe_dump(spec, sort_keys=False))
    yield made
    made.end()


async def enriched(chains: list[Produced]) -> list[bytes]:
    """What the processor would send of them."""
    batch = Batch(tuple(make_message(n, one.value) for n, one in enumerate(chains)))
    [after] = await flow(batch, make(EnrichGreeks, rate_pct=6.5))
    return [msgspec.json.encode(typed(message)) for message in after.messages]


async def test_every_chain_has_its_analytics(bed: Bed) -> None:
    """Each chain once, by key, with what is computed of it; and each of its options with its build-up or null."""
    simulator = Simulator(7, datetime.now(UTC).date(), underlyings=["NIFTY", "SENSEX"], strikes=STRIKES, interval_secs=900)
    chains = list(islice(simulator, CHAINS))
    values = await enriched(chains)
    await create_topic(bed.kafka.direct, bed.topic, bed.partitions)
    await bed.migrate()
    async with producer(bed.kafka.direct) as client:
        for one, value in zip(chains, values, strict=True):
            await client.send(bed.topic, value, key=one.key, partition=crc32(one.key) % bed.partitions)
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
