"""noida-db, and what the demo asks of the pipelines on its behalf."""

import asyncio
import logging
from pathlib import Path

from kit.eventually import eventually
from kit.ledger import Ledger, pump
from stockifyd.api import Context, configure
from stockifyd_demo.children import Children
from stockifyd_demo.servers import Server, create_topic, kafka_settings, start_kafka
from stockifyd_kafka import Kafka, KafkaOptions

TOPIC, PARTITIONS = "market.enriched", 6
GAPS = [0.270 + 0.005 * n for n in range(13)]
"""Seconds between two members of a group: about where noida-db has waited long enough for the first ones."""


def member(server: Server, group: str, number: int) -> Kafka:
    settings = kafka_settings(server)
    options = configure(
        Kafka,
        {
            "brokers": settings["KAFKA_BOOTSTRAP_SERVERS"],
            "topics": [TOPIC],
            "group": group,
            "membership": settings["KAFKA_MEMBERSHIP"],
            "rebalance_timeout_ms": int(settings["KAFKA_REBALANCE_TIMEOUT_MS"]),
        },
    )
    assert isinstance(options, KafkaOptions)
    log = logging.getLogger("stockifyd.kafka")
    return Kafka(options, Context("storage", "kafka", log, consumer=group, instance_id=number))


async def two_members(server: Server, ledgers: Path, gap: float) -> None:
    """Each has its half in the end."""
    group, stop = f"group-{gap:.3f}", asyncio.Event()
    ledger = ledgers / f"{group}.db"
    sources = [member(server, group, number) for number in (1, 2)]
    halves, pumps = {"member 0": PARTITIONS // 2, "member 1": PARTITIONS // 2}, []
    try:
        for number, source in enumerate(sources):
            await source.open()
            pumps.append(asyncio.create_task(pump(source, Ledger(ledger, f"member {number}"), until=stop)))
            await asyncio.sleep(gap)
        await eventually(lambda: halves == Ledger(ledger).owners())
    finally:
        stop.set()
        await asyncio.gather(*pumps)
        await asyncio.gather(*(source.close() for source in sources))


async def test_members_that_join_at_a_bad_moment(folder: Path, tmp_path: Path) -> None:
    """The broker forgets them; they ask again, before the demo gives up."""
    with Children(folder) as children:
        server = await start_kafka(children)
        await create_topic(server.address, TOPIC, PARTITIONS)
        await asyncio.gather(*(two_members(server, tmp_path, gap) for gap in GAPS))
